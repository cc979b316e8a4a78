#include "lib/program/program.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

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

// Death tests in children of their own: begin() makes the log's thread.
class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(ProgramTest, ServesUntilItIsToldToStop) {
  EXPECT_EXIT(main({"--own=served", "--log-format=json"}, "", 7), ExitedWithCode(7),
              "\"message\":\"stopping\".*\"signal\":\"15\"");
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
