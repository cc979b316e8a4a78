#include "nodeagent/watch/lingering.h"

#include <gtest/gtest.h>

namespace multinet::agent::watch {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using Names = std::set<std::string>;

const BootTime kStart(minutes(1));

TEST(Lingering, EndsAWhileAfterTheLastWish) {
  Lingering wanted(minutes(5));
  EXPECT_FALSE(wanted.next());
  EXPECT_EQ(wanted.update({"a", "b"}, kStart), (Names{"a", "b"}));
  EXPECT_EQ(wanted.update({"a"}, kStart + minutes(2)), (Names{"a", "b"}));
  EXPECT_EQ(wanted.next(), kStart + minutes(5));
  EXPECT_EQ(wanted.update({"a"}, kStart + minutes(5) - seconds(1)), (Names{"a", "b"}));
  EXPECT_EQ(wanted.update({"a"}, kStart + minutes(5)), Names{"a"});
  EXPECT_EQ(wanted.update({}, kStart + minutes(9)), Names{"a"});
  EXPECT_EQ(wanted.update({}, kStart + minutes(10)), Names{});
  EXPECT_FALSE(wanted.next());
}

TEST(Lingering, ATouchIsAWishOfThatMoment) {
  Lingering wanted(minutes(5));
  wanted.touch("a", kStart);
  EXPECT_EQ(wanted.update({}, kStart + minutes(4)), Names{"a"});
  wanted.touch("a", kStart + minutes(4));
  EXPECT_EQ(wanted.update({}, kStart + minutes(8)), Names{"a"});
  EXPECT_EQ(wanted.update({}, kStart + minutes(9)), Names{});
}

}  // namespace
}  // namespace multinet::agent::watch
