// What the kernel has on the host side, as far as networks care: in the node's own namespace, and
// in the one of Multinet's switch.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/base/fd.h"
#include "lib/netlink/link.h"

namespace multinet::agent::networks {

/// The links of one network namespace.
struct Links {
  std::map<std::string, netlink::LinkInfo> links;  ///< by name
  std::map<int, std::set<IpAddress>> flood;        ///< of our VXLAN links, by ifindex

  /// nullptr where there is none.
  [[nodiscard]] const netlink::LinkInfo* link(const std::string& name) const;
  [[nodiscard]] const netlink::LinkInfo* link(int index) const;
};

/// The node's own namespace, and the switch.
struct Host : Links {
  std::map<int, std::vector<IpAddress>> addresses;   ///< of each ifindex, link-local ones left out
  std::set<IpAddress> own;                           ///< all of the node's addresses, of any scope
  std::set<IpAddress> broadcasts;                    ///< IPv4: first and last of each on-link range
  std::map<std::uint16_t, std::string> tunnelPorts;  ///< of links of others that listen at one

  /// What the switch has; the same links, where it has no namespace of its own.
  Links inner;
  int switchNetns = -1;  ///< descriptor of the switch's namespace; -1: it is the node's
  [[nodiscard]] bool split() const { return switchNetns >= 0; }

  // By observeDetail():
  std::map<int, IpPrefix> routed;    ///< see netlink::findRoutedLinks
  std::set<std::uint16_t> udpPorts;  ///< bound on this node, by whomever
};

/// What isn't read at each look, since it grows with what others do on the node.
struct HostDetail {
  bool routes = false;
  bool udpPorts = false;
};

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
