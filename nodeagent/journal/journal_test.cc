#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>

#include "lib/base/failpoint.h"
#include "lib/base/fake_clock.h"
#include "lib/store/database.h"
#include "nodeagent/journal/sqlite_journal.h"

namespace multinet::agent::journal {
namespace {

InterfaceStatus anInterface() {
  InterfaceStatus status;
  InterfacePlan& plan = status.plan;
  plan.name = InterfaceName::parse("net1").value();
  plan.network = NetworkName("blue");
  plan.networkUid = NetworkUid("uid-blue");
  plan.attachment = "nas";
  plan.link = drivers::macvlan::Link{"eth1", api::MacvlanMode::Vepa, 100};
  plan.mac = MacAddress::derive("seed");
  plan.mtu = 1450;
  plan.addresses = {
      {InterfaceAddress::parse("10.20.0.5/16").value(), IpAddress::parse("10.20.0.1").value()},
      {InterfaceAddress::parse("fd00:20::5/64").value(), std::nullopt}};
  plan.routes = {{IpPrefix::parse("192.168.0.0/16").value(), IpAddress::parse("10.20.0.1").value()},
                 {IpPrefix::parse("fd01::/64").value(), std::nullopt}};
  plan.defaultGatewayV6 = true;
  plan.clusterPrefixes = {IpPrefix::parse("fd00:96::/108").value()};
  status.state = InterfaceState::Attached;
  status.ifindex = 7;
  status.reason = "Attached";
  status.message = "with \"quotes\" and \n";
  status.attachedAt = WallTime(std::chrono::seconds(1767225600));
  status.link = LinkState::Down;
  status.secured = {true, "Enforced", "it is"};
  return status;
}

Record aRecord(const std::string& id) {
  Record record;
  record.id = IntentId(id);
  record.pod = {PodUid("pod-uid"), "default", "web-0", 3};
  record.sandbox = SandboxId("sandbox-" + id);
  record.state = State::Attached;
  record.bootId = "boot";
  record.interfaces = {anInterface()};
  record.changedAt = WallTime(std::chrono::nanoseconds(1767225600123456789));
  record.quarantinedUntil = BootTime(std::chrono::seconds(660));
  record.doubt = Doubt::Unconfirmed;
  record.rollbackFailed = true;
  record.message = "why";
  return record;
}

TEST(RecordTest, ReadsWhatItWrote) {
  const auto read = decode(encode(aRecord("a")));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(*read, aRecord("a"));
}

TEST(RecordTest, ReadsTheNextFormatAndKeepsWhatItDoesNotKnow) {
  std::string text = encode(aRecord("a"));
  text.replace(text.find("\"format\":1"), 10, "\"format\":2,\"new\":{\"x\":[1]}");
  text.replace(text.find("\"mtu\":1450"), 10, "\"mtu\":1450,\"later\":7");
  text.replace(text.find("\"attempt\":3"), 11, "\"attempt\":3,\"attempts\":[1,2]");
  Record read = decode(text).value();
  EXPECT_NE(read.unknown, "");
  read.doubt = Doubt::None;
  read.interfaces[0].plan.name = InterfaceName::parse("net1").value();
  const std::string again = encode(read);
  for (const char* kept : {"\"new\":{\"x\":[1]}", "\"later\":7", "\"attempts\":[1,2]",
                           "\"doubt\":\"\"", "\"format\":1"}) {
    EXPECT_NE(again.find(kept), std::string::npos) << kept << " in " << again;
  }
  EXPECT_EQ(decode(again).value(), read);
  read.interfaces.clear();
  EXPECT_EQ(encode(read).find("later"), std::string::npos) << "of an interface that is gone";
  read.unknown.clear();
  text.replace(text.find("\"format\":2"), 10, "\"format\":3");
  EXPECT_EQ(decode(text).error().reason, "BadRecord");
}

TEST(RecordTest, ADoubtStandsInTheRecord) {
  Record record = aRecord("a");
  for (const Doubt doubt : {Doubt::None, Doubt::Unseen, Doubt::NoLinks, Doubt::Unconfirmed}) {
    record.doubt = doubt;
    EXPECT_EQ(decode(encode(record)).value().doubt, doubt);
  }
  std::string text = encode(record);
  text.replace(text.find("\"Unconfirmed\""), 13, "\"Forged\"");
  EXPECT_EQ(decode(text).value().doubt, Doubt::Unseen) << "a doubt that isn't known is one";
  record.doubt = Doubt::None;
  record.interfaces.clear();
  EXPECT_EQ(decode(encode(record)).value().doubt, Doubt::Unseen) << "attached, and to nothing";
}

TEST(RecordTest, ARestIsNeitherLostNorLongerHoweverClocksAreSet) {
  using std::chrono::seconds;
  Record record = aRecord("a");
  const BootTime now(seconds(650));
  EXPECT_EQ(quarantineLeft(record, "boot", now, seconds(60)), seconds(10));
  EXPECT_EQ(quarantineLeft(record, "boot", now + seconds(60), seconds(60)), Duration{});
  EXPECT_EQ(quarantineLeft(record, "boot", BootTime(seconds(1)), seconds(60)), seconds(60));
  EXPECT_EQ(quarantineLeft(record, "other", now + seconds(60), seconds(60)), seconds(60));
  record.quarantinedUntil = {};  // written by an older program
  EXPECT_EQ(quarantineLeft(record, "boot", now, seconds(60)), seconds(60));
}

TEST(RecordTest, SaysWhatItCannotRead) {
  const std::string good = encode(aRecord("a"));
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"state\":3", "\"state\":9"},
           {"\"id\":\"a\"", "\"id\":\"\""},
           {"10.20.0.5/16", "10.20.0.500/16"},
           {"\"name\":\"net1\"", "\"name\":\"a/b\""},
           {"\"type\":\"Macvlan\"", "\"type\":\"Token\""},
           {"\"pod\":{", "\"pad\":{"}}) {
    std::string text = good;
    ASSERT_NE(text.find(from), std::string::npos) << from;
    text.replace(text.find(from), from.size(), to);
    EXPECT_EQ(decode(text).error().reason, "BadRecord") << to;
  }
  for (const char* text : {"", "{", "[]", "null", "{}", "{\"format\":\"1\"}", "\xff\xfe"}) {
    EXPECT_FALSE(decode(text).has_value()) << text;
  }
}

