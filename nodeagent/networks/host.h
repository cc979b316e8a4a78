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

/// Whether the kernel has that kind of link, `ipvlan` for one; its module is loaded where there is
/// one. For kinds that stand on another link: one without that is asked for, which is refused in
/// another way than a kind that isn't there, and never made. Unclear counts as there.
[[nodiscard]] bool kernelHas(const std::string& kind);

/// Ports in the second column of `/proc/net/udp` or `udp6`, sockets of the kernel included. Pure.
[[nodiscard]] std::set<std::uint16_t> parseUdpPorts(std::string_view table);

}  // namespace multinet::agent::networks
