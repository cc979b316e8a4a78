#include "nodeagent/attach/announcement.h"

#include <net/ethernet.h>

#include <algorithm>

namespace multinet::agent::attach {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::array<std::uint8_t, 6> kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
/// Of ff02::1 (RFC 2464, 7).
constexpr std::array<std::uint8_t, 6> kAllNodesMac = {0x33, 0x33, 0, 0, 0, 1};
constexpr std::array<std::uint8_t, 16> kAllNodes = {0xff, 0x02, 0, 0, 0, 0, 0, 0,
                                                    0,    0,    0, 0, 0, 0, 0, 1};
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kHopLimit = 255;  // else a receiver drops it (RFC 4861, 7.1.2)

template <class Range>
void put(Bytes& bytes, const Range& range) {
  bytes.insert(bytes.end(), range.begin(), range.end());
}

void putAddress(Bytes& bytes, const IpAddress& address) {
  const auto all = address.bytes();
  bytes.insert(bytes.end(), all.begin(),
               all.begin() + static_cast<std::ptrdiff_t>(address.byteCount()));
}

/// RFC 1071 over an even number of bytes.
std::uint16_t checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i]) << 8U | bytes[i + 1];
  }
  while (sum > 0xffffU) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum & 0xffffU);
}

Bytes arp(const IpAddress& address, const MacAddress& mac) {
  // Ethernet, IPv4, lengths 6 and 4, request.
  Bytes bytes = {0, 1, 0x08, 0, 6, 4, 0, 1};
  put(bytes, mac.bytes());
  putAddress(bytes, address);
  bytes.insert(bytes.end(), 6, 0);
  putAddress(bytes, address);
  return bytes;
}

/// Type 136, override, and the option "target link-layer address".
Bytes advertisement(const IpAddress& address, const MacAddress& mac) {
  Bytes bytes = {136, 0, 0, 0, 0x20, 0, 0, 0};
  putAddress(bytes, address);
  bytes.push_back(2);
  bytes.push_back(1);
  put(bytes, mac.bytes());
  Bytes pseudo;
  putAddress(pseudo, address);
  put(pseudo, kAllNodes);
  put(pseudo, std::array<std::uint8_t, 8>{0, 0, 0, static_cast<std::uint8_t>(bytes.size()), 0, 0, 0,
                                          kIcmpv6});
  put(pseudo, bytes);
  const std::uint16_t sum = checksum(pseudo);
  bytes[2] = static_cast<std::uint8_t>(sum >> 8U);
  bytes[3] = static_cast<std::uint8_t>(sum & 0xffU);
  return bytes;
}

Bytes ipv6(const IpAddress& from, const Bytes& payload) {
  Bytes bytes = {0x60, 0, 0, 0, 0, static_cast<std::uint8_t>(payload.size()), kIcmpv6, kHopLimit};
  putAddress(bytes, from);
  put(bytes, kAllNodes);
  put(bytes, payload);
  return bytes;
}

}  // namespace

Announcement announcementOf(const IpAddress& address, const MacAddress& mac) {
  if (address.isV4()) {
    return {ETHERTYPE_ARP, {mac, MacAddress(kBroadcast), arp(address, mac)}};
  }
  return {ETHERTYPE_IPV6,
          {mac, MacAddress(kAllNodesMac), ipv6(address, advertisement(address, mac))}};
}

}  // namespace multinet::agent::attach
