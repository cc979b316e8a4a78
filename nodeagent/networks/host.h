// What the kernel has on the host side, as far as networks care.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/netlink/link.h"

namespace multinet::agent::networks {

struct Host {
  std::map<std::string, netlink::LinkInfo> links;   ///< by name
  std::map<int, std::vector<IpAddress>> addresses;  ///< of each ifindex, link-local ones left out
  std::map<int, std::set<IpAddress>> flood;         ///< of our VXLAN links, by ifindex

  std::set<IpAddress> own;                           ///< all of the node's addresses, of any scope
  std::set<IpAddress> broadcasts;                    ///< IPv4: first and last of each on-link range
  std::map<std::uint16_t, std::string> tunnelPorts;  ///< of links of others that listen at one
  // By observeDetail():
  std::map<int, IpPrefix> routed;    ///< see netlink::findRoutedLinks
  std::set<std::uint16_t> udpPorts;  ///< bound on this node, by whomever

  /// nullptr where there is none.
  [[nodiscard]] const netlink::LinkInfo* link(const std::string& name) const;
  [[nodiscard]] const netlink::LinkInfo* link(int index) const;
};

/// What isn't read at each look, since it grows with what others do on the node.
struct HostDetail {
  bool routes = false;
  bool udpPorts = false;
};

/// Three kinds of dump; O(links). Flood lists of links that carry our mark only.
[[nodiscard]] Result<Host> observeHost(netlink::Socket& socket);
/// In the calling thread's namespace, which is the socket's.
[[nodiscard]] Status observeDetail(netlink::Socket& socket, const HostDetail& detail, Host& host);

/// Ports in the second column of `/proc/net/udp` or `udp6`, sockets of the kernel included. Pure.
[[nodiscard]] std::set<std::uint16_t> parseUdpPorts(std::string_view table);

}  // namespace multinet::agent::networks
