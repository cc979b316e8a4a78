// Finding out that a path carries full-size packets again, and making the kernel use it.
//
// The kernel keeps a learned path MTU for ten minutes (net.ipv4.route.mtu_expires), so the tunnel
// would go on losing large frames that long after the path has healed. Dropping what it learned is
// possible only for all destinations of the node at once; so it is done once, when it is known to
// help: a packet that ignores the learned value (IP_PMTUDISC_PROBE) went to the peer and one came
// back.
#pragma once

#include "lib/netlink/socket.h"
#include "lib/netns/packet_socket.h"

namespace multinet::agent::networks {

/// Whether the kernel has learned that less than `needed` bytes go to `remote`.
[[nodiscard]] Result<bool> hasSmallPath(netlink::Socket& socket, const IpAddress& remote,
                                        unsigned needed);

/// Drops all path MTUs of the family that were learned, in the calling thread's namespace.
/// Connections only look their way up again.
[[nodiscard]] Status forgetPathMtus(IpFamily family);

/// A frame as a tunnel of this node would send it, around the tunnel.
struct DirectFrame {
  IpAddress local;
  IpAddress remote;
  std::uint16_t port = 0;
  std::uint32_t vni = 0;
  netns::EthernetFrame frame;
  std::uint16_t ethertype = 0;
};
/// Sends it in one packet that is never fragmented and heeds no learned path MTU, from the calling
/// thread's namespace. ResourceExhausted or InvalidArgument where the device itself carries less.
[[nodiscard]] Status sendDirect(const DirectFrame& direct);

}  // namespace multinet::agent::networks
