// What the kernel has on the host side, as far as networks care: in the node's own namespace, and
// in the one of Multinet's switch.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/base/ids.h"
#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netlink/neighbour.h"

namespace multinet::agent::drivers {

/// The links of one network namespace.
struct Links {
  std::map<std::string, netlink::LinkInfo> links;  ///< by name
  std::map<int, std::set<IpAddress>> flood;        ///< of our VXLAN links, by ifindex
  /// By ifindex of a bridge's port or a VXLAN link: MACs that somebody pinned to it.
  std::map<int, std::vector<netlink::FdbEntry>> pinned;
  /// Names of links that differ from what they were made with, have a pinned MAC, or an address in
  /// the switch. Seldom any.
  std::set<std::string> altered;

  /// nullptr where there is none.
  [[nodiscard]] const netlink::LinkInfo* link(const std::string& name) const;
  [[nodiscard]] const netlink::LinkInfo* link(int index) const;
};

/// What isn't read at each look, since it grows with what others do on the node.
struct HostDetail {
  bool routes = false;
  bool udpPorts = false;
};

/// The node's own namespace, and the switch.
struct Host : Links {
  std::map<int, std::vector<IpAddress>> addresses;   ///< of each ifindex, link-local ones left out
  std::set<IpAddress> own;                           ///< all of the node's addresses, of any scope
  std::set<IpAddress> broadcasts;                    ///< IPv4: first and last of each on-link range
  std::map<std::uint16_t, std::string> tunnelPorts;  ///< of links of others that listen at one

  /// What the switch has; the same links, where it has no namespace of its own.
  Links inner;
  std::vector<netlink::AddressInfo> innerAddresses;  ///< of a switch with a namespace of its own
  std::set<std::string> lacks;  ///< kinds of links that are needed and that the kernel hasn't
  int switchNetns = -1;         ///< descriptor of the switch's namespace; -1: it is the node's
  [[nodiscard]] bool split() const { return switchNetns >= 0; }

  // Where HostDetail asks for them:
  std::map<int, IpPrefix> routed;    ///< see netlink::findRoutedLinks
  std::set<std::uint16_t> udpPorts;  ///< bound on this node, by whomever
};

/// A link that carries the network's mark: in the switch or, made by an earlier version, in the
/// node's namespace. nullptr where there is none of that name.
[[nodiscard]] const netlink::LinkInfo* ownLink(const Host& host, const NetworkUid& network,
                                               const std::string& name);

/// True for a link of Multinet's making: a network's, or an interface of a pod.
[[nodiscard]] bool isMarked(const netlink::LinkInfo& link);

/// Whether a link that the test holds for is on either side.
template <class Test>
[[nodiscard]] bool anyLink(const Host& host, Test test) {
  for (const Links* side : {static_cast<const Links*>(&host), &host.inner}) {
    for (const auto& [name, link] : side->links) {
      if (test(link)) return true;
    }
  }
  return false;
}

}  // namespace multinet::agent::drivers
