#include "nodeagent/journal/sqlite_journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include "lib/async/answer.h"
#include "lib/async/lane.h"
#include "lib/base/failpoint.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "nodeagent/journal/notes.h"

namespace multinet::agent::journal {
namespace {

constexpr std::chrono::seconds kCheckpointWhenIdle(5);

const std::vector<std::string>& migrations() {
  static const std::vector<std::string> kMigrations = {
      "CREATE TABLE intent(id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID",
      // Records that couldn't be read, for people.
      "CREATE TABLE unreadable(id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID"};
  return kMigrations;
}

/// `node`, whose it is, and `id`, its own. No migration: programs of before pass over it, and one
/// more step would keep the first of them from the file.
constexpr const char* kAbout =
    "CREATE TABLE IF NOT EXISTS about(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";

Result<store::Database::Opened> openFile(const std::string& path) {
  MULTINET_TRY(store::Database::Opened opened, store::Database::open(path, migrations()));
  MULTINET_CHECK(opened.database.execute(kAbout));
  return opened;
}

Result<Fd> lockFile(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail(errnoError("open lock " + path, errno));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return fail(errnoError("lock " + path, errno));
  return fail(Code::Unavailable, "JournalLocked",
              "lock " + path + ": another agent holds it; it must end first");
}

/// 128 bits, in hexadecimal digits.
std::string newId() {
  std::random_device random;
  std::string text;
  for (int i = 0; i < 4; ++i) {
    std::array<char, 9> part{};
    std::snprintf(part.data(), part.size(), "%08x", static_cast<unsigned>(random()));
    text += part.data();
  }
  return text;
}

Result<std::string> readAbout(store::Database& database, std::string_view key) {
  MULTINET_TRY(store::Statement query, database.prepare("SELECT value FROM about WHERE key=?"));
  MULTINET_TRY(const bool row, query.bind(1, key).step());
  return row ? query.text(0) : std::string();
}

Status writeAbout(store::Database& database, std::string_view key, std::string_view value) {
  MULTINET_TRY(store::Statement put,
               database.prepare("INSERT OR REPLACE INTO about(key, value) VALUES(?,?)"));
  return put.bind(1, key).bind(2, value).run();
}

struct Write {
  IntentId id;
  std::optional<Record> record;  // none: erase
  Durability durability = Durability::Synced;
  async::Answer<void> done;
  std::uint64_t number = 0;
  std::string text{};  // of the record, once the journal's thread has encoded it
};

/// Which file it is and how long: a journal that is open grows and is never another.
struct Shape {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
};

std::optional<Shape> shapeOf(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return Shape{status.st_dev, status.st_ino, status.st_size};
}

/// The same file, whatever its size.
bool isSame(const std::optional<Shape>& one, const std::optional<Shape>& other) {
  return one.has_value() && other.has_value() && one->device == other->device &&
         one->inode == other->inode;
}

/// Answers what waits for a disk that hangs. Any thread.
class Patience {
 public:
  Patience(Duration patience, const Clock& clock)
      : patience_(patience), clock_(clock), lane_("journal-clock", clock) {}

  /// A write has come; numbers grow. False where the disk hangs: then it isn't waited for.
  [[nodiscard]] bool begin(std::uint64_t number, const async::Answer<void>& done) {
    const std::lock_guard lock(mutex_);
    if (isStuck_) return false;
    waiting_.push_back({number, clock_.now() + patience_, done});
    if (waiting_.size() == 1) arm();
    return true;
  }

  /// The disk has answered all up to that number.
  void ended(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    isStuck_ = false;
    while (!waiting_.empty() && waiting_.front().number <= number) waiting_.pop_front();
  }

  [[nodiscard]] bool isStuck() {
    const std::lock_guard lock(mutex_);
    return isStuck_;
  }

  Status slow() const {
    return fail(Code::Unavailable, "JournalSlow",
                "write journal: its disk has taken nothing for " +
                    std::to_string(patience_ / std::chrono::milliseconds(1)) +
                    " ms; look at the disk of the agent's state directory");
  }

  void stop() { lane_.stop(); }

 private:
  struct Waiting {
    std::uint64_t number;
    BootTime until;
    async::Answer<void> done;
  };

  // One timer at a time: look() sets the next.
  void arm() {
    if (std::exchange(isArmed_, true)) return;
    lane_.postAfter(waiting_.front().until - clock_.now(), [this] { look(); });
  }

  void look() {
    std::deque<Waiting> late;
    {
      const std::lock_guard lock(mutex_);
      isArmed_ = false;
      if (waiting_.empty()) return;
      if (clock_.now() < waiting_.front().until) return arm();
      isStuck_ = true;
      late.swap(waiting_);
    }
    log::error("the journal's disk hangs", {{"waiting", late.size()}});
    for (const Waiting& one : late) one.done(slow());
  }

