#include "nodeagent/crash_count.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lib/base/fake_clock.h"
#include "lib/base/fd.h"

namespace multinet::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CrashCountTest : public testing::Test {
 protected:
  CrashCountTest() {
    std::string pattern = testing::TempDir() + "/startsXXXXXX";
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/state/starts";
  }
  ~CrashCountTest() override { std::filesystem::remove_all(directory_); }

  CrashCount process() { return CrashCount(path_, clock_); }
  /// A process that dies a moment after its start; true where it came up in safe mode.
  bool crash(Duration after = milliseconds(300)) {
    const bool safe = process().begin();
    clock_.advance(after);
    return safe;
  }
  void crashes(int count) {
    for (int i = 0; i < count; ++i) EXPECT_FALSE(crash()) << i;
  }

  FakeClock clock_;
  std::string directory_;
  std::string path_;
};

TEST_F(CrashCountTest, FiveStartsThatEndedEarlyAreTooMany) {
  crashes(5);
  EXPECT_TRUE(crash());
  EXPECT_TRUE(crash()) << "safe mode must hold while it crashes as well";
}

TEST_F(CrashCountTest, OldCrashesDontCount) {
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(crash(seconds(16))) << i;
}

TEST_F(CrashCountTest, AStartThatLivedClearsTheCount) {
  crashes(4);
  CrashCount lives = process();
  EXPECT_FALSE(lives.begin());
  lives.settle();
  crashes(5);
  EXPECT_TRUE(crash());
}

TEST_F(CrashCountTest, AStartThatWasEndedIsNoCrash) {
  for (int i = 0; i < 20; ++i) {
    CrashCount ends = process();
    EXPECT_FALSE(ends.begin()) << i;
    ends.end();
    ends.end();  // a second time is nothing
  }
}

TEST_F(CrashCountTest, AfterSafeModeOneCrashIsEnough) {
  crashes(5);
  CrashCount safe = process();
  ASSERT_TRUE(safe.begin());
  clock_.advance(seconds(60));
  safe.tryAgain();
  clock_.advance(seconds(1));
  EXPECT_TRUE(crash());
  clock_.advance(seconds(60));
  CrashCount again = process();
  EXPECT_FALSE(again.begin());
  again.tryAgain();
  again.settle();
  crashes(5);
}

TEST_F(CrashCountTest, WhoNeverBeganWritesNothing) {
  CrashCount untold = process();
  untold.settle();
  untold.end();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(CrashCountTest, ADirectoryThatTakesNoFileNeverMeansSafeMode) {
  std::ofstream(directory_ + "/state") << "a file";
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(crash()) << i;
}

TEST_F(CrashCountTest, RubbishAndTimesToComeDontCount) {
  ASSERT_TRUE(makePrivateDirectory(directory_ + "/state").has_value());
  std::string later;
  for (int i = 0; i < 9; ++i) later += "9999999999999\n";
  for (const std::string& text : {std::string("x\n\n-1\n99999999999999999999999\n\0\n", 32), later,
                                  std::string(100'000, '1')}) {
    std::ofstream(path_) << text;
    EXPECT_FALSE(crash());
  }
}

TEST_F(CrashCountTest, TheFileStaysSmall) {
  for (int i = 0; i < 100; ++i) static_cast<void>(crash(milliseconds(1)));
  EXPECT_LT(std::filesystem::file_size(path_), 200U);
}

}  // namespace
}  // namespace multinet::agent
