// Where a network stands on this host: which device carries it, from which address, with what MTU.
#pragma once

#include <optional>

#include "nodeagent/networks/host.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

struct Site {
  Check parent;                               ///< named `Parent`
  const netlink::LinkInfo* device = nullptr;  ///< underlay, uplink or macvlan parent
  std::optional<IpAddress> local;             ///< VXLAN: source of outer packets
  std::vector<IpAddress> underlays;           ///< VXLAN: first address of each family
  unsigned mtu = 0;                           ///< of the network; 0 where it can't be known
  bool carries = true;  ///< false where the device carries less than `mtu` needs
};

/// True where nothing new may be made of the network and no pod attached to it: it would take a
/// lifeline of the node, or large frames would vanish. What is there stays.
[[nodiscard]] bool isBlocked(const DesiredNetwork& network, const Site& site);

/// Pure. Points into `host`. A network's own MTU, once its bridge was made with it, stays: what the
/// underlay no longer carries is a fault to be told, not a new size that running pods don't know.
[[nodiscard]] Site siteOf(const DesiredNetwork& network, const Host& host,
                          const std::string& defaultUnderlay);

/// The peer's address that this host's tunnel uses, if it has one of that family.
[[nodiscard]] std::optional<IpAddress> remoteOf(const Peer& peer, const IpAddress& local);

[[nodiscard]] Check passed(std::string name, std::string reason, std::string message);
[[nodiscard]] Check failed(std::string name, std::string reason, std::string message);
[[nodiscard]] Check unknown(std::string name, std::string reason, std::string message);

}  // namespace multinet::agent::networks
