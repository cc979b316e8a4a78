// The firewall around tunnels: without it a pod, or any host that reaches a node, could put frames
// into every network by sending VXLAN packets itself. Pure.
#pragma once

#include <vector>

#include "lib/nft/model.h"
#include "nodeagent/networks/host.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// Table `multinet`. On `input`, packets to a tunnel's port are dropped and counted, unless they
/// come in by an underlay device, from a peer of a network with that port and to the address that
/// peers are told. On `forward`, those that are addressed to a peer's tunnel: a node that hides
/// pods behind its own address would make a pod look like a peer to the next node. Any other packet
/// of that port is somebody else's and passes. A constant number of rules, whatever the number of
/// networks; only elements change.
///
/// For all tunnels that `host` has, also of networks that nobody wants any more, and for those that
/// are about to be made. `served` is judged.
[[nodiscard]] nft::Table guardTable(const std::vector<DesiredNetwork>& served, const Host& host,
                                    const std::string& defaultUnderlay);
/// True where there is nothing to guard: then the table isn't there either.
[[nodiscard]] bool guardsNothing(const nft::Table& table);

}  // namespace multinet::agent::networks
