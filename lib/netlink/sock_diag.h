// Sockets of a network namespace, seen and ended from outside (sock_diag(7)).
#pragma once

#include <linux/inet_diag.h>

#include <array>
#include <cstdint>
#include <vector>

#include "lib/base/result.h"

namespace multinet::netlink {

/// A UDP socket that is connected.
struct UdpSocket {
  std::uint64_t cookie = 0;               ///< as programs in the kernel know it
  std::array<std::uint8_t, 16> remote{};  ///< in network order; IPv4 as ::ffff:a.b.c.d
  std::uint16_t port = 0;                 ///< of the remote end, in network order
  std::uint8_t family = 0;
  inet_diag_sockid id{};
};

/// Those of the calling thread's namespace. Blocks for one dump of each family.
[[nodiscard]] Result<std::vector<UdpSocket>> connectedUdp();

/// Ends the socket under its owner, whose next call fails. One that is gone is success. Wants
/// CAP_NET_ADMIN and a kernel with CONFIG_INET_DIAG_DESTROY.
[[nodiscard]] Status destroy(const UdpSocket& socket);

}  // namespace multinet::netlink
