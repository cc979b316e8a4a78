// The journal on a file system of its own that runs out of files.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "nodeagent/journal/sqlite_journal.h"

namespace multinet::agent::journal {
namespace {

Result<Loaded> load(Journal& journal) {
  std::promise<Result<Loaded>> promise;
  journal.load([&](Result<Loaded> loaded) { promise.set_value(std::move(loaded)); });
  return promise.get_future().get();
}

Status put(Journal& journal, const std::string& id) {
  Record record;
  record.id = IntentId(id);
  record.pod = {PodUid("uid"), "default", "web", 0};
  std::promise<Status> promise;
  journal.put(std::move(record), Durability::Synced,
              [&](Status status) { promise.set_value(std::move(status)); });
  return promise.get_future().get();
}

class SmallDisk : public testing::Test {
 protected:
  SmallDisk() {
    std::string pattern = testing::TempDir() + "/diskXXXXXX";
    directory_ = mkdtemp(pattern.data());
    EXPECT_EQ(::mount("none", directory_.c_str(), "tmpfs", 0, "size=8m,nr_inodes=12"), 0);
  }
  ~SmallDisk() override {
    EXPECT_EQ(::umount(directory_.c_str()), 0);
    std::filesystem::remove(directory_);
  }
  std::string path() const { return directory_ + "/journal.db"; }
  /// Files of somebody else's, until no more can be made.
  void fill() {
    for (int i = 0; i < 12; ++i) std::ofstream(directory_ + "/other" + std::to_string(i));
    struct statvfs there{};
    ASSERT_EQ(::statvfs(directory_.c_str(), &there), 0);
    ASSERT_EQ(there.f_favail, 0U);
  }
  void free() {
    for (int i = 0; i < 12; ++i) {
      std::filesystem::remove(directory_ + "/other" + std::to_string(i));
    }
  }
  std::string directory_;
};

TEST_F(SmallDisk, AJournalThatIsOpenWritesOn) {
  SqliteJournal journal(path());
  ASSERT_TRUE(load(journal).has_value());
  fill();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(put(journal, "a" + std::to_string(i)).has_value());
}

TEST_F(SmallDisk, OneThatCannotBeOpenedSaysThatInodesAreGoneAndGoesOnOnceThereAre) {
  {
    SqliteJournal journal(path());
    ASSERT_TRUE(load(journal).has_value());
    ASSERT_TRUE(put(journal, "a").has_value());
  }
  fill();
  SqliteJournal journal(path());
  const auto refused = load(journal);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, "DiskFull") << refused.error().message;
  EXPECT_NE(refused.error().message.find("df -i"), std::string::npos) << refused.error().message;
  free();
  const auto loaded = load(journal);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  EXPECT_EQ(loaded->records.size(), 1U);
  EXPECT_FALSE(loaded->lost);
}

}  // namespace
}  // namespace multinet::agent::journal