  const Duration patience_;
  const Clock& clock_;
  std::mutex mutex_;
  std::deque<Waiting> waiting_;
  bool isStuck_ = false;
  bool isArmed_ = false;
  async::Lane lane_;
};

}  // namespace

class SqliteJournal::Impl {
 public:
  Impl(std::string path, JournalOptions options)
      : path_(std::move(path)),
        notesPath_(std::move(options.notes)),
        node_(options.node),
        patience_(options.patience, *options.clock),
        lane_("journal", *options.clock) {}
  ~Impl() {
    lane_.stop();
    patience_.stop();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void load(async::Answer<Loaded> done) {
    if (!lane_.post([this, done] { done(loadNow()); })) {
      done(fail(Code::Unavailable, "Stopping", "load journal: the agent is stopping"));
    }
  }

  void write(Write write) {
    const async::Answer<void> done = write.done;
    bool first = false;
    bool isWaitedFor = false;
    {
      const std::lock_guard lock(mutex_);
      first = pending_.empty();
      write.number = ++numbers_;
      isWaitedFor = patience_.begin(write.number, done);
      pending_.push_back(std::move(write));
    }
    if (!isWaitedFor) done(patience_.slow());
    if (!first || lane_.post([this] { flush(); })) return;
    for (const Write& refused : take()) {
      refused.done(fail(Code::Unavailable, "Stopping", "write journal: the agent is stopping"));
    }
  }

  void note(Record record, async::Answer<void> done) {
    if (isNoted(record)) return done({});
    IntentId id = record.id;
    write({std::move(id), std::move(record), Durability::Relaxed, std::move(done)});
  }

  const async::Lane& lane() const { return lane_; }

 private:
  // Only while the file takes what it is given: else a sandbox would be made that is taken back.
  bool isNoted(const Record& record) {
    if (!isWell_ || patience_.isStuck()) return false;
    const Status kept = notes_->keep(record.id, encode(record));
    if (!kept.has_value()) {
      log::warn("not noted, the journal's file is waited for", {{"error", kept.error()}});
      return false;
    }
    const std::lock_guard lock(mutex_);
    noted_.insert(record.id);
    return true;
  }

  std::vector<Write> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(pending_, {});
  }

  Status open() {
    if (database_.has_value()) return {};
    if (const std::string lock = path_ + ".lock"; !isSame(shapeOf(lock), lockShape_)) {
      // Also later: somebody may have moved the whole directory away.
      MULTINET_CHECK(makePrivateDirectory(std::filesystem::path(path_).parent_path().string()));
      MULTINET_TRY(lock_, lockFile(lock));
      lockShape_ = shapeOf(lock);
    }
    MULTINET_TRY(store::Database::Opened opened, openOwn());
    if (opened.found != store::Found::Existing) lost_ = true;
    if (opened.found == store::Found::Corrupt) {
      log::error("journal was corrupt and has been moved aside", {{"to", opened.movedTo}});
    }
    // All or nothing: one that is half open would be written to without its statements.
    store::Database database = std::move(opened.database);
    MULTINET_CHECK(failpoint::check("journal.prepare"));
    MULTINET_TRY(store::Statement put,
                 database.prepare("INSERT OR REPLACE INTO intent(id, record) VALUES(?,?)"));
    MULTINET_TRY(store::Statement erase, database.prepare("DELETE FROM intent WHERE id=?"));
    database_.emplace(std::move(database));
    put_.emplace(std::move(put));
    erase_.emplace(std::move(erase));
    shape_ = shapeOf(path_);
    if (const Status written = sayWhose(); !written.has_value()) {
      log::warn("journal doesn't say yet whose it is", {{"error", written.error()}});
    }
    return {};
  }

  // Another's isn't read: its addresses are that node's, and its sandboxes aren't here.
  Result<store::Database::Opened> openOwn() {
    MULTINET_TRY(store::Database::Opened opened, openFile(path_));
    MULTINET_TRY(const std::string whose, readAbout(opened.database, kNode));
    if (whose.empty() || node_.empty() || whose == node_.str()) {
      MULTINET_TRY(const std::string id, readAbout(opened.database, kId));
      if (id_.empty()) id_ = id;
      return opened;
    }
    {
      const store::Database closed = std::move(opened.database);
    }
    MULTINET_TRY(const std::string to, store::Database::moveAside(path_, "of-another-node"));
    log::error("the journal is another node's: it is put aside, this node begins one of its own",
               {{"node", node_}, {"journalOf", whose}, {"to", to}});
    putAsideOf_ = whose;
    return openFile(path_);
  }

