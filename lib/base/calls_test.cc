#include "lib/base/calls.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace multinet::calls {
namespace {

TEST(Calls, AreToldWithTheirOutcomeOnceSomebodyObserves) {
  const auto good = [] { return Result<int>(7); };
  const auto bad = []() -> Status { return fail(Code::NotFound, "NotFound", "no such device"); };
  EXPECT_EQ(timed("netlink", "get", good).value(), 7);

  static std::vector<std::string> told;
  observe([](const Call& call) {
    told.push_back(std::string(call.door) + " " + call.call + " " + std::string(name(call.code)));
    EXPECT_GE(call.took, Duration{});
  });
  EXPECT_EQ(timed("netlink", "get", good).value(), 7);
  EXPECT_EQ(timed("nft", "commit", bad).error().reason, "NotFound");
  EXPECT_EQ(told, (std::vector<std::string>{"netlink get Ok", "nft commit NotFound"}));
}

}  // namespace
}  // namespace multinet::calls
