// The firewall around tunnels: without it a pod, or any host that reaches a node, could put frames
// into every network by sending VXLAN packets itself. Pure.
#pragma once

#include <vector>

#include "lib/nft/model.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// Table `multinet`: packets to a tunnel's port are dropped and counted, unless they come in by an
/// underlay device and from a peer of a network with that port. Forwarded ones too: a node that
/// hides pods behind its own address would make a pod look like a peer to the next node. A constant
/// number of rules, whatever the number of networks; only elements change.
[[nodiscard]] nft::Table guardTable(const std::vector<DesiredNetwork>& desired,
                                    const std::string& defaultUnderlay);
/// True where there is nothing to guard: then the table isn't there either.
[[nodiscard]] bool guardsNothing(const nft::Table& table);

}  // namespace multinet::agent::networks
