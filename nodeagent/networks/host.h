// Reads what the kernel has on the host side (see drivers/host.h).
#pragma once

#include <set>
#include <string_view>

#include "lib/base/fd.h"
#include "lib/netlink/socket.h"
#include "nodeagent/drivers/host.h"

namespace multinet::agent::networks {

using drivers::Host;
using drivers::HostDetail;
using drivers::Links;

/// The switch's namespace with a socket in it.
struct SwitchSide {
  Fd netns;
  netlink::Socket socket;
};

/// Three kinds of dump; O(links). Flood lists of links that carry our mark only. `inner` is nullptr
/// where the switch has no namespace of its own.
[[nodiscard]] Result<Host> observeHost(netlink::Socket& node, SwitchSide* inner);
/// In the calling thread's namespace, which is the node's.
[[nodiscard]] Status observeDetail(netlink::Socket& node, const HostDetail& detail, Host& host);

/// Ports in the second column of `/proc/net/udp` or `udp6`, sockets of the kernel included. Pure.
[[nodiscard]] std::set<std::uint16_t> parseUdpPorts(std::string_view table);

}  // namespace multinet::agent::networks
