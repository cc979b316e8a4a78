// From the API's networks and peers to what this node shall serve.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/api/network_peer.h"
#include "lib/api/pod_network.h"
#include "lib/base/ids.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// The peers of a network, by its name; nothing where they aren't known.
using PeersOf = std::function<std::optional<std::vector<std::shared_ptr<const api::NetworkPeer>>>(
    const std::string& network)>;

/// Networks that were found Ready, whatever their newest generation says: what identifies a link
/// (type, VNI, bridge, parent) never changes, and a controller that lags must not take a running
/// pod's bridge away. All others that exist (not Ready any more or not yet, disabled, being
/// deleted) are to be kept where the node has links of them, for the pods that are on them. Peers
/// count without this node and by the network's UID; an entry that can't be read is left out. They
/// are asked for of tunnels alone. `clusterRanges`: where
/// Services, pods and nodes have their addresses. Pure.
[[nodiscard]] std::vector<DesiredNetwork> desiredNetworks(
    const std::vector<std::shared_ptr<const api::PodNetwork>>& networks, const PeersOf& peersOf,
    const NodeName& node, const std::vector<IpPrefix>& clusterRanges);

/// Those that pods here have had come back although their verdict is against them, after all
/// others: what both would have of the node is the others'. Pure.
void returnTo(std::vector<DesiredNetwork>& desired, const std::set<NetworkUid>& had);

}  // namespace multinet::agent::networks
