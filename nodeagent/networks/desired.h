// From the API's networks and peers to what this node shall serve.
#pragma once

#include <memory>
#include <vector>

#include "lib/api/network_peer.h"
#include "lib/api/pod_network.h"
#include "lib/base/ids.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// Networks that were found Ready, whatever their newest generation says: what identifies a link
/// (type, VNI, bridge, parent) never changes, and a controller that lags must not take a running
/// pod's bridge away. Disabled networks and those being deleted are served while they exist, for
/// the pods that are on them. Peers count with the network's UID and without this node; an entry
/// that can't be read is left out. Pure.
[[nodiscard]] std::vector<DesiredNetwork> desiredNetworks(
    const std::vector<std::shared_ptr<const api::PodNetwork>>& networks,
    const std::vector<std::shared_ptr<const api::NetworkPeer>>& peers, const NodeName& node);

}  // namespace multinet::agent::networks
