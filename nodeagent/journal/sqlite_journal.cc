#include "nodeagent/journal/sqlite_journal.h"

#include <fcntl.h>
#include <sys/file.h>

#include <filesystem>
#include <mutex>
#include <optional>
#include <utility>

#include "lib/async/lane.h"
#include "lib/base/failpoint.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

namespace multinet::agent::journal {
namespace {

constexpr std::chrono::seconds kCheckpointWhenIdle(5);

const std::vector<std::string>& migrations() {
  static const std::vector<std::string> kMigrations = {
      "CREATE TABLE intent(id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID"};
  return kMigrations;
}

Result<Fd> lockFile(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail(errnoError("open lock " + path, errno));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return fail(errnoError("lock " + path, errno));
  return fail(Code::Unavailable, "JournalLocked",
              "lock " + path + ": another agent holds it; it must end first");
}

struct Write {
  IntentId id;
  std::string record;  // empty: erase
  Durability durability = Durability::Synced;
  std::function<void(Status)> done;
};

}  // namespace

class SqliteJournal::Impl {
 public:
  explicit Impl(std::string path) : path_(std::move(path)), lane_("journal") {}
  ~Impl() { lane_.stop(); }

  void load(std::function<void(Result<Loaded>)> done) {
    if (!lane_.post([this, done] { done(loadNow()); })) {
      done(fail(Code::Unavailable, "Stopping", "load journal: the agent is stopping"));
    }
  }

  void write(Write write) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      first = pending_.empty();
      pending_.push_back(std::move(write));
    }
    if (!first || lane_.post([this] { flush(); })) return;
    for (const Write& refused : take()) {
      refused.done(fail(Code::Unavailable, "Stopping", "write journal: the agent is stopping"));
    }
  }

 private:
  std::vector<Write> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(pending_, {});
  }

  Status open() {
    if (database_.has_value()) return {};
    if (!lock_.valid()) {
      MULTINET_CHECK(makePrivateDirectory(std::filesystem::path(path_).parent_path().string()));
      MULTINET_TRY(lock_, lockFile(path_ + ".lock"));
    }
    MULTINET_TRY(store::Database::Opened opened, store::Database::open(path_, migrations()));
    lost_ = opened.found != store::Found::Existing;
    if (opened.found == store::Found::Corrupt) {
      log::error("journal was corrupt and has been moved aside", {{"to", opened.movedTo}});
    }
    database_.emplace(std::move(opened.database));
    MULTINET_TRY(store::Statement put,
                 database_->prepare("INSERT OR REPLACE INTO intent(id, record) VALUES(?,?)"));
    MULTINET_TRY(store::Statement erase, database_->prepare("DELETE FROM intent WHERE id=?"));
    put_.emplace(std::move(put));
    erase_.emplace(std::move(erase));
    return {};
  }

  Result<Loaded> loadNow() {
    if (auto opened = open(); !opened.has_value()) {
      openError_ = opened.error();
      return fail(std::move(opened).error().within("load journal"));
    }
    Loaded loaded;
    loaded.lost = lost_;
    MULTINET_TRY(store::Statement query, database_->prepare("SELECT record FROM intent"));
    while (true) {
      MULTINET_TRY(const bool row, query.step());
      if (!row) break;
      auto record = decode(query.text(0));
      if (record.has_value()) {
        loaded.records.push_back(std::move(*record));
        continue;
      }
      // One unreadable record is one sandbox in doubt, not a reason to doubt all; it stays on disk.
      log::error("journal record can't be read", {{"error", record.error()}});
      loaded.lost = true;
    }
    return loaded;
  }

  void flush() {
    std::vector<Write> writes = take();
    if (writes.empty()) return;
    const Status outcome = commit(writes);
    for (const Write& write : writes) write.done(outcome);
    if (!checkpointDue_) {
      checkpointDue_ = true;
      lane_.postAfter(kCheckpointWhenIdle, [this] {
        checkpointDue_ = false;
        if (database_.has_value()) database_->checkpoint();
      });
    }
  }

  Status commit(const std::vector<Write>& writes) {
    if (!database_.has_value()) {
      if (openError_.has_value()) return fail(openError_->within("write journal"));
      return fail(Code::FailedPrecondition, "JournalClosed", "write journal: it isn't open yet");
    }
    MULTINET_CHECK(failpoint::check("journal.commit.before"));
    Durability durability = Durability::Relaxed;
    for (const Write& write : writes) {
      if (write.durability == Durability::Synced) durability = Durability::Synced;
    }
    Status outcome = database_->begin(durability);
    for (auto write = writes.begin(); outcome.has_value() && write != writes.end(); ++write) {
      outcome = write->record.empty() ? erase_->bind(1, write->id.str()).run()
                                      : put_->bind(1, write->id.str()).bind(2, write->record).run();
    }
    if (outcome.has_value()) outcome = database_->commit();
    if (!outcome.has_value()) {
      database_->rollback();
      return fail(outcome.error().within("write journal"));
    }
    failpoint::pass("journal.commit.after");
    return {};
  }

  const std::string path_;
  std::mutex mutex_;
  std::vector<Write> pending_;
  // Of the lane alone:
  Fd lock_;
  std::optional<store::Database> database_;
  std::optional<store::Statement> put_;
  std::optional<store::Statement> erase_;
  std::optional<Error> openError_;
  bool lost_ = false;
  bool checkpointDue_ = false;
  async::Lane lane_;
};

SqliteJournal::SqliteJournal(std::string path) : impl_(std::make_unique<Impl>(std::move(path))) {}
SqliteJournal::~SqliteJournal() = default;

void SqliteJournal::load(std::function<void(Result<Loaded>)> done) {
  impl_->load(std::move(done));
}
void SqliteJournal::put(Record record, Durability durability, std::function<void(Status)> done) {
  IntentId id = record.id;
  impl_->write({std::move(id), encode(record), durability, std::move(done)});
}
void SqliteJournal::erase(IntentId id, std::function<void(Status)> done) {
  impl_->write({std::move(id), "", Durability::Relaxed, std::move(done)});
}

}  // namespace multinet::agent::journal