  Status sayWhose() {
    MULTINET_TRY(const std::string whose, readAbout(*database_, kNode));
    MULTINET_TRY(const std::string id, readAbout(*database_, kId));
    if (id_.empty()) id_ = newId();
    if (id == id_ && (whose == node_.str() || node_.empty())) return {};
    MULTINET_CHECK(database_->begin(Durability::Synced));
    Status done = writeAbout(*database_, kId, id_);
    if (done.has_value() && !node_.empty()) done = writeAbout(*database_, kNode, node_.str());
    if (done.has_value()) done = database_->commit();
    if (!done.has_value()) database_->rollback();
    return done;
  }

  void close() {
    put_.reset();
    erase_.reset();
    database_.reset();
  }

  Result<Loaded> loadNow() {
    if (auto opened = open(); !opened.has_value()) {
      openError_ = opened.error();
      return fail(std::move(opened).error().within("load journal"));
    }
    Loaded loaded;
    std::vector<std::string> unreadable;
    {
      MULTINET_TRY(store::Statement query, database_->prepare("SELECT id, record FROM intent"));
      while (true) {
        MULTINET_TRY(const bool row, query.step());
        if (!row) break;
        auto record = decode(query.text(1));
        if (record.has_value()) {
          written_[query.text(0)] = query.text(1);
          loaded.records.push_back(std::move(*record));
          continue;
        }
        log::error("journal record can't be read and is set aside",
                   {{"intent", query.text(0)}, {"error", record.error()}});
        unreadable.push_back(query.text(0));
      }
    }
    loaded.lost = lost_ || !unreadable.empty();
    loaded.id = id_;
    loaded.putAsideOf = putAsideOf_;
    MULTINET_CHECK(loadNotes(loaded));
    for (const std::string& id : unreadable) {
      if (const Status aside = setAside(id); !aside.has_value()) {
        log::warn("journal record not set aside", {{"intent", id}, {"error", aside.error()}});
      }
    }
    isWell_ = notes_.has_value();
    return loaded;
  }

  // What a process noted that was killed before its file had it.
  Status loadNotes(Loaded& loaded) {
    if (notesPath_.empty()) return {};
    auto notes = Notes::open(notesPath_);
    if (!notes.has_value()) {
      log::info("intents wait for the journal's file", {{"why", notes.error()}});
      return {};
    }
    MULTINET_TRY(const std::vector<Notes::Note> left, notes->all());
    std::vector<Write> writes;
    for (const Notes::Note& note : left) {
      // Another node's go with its journal.
      if (written_.contains(note.id) || !loaded.putAsideOf.empty()) continue;
      auto record = decode(note.text);
      if (!record.has_value() || record->id.str() != note.id) {
        log::error("a note can't be read and is dropped", {{"intent", note.id}});
        loaded.lost = true;
        continue;
      }
      loaded.records.push_back(*record);
      writes.push_back(
          {record->id, *record, Durability::Synced, [](const Status&) {}, 0, note.text});
    }
    if (!writes.empty()) MULTINET_CHECK(writeNow(writes));
    for (const Notes::Note& note : left) notes->forget(IntentId(note.id));
    notes_.emplace(std::move(*notes));
    return {};
  }

  // One unreadable record is one sandbox in doubt, once.
  Status setAside(const std::string& id) {
    MULTINET_TRY(store::Statement copy,
                 database_->prepare("INSERT OR REPLACE INTO unreadable(id, record) "
                                    "SELECT id, record FROM intent WHERE id=?"));
    MULTINET_CHECK(database_->begin(Durability::Relaxed));
    Status done = copy.bind(1, id).run();
    if (done.has_value()) done = erase_->bind(1, id).run();
    if (done.has_value()) done = database_->commit();
    if (!done.has_value()) database_->rollback();
    return done;
  }

  void flush() {
    std::vector<Write> writes = take();
    if (writes.empty()) return;
    for (Write& write : writes) {
      if (write.record.has_value()) write.text = encode(*write.record);
    }
    const Status outcome = writeNow(writes);
    patience_.ended(writes.back().number);
    isWell_ = outcome.has_value() && notes_.has_value();
    for (const Write& write : writes) write.done(outcome);
    if (outcome.has_value()) forgetNotes(writes);
    if (!checkpointDue_) {
      checkpointDue_ = true;
      lane_.postAfter(kCheckpointWhenIdle, [this] { checkpoint(); });
    }
  }

  void forgetNotes(const std::vector<Write>& written) {
    const std::lock_guard lock(mutex_);
    for (const Write& write : written) {
      if (noted_.erase(write.id) > 0) notes_->forget(write.id);
    }
  }

