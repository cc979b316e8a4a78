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

  /// nullptr where there is none.
  [[nodiscard]] const netlink::LinkInfo* link(const std::string& name) const;
  [[nodiscard]] const netlink::LinkInfo* link(int index) const;
};

/// Three kinds of dump; O(links). Flood lists of links that carry our mark only.
[[nodiscard]] Result<Host> observeHost(netlink::Socket& socket);

}  // namespace multinet::agent::networks
