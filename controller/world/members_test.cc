#include "controller/world/members.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace multinet::controller {
namespace {

std::set<const int*> in(const Members<int>& members) {
  return {members.begin(), members.end()};
}

TEST(Members, AreNoneOneOrSeveralEachOnce) {
  const int a = 1;
  const int b = 2;
  const int c = 3;
  Members<int> members;
  EXPECT_TRUE(members.empty());
  EXPECT_EQ(members.begin(), members.end());
  members.insert(&a);
  members.insert(&a);
  EXPECT_EQ(members.size(), 1U);
  EXPECT_EQ(in(members), (std::set<const int*>{&a}));
  members.erase(&b);
  members.insert(&b);
  members.insert(&c);
  members.insert(&b);
  EXPECT_EQ(members.size(), 3U);
  EXPECT_EQ(in(members), (std::set<const int*>{&a, &b, &c}));
  EXPECT_TRUE(std::ranges::any_of(members, [&](const int* one) { return *one == c; }));
  members.erase(&a);
  members.erase(&c);
  EXPECT_EQ(in(members), (std::set<const int*>{&b}));
  members.erase(&b);
  EXPECT_TRUE(members.empty());
  EXPECT_EQ(members.begin(), members.end());
}

TEST(Members, AloneTakeTwoPointers) {
  EXPECT_EQ(sizeof(Members<int>), 2 * sizeof(void*));
}

}  // namespace
}  // namespace multinet::controller