// A torn or flipped record is an error, never a crash.
TEST(RecordProperty, AnyDamageIsAnErrorOrARecord) {
  const std::string good = encode(aRecord("a"));
  EXPECT_TRUE(rc::check("damaged records", [&good] {
    std::string text = good.substr(0, *rc::gen::inRange<std::size_t>(0, good.size() + 1));
    if (!text.empty())
      text[*rc::gen::inRange<std::size_t>(0, text.size())] = *rc::gen::arbitrary<char>();
    const auto read = decode(text);
    RC_ASSERT(read.has_value() || read.error().code == Code::DataLoss);
  }));
}

class SqliteJournalTest : public testing::Test {
 protected:
  SqliteJournalTest() {
    std::string pattern = testing::TempDir() + "/journalXXXXXX";
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/journal.db";
    std::string inMemory = "/dev/shm/notesXXXXXX";
    notes_ = mkdtemp(inMemory.data());
  }
  ~SqliteJournalTest() override {
    std::filesystem::remove_all(directory_);
    std::filesystem::remove_all(notes_);
  }

  static Result<Loaded> load(Journal& journal) {
    std::promise<Result<Loaded>> promise;
    journal.load([&](Result<Loaded> loaded) { promise.set_value(std::move(loaded)); });
    return promise.get_future().get();
  }
  static Status put(Journal& journal, Record record, Durability durability = Durability::Synced) {
    std::promise<Status> promise;
    journal.put(std::move(record), durability, [&](Status s) { promise.set_value(std::move(s)); });
    return promise.get_future().get();
  }
  static Status note(Journal& journal, Record record) {
    std::promise<Status> promise;
    journal.note(std::move(record), [&](Status s) { promise.set_value(std::move(s)); });
    return promise.get_future().get();
  }
  [[nodiscard]] JournalOptions withNotes() const { return {.notes = notes_}; }
  /// How many notes wait for the file.
  [[nodiscard]] std::ptrdiff_t waiting() const {
    return std::distance(std::filesystem::directory_iterator(notes_), {});
  }
  static Status erase(Journal& journal, const std::string& id) {
    std::promise<Status> promise;
    journal.erase(IntentId(id), [&](Status s) { promise.set_value(std::move(s)); });
    return promise.get_future().get();
  }

