#include "nodeagent/attach/announcement.h"

#include <gtest/gtest.h>

namespace multinet::agent::attach {
namespace {

using Bytes = std::vector<std::uint8_t>;

const MacAddress kMac = MacAddress::parse("0a:58:0a:14:00:05").value();

TEST(Announcement, OfIpv4IsARequestForItself) {
  const auto made = announcementOf(IpAddress::parse("10.20.0.5").value(), kMac);
  EXPECT_EQ(made.ethertype, 0x0806);
  EXPECT_EQ(made.frame.from, kMac);
  EXPECT_EQ(made.frame.to.str(), "ff:ff:ff:ff:ff:ff");
  EXPECT_EQ(made.frame.payload, (Bytes{0,  1,  8, 0, 6, 4, 0, 1, 0x0a, 0x58, 0x0a, 0x14, 0, 5,
                                       10, 20, 0, 5, 0, 0, 0, 0, 0,    0,    10,   20,   0, 5}));
}

TEST(Announcement, OfIpv6IsAnOverridingAdvertisementToAllNodes) {
  const IpAddress address = IpAddress::parse("fd00:20::5").value();
  const auto made = announcementOf(address, kMac);
  EXPECT_EQ(made.ethertype, 0x86dd);
  EXPECT_EQ(made.frame.to.str(), "33:33:00:00:00:01");
  const Bytes& packet = made.frame.payload;
  ASSERT_EQ(packet.size(), 72U);
  EXPECT_EQ((Bytes(packet.begin(), packet.begin() + 8)), (Bytes{0x60, 0, 0, 0, 0, 32, 58, 255}));
  const auto own = address.bytes();
  EXPECT_EQ(Bytes(packet.begin() + 8, packet.begin() + 24), Bytes(own.begin(), own.end()));
  EXPECT_EQ(packet[40], 136) << "neighbour advertisement";
  EXPECT_EQ(packet[44], 0x20) << "override alone: neither router nor solicited";
  EXPECT_EQ(Bytes(packet.begin() + 48, packet.begin() + 64), Bytes(own.begin(), own.end()));
  EXPECT_EQ(Bytes(packet.begin() + 64, packet.end()), (Bytes{2, 1, 0x0a, 0x58, 0x0a, 0x14, 0, 5}));
  // RFC 4443, 2.3: over addresses, length, type and message all ones.
  std::uint32_t sum = 32 + 58;
  for (std::size_t i = 8; i < packet.size(); i += 2) {
    sum += static_cast<std::uint32_t>(packet[i]) << 8U | packet[i + 1];
  }
  while (sum > 0xffffU) sum = (sum & 0xffffU) + (sum >> 16U);
  EXPECT_EQ(sum, 0xffffU);
}

}  // namespace
}  // namespace multinet::agent::attach
