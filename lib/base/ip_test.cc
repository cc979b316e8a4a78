#include "lib/base/ip.h"

#include <gtest/gtest.h>

namespace multinet {
namespace {

TEST(IpAddress, ReadsAndWritesCanonicalText) {
  for (const char* text : {"10.20.0.1", "0.0.0.0", "255.255.255.255", "1.200.30.4"}) {
    EXPECT_EQ(IpAddress::parse(text)->str(), text);
  }
  EXPECT_EQ(IpAddress::parse("fd00:0020::0001")->str(), "fd00:20::1");
}

TEST(IpAddress, RefusesWhatIsAmbiguous) {
  for (const char* bad : {"", "10.20.0", "010.1.1.1", "10.00.0.1", "10.0.0.256", "10.0.0.1.",
                          "10.0.0.1.2", "10..0.1", "10.0.0.", "-1.0.0.1", "+1.0.0.1", "1.0.0.0x1",
                          "::ffff:10.0.0.1", "fe80::1%eth0", "10.0.0.1/8", " 10.0.0.1"}) {
    EXPECT_FALSE(IpAddress::parse(bad)) << bad;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("10.0.0.1\0x", 10)));
}

TEST(IpAddress, KnowsItsScope) {
  EXPECT_TRUE(IpAddress::parse("127.3.0.1")->isLoopback());
  EXPECT_TRUE(IpAddress::parse("::1")->isLoopback());
  EXPECT_TRUE(IpAddress::parse("239.1.1.1")->isMulticast());
  EXPECT_TRUE(IpAddress::parse("ff02::1")->isMulticast());
  EXPECT_TRUE(IpAddress::parse("169.254.1.1")->isLinkLocal());
  EXPECT_TRUE(IpAddress::parse("febf::1")->isLinkLocal());
  EXPECT_FALSE(IpAddress::parse("fec0::1")->isLinkLocal());
  EXPECT_TRUE(IpAddress::parse("fd00::1")->isPrivate());
  EXPECT_TRUE(IpAddress::parse("172.31.255.255")->isPrivate());
  EXPECT_FALSE(IpAddress::parse("172.32.0.0")->isPrivate());
}

TEST(IpPrefix, RefusesHostBitsAndSaysWhatIsRight) {
  const auto prefix = IpPrefix::parse("10.20.1.0/16");
  ASSERT_FALSE(prefix);
  EXPECT_NE(prefix.error().message.find("10.20.0.0/16 would be right"), std::string::npos);
}

TEST(IpPrefix, HandlesTheEdgesOfBothFamilies) {
  EXPECT_EQ(IpPrefix::parse("0.0.0.0/0")->last().str(), "255.255.255.255");
  EXPECT_EQ(IpPrefix::parse("::/0")->last().str(), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  EXPECT_EQ(IpPrefix::parse("10.0.0.1/32")->lastOffset(), U128{0});
  EXPECT_FALSE(IpPrefix::parse("10.0.0.0/33"));
  EXPECT_FALSE(IpPrefix::parse("10.0.0.0/08"));
  EXPECT_FALSE(IpPrefix::parse("fd00::/129"));
}

TEST(IpPrefix, ContainsAndOverlaps) {
  const IpPrefix wide = *IpPrefix::parse("10.0.0.0/8");
  const IpPrefix narrow = *IpPrefix::parse("10.255.0.0/16");
  EXPECT_TRUE(wide.contains(narrow));
  EXPECT_FALSE(narrow.contains(wide));
  EXPECT_TRUE(narrow.overlaps(wide));
  EXPECT_FALSE(wide.overlaps(*IpPrefix::parse("fd00::/8")));
}

TEST(Decimal, WritesBeyondSixtyFourBits) {
  EXPECT_EQ(decimal(U128{1} << 64U), "18446744073709551616");
  EXPECT_EQ(decimal(0), "0");
}

}  // namespace
}  // namespace multinet