  std::string directory_;
  std::string path_;
  std::string notes_;
};

TEST_F(SqliteJournalTest, KeepsRecordsOverARestart) {
  {
    SqliteJournal journal(path_);
    EXPECT_TRUE(load(journal)->lost);
    ASSERT_TRUE(put(journal, aRecord("a")).has_value());
    ASSERT_TRUE(put(journal, aRecord("b"), Durability::Relaxed).has_value());
    Record changed = aRecord("a");
    changed.state = State::Detached;
    ASSERT_TRUE(put(journal, changed).has_value());
    ASSERT_TRUE(erase(journal, "b").has_value());
    ASSERT_TRUE(erase(journal, "never-there").has_value());
  }
  SqliteJournal journal(path_);
  const auto loaded = load(journal);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_FALSE(loaded->lost);
  ASSERT_EQ(loaded->records.size(), 1U);
  EXPECT_EQ(loaded->records[0].state, State::Detached);
}

TEST_F(SqliteJournalTest, AnsweredMeansWrittenAlsoWhenKilled) {
  const pid_t child = fork();
  if (child == 0) {
    SqliteJournal journal(path_);
    if (!load(journal).has_value() || !put(journal, aRecord("a"), Durability::Relaxed)) _exit(1);
    static_cast<void>(raise(SIGKILL));
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  SqliteJournal journal(path_);
  EXPECT_EQ(load(journal)->records.size(), 1U);
}

TEST_F(SqliteJournalTest, ANoteIsAnsweredWithoutTheFileAndOutlivesTheProcess) {
  const pid_t child = fork();
  if (child == 0) {
    SqliteJournal journal(path_, withNotes());
    if (!load(journal)) _exit(1);
    bool isAnswered = false;  // before the call returns
    journal.note(aRecord("a"), [&](const Status& status) { isAnswered = status.has_value(); });
    if (!isAnswered || waiting() != 1) _exit(2);
    if (!note(journal, aRecord("b")) || !put(journal, aRecord("b")) || waiting() > 2) _exit(3);
    static_cast<void>(raise(SIGKILL));
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
  for (int start = 0; start < 2; ++start) {
    SqliteJournal journal(path_, withNotes());
    const auto loaded = load(journal);
    EXPECT_EQ(loaded->records.size(), 2U) << "start " << start;
    EXPECT_FALSE(loaded->lost) << "start " << start;
    EXPECT_EQ(waiting(), 0) << "the file has them";
  }
}

TEST_F(SqliteJournalTest, ANoteGoesOnceTheFileHasItsRecordOrItsEnd) {
  SqliteJournal journal(path_, withNotes());
  ASSERT_TRUE(load(journal));
  ASSERT_TRUE(note(journal, aRecord("a")));
  ASSERT_TRUE(note(journal, aRecord("b")));
  EXPECT_EQ(waiting(), 2);
  ASSERT_TRUE(put(journal, aRecord("a")));
  ASSERT_TRUE(erase(journal, "b"));
  ASSERT_TRUE(erase(journal, "c"));  // whose answer comes after the notes of before are gone
  EXPECT_EQ(waiting(), 0);
  EXPECT_EQ(load(journal)->records.size(), 1U);
}

TEST_F(SqliteJournalTest, ANoteWaitsForTheFileWhereThatIsAllThereIs) {
  for (const std::string& notes : {std::string(), std::string("/proc/notes"), directory_}) {
    SqliteJournal journal(path_, {.notes = notes});
    ASSERT_TRUE(load(journal)) << notes;
    ASSERT_TRUE(note(journal, aRecord("a"))) << notes;
    EXPECT_EQ(load(journal)->records.size(), 1U) << notes;
    ASSERT_TRUE(erase(journal, "a"));
  }
}

TEST_F(SqliteJournalTest, ADiskThatFailsRefusesNotesToo) {
  SqliteJournal journal(path_, withNotes());
  ASSERT_TRUE(load(journal));
  ASSERT_TRUE(failpoint::arm("journal.commit.before=error"));
  EXPECT_TRUE(note(journal, aRecord("a"))) << "nobody knows yet";
  EXPECT_FALSE(put(journal, aRecord("a")));
  EXPECT_FALSE(note(journal, aRecord("b")));
  EXPECT_EQ(waiting(), 1) << "what the file can't forget is kept";
  ASSERT_TRUE(failpoint::arm(""));
  EXPECT_TRUE(note(journal, aRecord("b"))) << "by the file";
  EXPECT_TRUE(note(journal, aRecord("c")));
  EXPECT_EQ(waiting(), 2) << "it is trusted again";
}

TEST_F(SqliteJournalTest, ANoteThatIsTornIsDoubtOnce) {
  {
    SqliteJournal journal(path_, withNotes());
    ASSERT_TRUE(load(journal));
  }
  std::ofstream(notes_ + "/torn") << encode(aRecord("torn")).substr(0, 100);
  std::ofstream(notes_ + "/other") << encode(aRecord("another"));
  std::filesystem::create_directory(notes_ + "/.hidden");
  {
    SqliteJournal journal(path_, withNotes());
    const auto loaded = load(journal);
    ASSERT_TRUE(loaded);
    EXPECT_TRUE(loaded->lost);
    EXPECT_TRUE(loaded->records.empty());
  }
  SqliteJournal journal(path_, withNotes());
  EXPECT_FALSE(load(journal)->lost);
}

TEST_F(SqliteJournalTest, ADirectoryOfNotesThatIsRemovedIsMadeAnew) {
  SqliteJournal journal(path_, withNotes());
  ASSERT_TRUE(load(journal));
  std::filesystem::remove_all(notes_);
  ASSERT_TRUE(note(journal, aRecord("a")));
  EXPECT_EQ(waiting(), 1);
}

TEST_F(SqliteJournalTest, ManyAtOnceAreAllAnsweredInOrder) {
  // The machine's own disk may take its time.
  SqliteJournal journal(path_, {.patience = std::chrono::minutes(1)});
  ASSERT_TRUE(load(journal).has_value());
  constexpr int kCount = 500;
  std::vector<int> order;
  std::promise<void> all;
  for (int i = 0; i < kCount; ++i) {
    journal.put(aRecord(std::to_string(i)), Durability::Synced, [&, i](const Status& status) {
      EXPECT_TRUE(status.has_value());
      order.push_back(i);
      if (i == kCount - 1) all.set_value();
    });
  }
  all.get_future().get();
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(load(journal)->records.size(), static_cast<std::size_t>(kCount));
}

TEST_F(SqliteJournalTest, RefusesBeforeItIsOpenAndSaysWhyItCannot) {
  SqliteJournal closed(path_);
  EXPECT_EQ(put(closed, aRecord("a")).error().reason, "JournalClosed");
  const std::string place = path_ + ".d";
  std::ofstream(place) << "a file where the directory should be";
  SqliteJournal journal(place + "/journal.db");
  EXPECT_FALSE(load(journal).has_value());
  const auto refused = put(journal, aRecord("a"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find(place), std::string::npos);
  std::filesystem::remove(place);
  EXPECT_TRUE(load(journal).has_value()) << "it makes its directory once it can";
}

TEST_F(SqliteJournalTest, AnotherNodesJournalIsPutAsideUnread) {
  std::string id;
  {
    SqliteJournal journal(path_, {.node = NodeName("a")});
    const auto first = load(journal);
    ASSERT_TRUE(first.has_value());
    id = first->id;
    EXPECT_EQ(id.size(), 32U);
    ASSERT_TRUE(put(journal, aRecord("a")).has_value());
  }
  {
    SqliteJournal journal(path_, {.node = NodeName("b")});
    const auto loaded = load(journal);
    ASSERT_TRUE(loaded.has_value());
    EXPECT_TRUE(loaded->records.empty());
    EXPECT_TRUE(loaded->lost) << "what runs here is looked for";
    EXPECT_EQ(loaded->putAsideOf, "a");
    EXPECT_NE(loaded->id, id);
    EXPECT_EQ(load(journal)->id, loaded->id);
  }
  {
    SqliteJournal journal(path_, {.node = NodeName("b")});
    const auto loaded = load(journal);
    EXPECT_EQ(loaded->putAsideOf, "") << "it is b's by now";
    EXPECT_FALSE(loaded->lost);
  }
  std::size_t kept = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("journal.db.of-another-node-")) continue;
    if (name.ends_with("-wal") || name.ends_with("-shm")) continue;
    ++kept;
    SqliteJournal journal(entry.path());
    EXPECT_EQ(load(journal)->records.size(), 1U) << "nothing of it is lost";
  }
  EXPECT_EQ(kept, 1U);
}

TEST_F(SqliteJournalTest, AJournalThatSaysNoNodeIsOwn) {
  {
    SqliteJournal journal(path_);
    ASSERT_TRUE(load(journal).has_value());
    ASSERT_TRUE(put(journal, aRecord("a")).has_value());
  }
  {
    // As a version before there was such a word left it.
    auto opened = store::Database::open(path_, {}, 10).value();
    ASSERT_TRUE(opened.database.execute("DROP TABLE about").has_value());
  }
  {
    SqliteJournal journal(path_, {.node = NodeName("a")});
    const auto loaded = load(journal);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_EQ(loaded->records.size(), 1U);
    EXPECT_FALSE(loaded->lost);
  }
  SqliteJournal journal(path_, {.node = NodeName("b")});
  EXPECT_EQ(load(journal)->putAsideOf, "a") << "from then on it says one";
}

// A node goes back to it as long as it is one step behind.
TEST_F(SqliteJournalTest, TheFirstVersionReadsWhatThisOneWrote) {
  {
    SqliteJournal journal(path_, {.node = NodeName("a")});
    ASSERT_TRUE(load(journal).has_value());
    ASSERT_TRUE(put(journal, aRecord("a")).has_value());
  }
  const auto opened = store::Database::open(
      path_, {"CREATE TABLE intent(id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID"});
  EXPECT_TRUE(opened.has_value()) << opened.error().message;
}

TEST_F(SqliteJournalTest, WrittenAnewItSaysTheSameOfItself) {
  std::string id;
  {
    SqliteJournal journal(path_, {.node = NodeName("a")});
    id = load(journal)->id;
    ASSERT_TRUE(put(journal, aRecord("a")).has_value());
    std::filesystem::remove(path_);
    ASSERT_TRUE(put(journal, aRecord("b")).has_value());
  }
  SqliteJournal journal(path_, {.node = NodeName("a")});
  const auto loaded = load(journal);
  EXPECT_EQ(loaded->id, id);
  EXPECT_EQ(loaded->records.size(), 2U);
}

TEST_F(SqliteJournalTest, WaitsForThePredecessorsLock) {
  auto first = std::make_unique<SqliteJournal>(path_);
  ASSERT_TRUE(load(*first).has_value());
  SqliteJournal second(path_);
  EXPECT_EQ(load(second).error().reason, "JournalLocked");
  first.reset();
  EXPECT_TRUE(load(second).has_value());
}

TEST_F(SqliteJournalTest, ACorruptFileIsLostAndSetAside) {
  {
    std::ofstream file(path_, std::ios::binary);
    file << std::string(4096, '\x5a');
  }
  SqliteJournal journal(path_);
  const auto loaded = load(journal);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  EXPECT_TRUE(loaded->lost);
  EXPECT_TRUE(put(journal, aRecord("a")).has_value());
}

TEST_F(SqliteJournalTest, OneUnreadableRecordIsDoubtOnceNotTheEndOfAll) {
  {
    SqliteJournal journal(path_);
    ASSERT_TRUE(load(journal).has_value());
    ASSERT_TRUE(put(journal, aRecord("a")).has_value());
  }
  {
    auto opened = store::Database::open(path_, {"", ""});
    ASSERT_TRUE(opened->database.execute("INSERT INTO intent VALUES('b','garbage')").has_value());
  }
  for (const bool lost : {true, false}) {
    SqliteJournal journal(path_);
    const auto loaded = load(journal);
    ASSERT_TRUE(loaded.has_value());
    EXPECT_EQ(loaded->lost, lost) << "it is told once";
    EXPECT_EQ(loaded->records.size(), 1U);
  }
  auto opened = store::Database::open(path_, {"", ""});
  auto query = opened->database.prepare("SELECT record FROM unreadable WHERE id='b'");
  ASSERT_TRUE(query->step().value());
  EXPECT_EQ(query->text(0), "garbage") << "people may want to see it";
}

TEST_F(SqliteJournalTest, AFileThatBreaksWhileItIsOpenIsWrittenAnew) {
  const auto cut = [this] { std::filesystem::resize_file(path_, 0); };
  const auto remove = [this] {
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + suffix);
  };
  const auto replace = [this] {
    std::filesystem::rename(path_, path_ + ".older");
    std::filesystem::copy_file(path_ + ".older", path_);
  };
  int number = 0;
  for (const std::function<void()>& damage :
       std::vector<std::function<void()>>{cut, remove, replace}) {
    const std::string later = "later" + std::to_string(++number);
    {
      SqliteJournal journal(path_);
      ASSERT_TRUE(load(journal).has_value());
      ASSERT_TRUE(put(journal, aRecord("a")).has_value());
      ASSERT_TRUE(put(journal, aRecord("b")).has_value());
      ASSERT_TRUE(erase(journal, "b").has_value());
      damage();
      const Status written = put(journal, aRecord(later));
      ASSERT_TRUE(written.has_value()) << number << ": " << written.error().message;
    }
    SqliteJournal journal(path_);
    const auto loaded = load(journal);
    ASSERT_TRUE(loaded.has_value()) << number;
    EXPECT_FALSE(loaded->lost) << number;
    EXPECT_EQ(loaded->records.size(), 1U + static_cast<std::size_t>(number));
  }
}