  Status writeNow(const std::vector<Write>& writes) {
    if (!database_.has_value() && !broken_) {
      if (openError_.has_value()) return fail(openError_->within("write journal"));
      return fail(Code::FailedPrecondition, "JournalClosed", "write journal: it isn't open yet");
    }
    if (database_.has_value() && !isOurs()) startAnew("it was cut short, removed or replaced");
    Status outcome = commit(writes);
    if (!outcome.has_value() && outcome.error().code == Code::DataLoss) {
      startAnew(outcome.error().message);
      outcome = commit(writes);
    }
    if (!outcome.has_value()) return outcome;
    for (const Write& write : writes) {
      if (write.record.has_value()) {
        written_[write.id.str()] = write.text;
      } else {
        written_.erase(write.id.str());
      }
    }
    return {};
  }

  bool isOurs() const {
    const auto now = shapeOf(path_);
    return isSame(now, shape_) && now->size >= shape_->size;
  }

  // The next commit writes all that is known.
  void startAnew(const std::string& why) {
    close();
    broken_ = true;
    const auto moved = store::Database::moveAside(path_);
    log::error("journal is broken; it is moved aside and written anew",
               {{"why", why}, {"to", moved.has_value() ? *moved : moved.error().message}});
  }

  Status commit(const std::vector<Write>& writes) {
    if (broken_) {
      MULTINET_CHECK(open());
    }
    MULTINET_CHECK(failpoint::check("journal.commit.before"));
    Durability durability = broken_ ? Durability::Synced : Durability::Relaxed;
    for (const Write& write : writes) {
      if (write.durability == Durability::Synced) durability = Durability::Synced;
    }
    Status outcome = database_->begin(durability);
    if (broken_) {
      for (auto known = written_.begin(); outcome.has_value() && known != written_.end(); ++known) {
        outcome = put_->bind(1, known->first).bind(2, known->second).run();
      }
    }
    for (auto write = writes.begin(); outcome.has_value() && write != writes.end(); ++write) {
      outcome = write->record.has_value()
                    ? put_->bind(1, write->id.str()).bind(2, write->text).run()
                    : erase_->bind(1, write->id.str()).run();
    }
    if (outcome.has_value()) outcome = database_->commit();
    if (!outcome.has_value()) {
      database_->rollback();
      return fail(outcome.error().within("write journal"));
    }
    broken_ = false;
    failpoint::pass("journal.commit.after");
    return {};
  }

  void checkpoint() {
    checkpointDue_ = false;
    if (!database_.has_value()) return;
    const Status done =
        isOurs() ? database_->checkpoint()
                 : fail(Code::DataLoss, "Corrupt", "it was cut short, removed or replaced");
    shape_ = shapeOf(path_);
    if (done.has_value() || done.error().code != Code::DataLoss) return;
    startAnew(done.error().message);
    if (const Status written = commit({}); !written.has_value()) {
      log::error("journal not written anew yet", {{"error", written.error()}});
    }
  }

  static constexpr const char* kNode = "node";  // keys of the table `about`
  static constexpr const char* kId = "id";

  const std::string path_;
  const std::string notesPath_;
  const NodeName node_;
  Patience patience_;
  std::mutex mutex_;
  std::vector<Write> pending_;
  std::uint64_t numbers_ = 0;
  std::set<IntentId> noted_;          // that the file may not have yet
  std::optional<Notes> notes_;        // since load()
  std::atomic<bool> isWell_ = false;  // the last commit worked, and there are notes
  // Of the lane alone:
  Fd lock_;
  std::optional<Shape> lockShape_;  ///< of the file that lock_ locks
  std::optional<store::Database> database_;
  std::optional<store::Statement> put_;
  std::optional<store::Statement> erase_;
  std::optional<Error> openError_;
  std::map<std::string, std::string> written_;  // what the file holds, by intent
  std::optional<Shape> shape_;
  std::string id_;  // of the journal, also of a file that is written anew
  std::string putAsideOf_;
  bool lost_ = false;
  bool broken_ = false;  // the file holds less than written_
  bool checkpointDue_ = false;
  async::Lane lane_;
};

SqliteJournal::SqliteJournal(std::string path, JournalOptions options)
    : impl_(std::make_unique<Impl>(std::move(path), std::move(options))) {}
SqliteJournal::~SqliteJournal() = default;

const async::Lane& SqliteJournal::lane() const {
  return impl_->lane();
}

void SqliteJournal::load(async::Answer<Loaded> done) {
  impl_->load(std::move(done));
}
void SqliteJournal::put(Record record, Durability durability, async::Answer<void> done) {
  IntentId id = record.id;
  impl_->write({std::move(id), std::move(record), durability, std::move(done)});
}
void SqliteJournal::note(Record record, async::Answer<void> done) {
  impl_->note(std::move(record), std::move(done));
}
void SqliteJournal::erase(IntentId id, async::Answer<void> done) {
  impl_->write({std::move(id), std::nullopt, Durability::Relaxed, std::move(done)});
}

}  // namespace multinet::agent::journal
