#include "lib/program/program.h"

#include <gtest/gtest.h>

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace multinet::program {
namespace {

using ::testing::ExitedWithCode;

/// What a main does, with a flag of its own.
[[noreturn]] void main(std::vector<const char*> arguments, const char* failpoints, int code) {
  ::setenv("MULTINET_FAILPOINTS", failpoints, 1);
  arguments.insert(arguments.begin(), "multinet-x");
  std::string own;
  CLI::App app("A test", "multinet-x");
  app.add_option("--own", own, "Its own");
  begin(app, static_cast<int>(arguments.size()), arguments.data());
  if (own == "broken") cantStart({Code::Unavailable, "Broken", "start x: it is broken"});
  std::raise(SIGTERM);
  awaitStop();
  leave(own == "served" ? code : 99);
}

/// Ends with the number of malloc's arenas after eight threads had memory at once.
[[noreturn]] void countArenas() {
  CLI::App app("A test", "multinet-x");
  const char* name = "multinet-x";
  begin(app, 1, &name);
  {
    std::barrier all(8);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&all] {
        const auto some = std::make_unique<std::vector<char>>(1000);
        all.arrive_and_wait();
      });
    }
  }
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* const out = ::open_memstream(&text, &size);
  ::malloc_info(0, out);
  std::fclose(out);
  const std::string info(text, size);
  int arenas = 0;
  for (auto at = info.find("<heap "); at != std::string::npos; at = info.find("<heap ", at + 1)) {
    ++arenas;
  }
  ::_exit(arenas);
}

// Death tests in children of their own: begin() makes the log's thread.
class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(ProgramTest, ServesUntilItIsToldToStop) {
  EXPECT_EXIT(main({"--own=served", "--log-format=json"}, "", 7), ExitedWithCode(7),
              "\"message\":\"stopping\".*\"signal\":\"15\"");
}

TEST_F(ProgramTest, KeepsItsThreadsMemoryTogether) {
  const auto few = [](int status) { return WIFEXITED(status) && WEXITSTATUS(status) <= 2; };
  EXPECT_EXIT(countArenas(), few, "");
}

TEST_F(ProgramTest, SaysWhyItCantStart) {
  EXPECT_EXIT(main({"--own=broken"}, "", 0), ExitedWithCode(1), "start x: it is broken");
}

TEST_F(ProgramTest, RefusesFlagsThatAreWrong) {
  EXPECT_EXIT(main({"--other"}, "", 0), ExitedWithCode(109), "--other");
  EXPECT_EXIT(main({"--log-level=loud"}, "", 0), ExitedWithCode(105), "--log-level");
  EXPECT_EXIT(main({"--help"}, "", 0), ExitedWithCode(0), "");
}

TEST_F(ProgramTest, RefusesFailpointsThatAreWrong) {
  EXPECT_EXIT(main({}, "x=nonsense", 0), ExitedWithCode(2), "can't arm failpoints");
}

}  // namespace
}  // namespace multinet::program
