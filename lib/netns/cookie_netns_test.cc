#include "lib/netns/cookie.h"

#include <gtest/gtest.h>

namespace multinet::netns {
namespace {

TEST(Cookie, TellsNamespacesApartAndStays) {
  const auto home = openHome();
  ASSERT_TRUE(home);
  const auto one = make();
  const auto other = make();
  ASSERT_TRUE(one && other);
  const auto first = cookie(*one, *home);
  const auto second = cookie(*other, *home);
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_NE(*first, 0U);
  EXPECT_NE(*first, *second);
  EXPECT_EQ(*first, *cookie(*one, *home));
  const auto now = openHome();
  EXPECT_EQ(now->identity, home->identity) << "the thread came home";
}

}  // namespace
}  // namespace multinet::netns
