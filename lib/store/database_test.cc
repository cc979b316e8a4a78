#include "lib/store/database.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace multinet::store {
namespace {

class DatabaseTest : public testing::Test {
 protected:
  DatabaseTest() {
    std::string pattern = testing::TempDir() + "/storeXXXXXX";
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/t.db";
  }
  ~DatabaseTest() override { std::filesystem::remove_all(directory_); }

  Database::Opened open(const std::vector<std::string>& migrations = {
                            "CREATE TABLE t(k TEXT, v INT)"}) {
    auto opened = Database::open(path_, migrations);
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    return std::move(*opened);
  }
  static std::int64_t rows(Database& database) {
    auto count = database.prepare("SELECT count(*) FROM t");
    EXPECT_TRUE(count->step().value());
    return count->number(0);
  }

  std::string directory_;
  std::string path_;
};

TEST_F(DatabaseTest, KeepsWhatWasCommittedAndDropsWhatWasNot) {
  {
    auto opened = open();
    EXPECT_EQ(opened.found, Found::Nothing);
    Database& database = opened.database;
    ASSERT_TRUE(database.begin(Durability::Synced).has_value());
    auto insert = database.prepare("INSERT INTO t VALUES(?,?)");
    ASSERT_TRUE(insert->bind(1, std::string("a\0b", 3)).bind(2, 7).run().has_value());
    ASSERT_TRUE(database.commit().has_value());
    ASSERT_TRUE(database.begin(Durability::Relaxed).has_value());
    ASSERT_TRUE(insert->bind(1, "lost").bind(2, 8).run().has_value());
    database.rollback();
  }
  auto opened = open();
  EXPECT_EQ(opened.found, Found::Existing);
  auto query = opened.database.prepare("SELECT k, v FROM t");
  ASSERT_TRUE(query->step().value());
  EXPECT_EQ(query->text(0), std::string("a\0b", 3));
  EXPECT_EQ(query->number(1), 7);
  EXPECT_FALSE(query->step().value());
}

TEST_F(DatabaseTest, SurvivesAKillWithoutClosing) {
  const pid_t child = fork();
  if (child == 0) {
    auto opened = open();
    const bool ok = opened.database.begin(Durability::Synced).has_value() &&
                    opened.database.execute("INSERT INTO t VALUES('x',1)").has_value() &&
                    opened.database.commit().has_value();
    if (!ok) _exit(1);
    static_cast<void>(raise(SIGKILL));
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  auto opened = open();
  EXPECT_EQ(rows(opened.database), 1);
}

TEST_F(DatabaseTest, MovesACorruptFileAside) {
  {
    auto opened = open();
  }
  {
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    file << std::string(8192, 'x');
  }
  auto opened = open();
  EXPECT_EQ(opened.found, Found::Corrupt);
  EXPECT_TRUE(std::filesystem::exists(opened.movedTo));
  EXPECT_EQ(rows(opened.database), 0);
}

TEST_F(DatabaseTest, MigratesFromTheFilesVersionOn) {
  const std::string first = "CREATE TABLE t(k TEXT, v INT)";
  {
    auto opened = open({first});
    ASSERT_TRUE(opened.database.execute("INSERT INTO t VALUES('x',1)").has_value());
  }
  auto opened = open({first, "ALTER TABLE t ADD COLUMN w TEXT"});
  EXPECT_EQ(rows(opened.database), 1);
  EXPECT_TRUE(opened.database.prepare("SELECT w FROM t").has_value());
}

TEST_F(DatabaseTest, ReadsOneVersionAheadAndRefusesTwo) {
  {
    auto opened = open({"CREATE TABLE t(k TEXT)", "SELECT 1", "SELECT 1"});
  }
  EXPECT_TRUE(Database::open(path_, {"CREATE TABLE t(k TEXT)", "SELECT 1"}).has_value());
  const auto refused = Database::open(path_, {"CREATE TABLE t(k TEXT)"});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, "NewerSchema");
}

TEST_F(DatabaseTest, AFailedMigrationLeavesNothingBehind) {
  EXPECT_FALSE(Database::open(path_, {"CREATE TABLE t(k TEXT); NONSENSE"}).has_value());
  auto opened = open();
  EXPECT_EQ(rows(opened.database), 0);
}

TEST_F(DatabaseTest, SaysWhenTheDirectoryIsNotThere) {
  const auto refused = Database::open("/nonexistent/dir/t.db", {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, "CannotOpen");
  EXPECT_NE(refused.error().message.find("/nonexistent/dir/t.db"), std::string::npos);
}

// A file size limit stands in for a full disk: the write fails half-way in the same way.
TEST_F(DatabaseTest, AWriteThatFindsNoSpaceFailsAndLosesNothing) {
  {
    auto opened = open();
  }
  const pid_t child = fork();
  if (child == 0) {
    static_cast<void>(signal(SIGXFSZ, SIG_IGN));
    auto opened = open();
    const rlimit limit{8192, 8192};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(2);
    auto insert = opened.database.prepare("INSERT INTO t VALUES(?,1)");
    Status status = opened.database.begin(Durability::Synced);
    for (int i = 0; i < 100 && status.has_value(); ++i) {
      status = insert->bind(1, std::string(4096, 'x')).run();
    }
    if (status.has_value()) status = opened.database.commit();
    _exit(status.has_value() ? 3 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  auto opened = open();
  EXPECT_EQ(rows(opened.database), 0);
}

}  // namespace
}  // namespace multinet::store
