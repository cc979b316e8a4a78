// What tells a wire where an address lives now: gratuitous ARP and unsolicited neighbour
// advertisements. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/ip.h"
#include "lib/base/mac.h"
#include "lib/netns/packet_socket.h"

namespace multinet::agent::attach {

struct Announcement {
  std::uint16_t ethertype = 0;
  netns::EthernetFrame frame;
};

/// IPv4: an ARP request for the address by itself (RFC 5227, 2.3), which every neighbour with an
/// entry takes. IPv6: an advertisement with the override flag to all nodes (RFC 4861, 7.2.6).
[[nodiscard]] Announcement announcementOf(const IpAddress& address, const MacAddress& mac);

}  // namespace multinet::agent::attach