TEST_F(SqliteJournalTest, ADirectoryThatIsMovedAwayIsMadeAnewAndLocked) {
  const std::string away = directory_ + ".away";
  {
    SqliteJournal journal(path_);
    ASSERT_TRUE(load(journal).has_value());
    ASSERT_TRUE(put(journal, aRecord("a")).has_value());
    std::filesystem::rename(directory_, away);
    const Status written = put(journal, aRecord("b"));
    ASSERT_TRUE(written.has_value()) << written.error().message;
    SqliteJournal second(path_);
    EXPECT_EQ(load(second).error().reason, "JournalLocked");
  }
  SqliteJournal journal(path_);
  const auto loaded = load(journal);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->records.size(), 2U);
  std::filesystem::remove_all(away);
}

TEST_F(SqliteJournalTest, WhatCannotBePreparedIsNotHalfOpen) {
  SqliteJournal journal(path_);
  ASSERT_TRUE(failpoint::arm("journal.prepare@1=error").has_value());
  EXPECT_FALSE(load(journal).has_value());
  EXPECT_FALSE(put(journal, aRecord("a")).has_value());
  ASSERT_TRUE(failpoint::arm("").has_value());
  const auto loaded = load(journal);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_TRUE(loaded->lost) << "that there was none must not be forgotten";
  EXPECT_TRUE(put(journal, aRecord("a")).has_value());
}

TEST_F(SqliteJournalTest, ADiskThatHangsIsToldInTimeAndWritesInTheEnd) {
  FakeClock clock;
  {
    SqliteJournal journal(path_,
                          {.patience = std::chrono::seconds(2), .clock = &clock, .notes = notes_});
    ASSERT_TRUE(load(journal).has_value());
    ASSERT_TRUE(failpoint::arm("journal.commit.before@1=delay:100").has_value());
    std::promise<Status> slow;
    journal.put(aRecord("a"), Durability::Synced,
                [&slow](Status status) { slow.set_value(std::move(status)); });
    clock.advance(std::chrono::seconds(2));
    EXPECT_EQ(slow.get_future().get().error().reason, "JournalSlow");
    EXPECT_EQ(put(journal, aRecord("b")).error().reason, "JournalSlow") << "at once";
    EXPECT_EQ(note(journal, aRecord("c")).error().reason, "JournalSlow") << "at once";
  }
  ASSERT_TRUE(failpoint::arm("").has_value());
  SqliteJournal journal(path_);
  EXPECT_EQ(load(journal)->records.size(), 3U);
}

}  // namespace
}  // namespace multinet::agent::journal
