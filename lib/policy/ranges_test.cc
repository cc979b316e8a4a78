#include "lib/policy/ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace multinet::policy {
namespace {

using testing::IsEmpty;

AddressRange range(const std::string& first, const std::string& last) {
  return {IpAddress::parse(first).value(), IpAddress::parse(last).value()};
}

TEST(Ranges, AreCommonWhereBothHaveThem) {
  const Ranges one = {range("10.0.0.0", "10.0.0.9"), range("10.0.0.20", "10.0.0.29"),
                      range("fd00::1", "fd00::9")};
  const Ranges other = {range("10.0.0.5", "10.0.0.24"), range("10.0.0.29", "10.0.0.40"),
                        range("fd00::9", "fd00::a")};
  const auto both = {range("10.0.0.5", "10.0.0.9"), range("10.0.0.20", "10.0.0.24"),
                     range("10.0.0.29", "10.0.0.29"), range("fd00::9", "fd00::9")};
  EXPECT_THAT(common(one, other), testing::ElementsAreArray(both));
  EXPECT_EQ(common(other, one), common(one, other));
  EXPECT_EQ(common(one, one), one);
  EXPECT_THAT(common(one, {}), IsEmpty());
  const Ranges all = {range("0.0.0.0", "255.255.255.255"),
                      range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")};
  EXPECT_EQ(common(all, one), one);
  EXPECT_EQ(common(all, all), all);
}

TEST(Ranges, AreWrittenAsNftListsThem) {
  EXPECT_EQ(textOf(range("10.0.0.1", "10.0.0.1")), "10.0.0.1");
  EXPECT_EQ(textOf(range("10.0.0.0", "10.0.0.255")), "10.0.0.0/24");
  EXPECT_EQ(textOf(range("10.0.0.1", "10.0.0.255")), "10.0.0.1-10.0.0.255");
  EXPECT_EQ(textOf(range("0.0.0.0", "255.255.255.255")), "0.0.0.0/0");
  EXPECT_EQ(textOf(range("fd00::", "fd00::1")), "fd00::/127");
}

}  // namespace
}  // namespace multinet::policy
