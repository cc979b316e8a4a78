// From the API's networks and peers to what this node shall serve.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/api/network_peer.h"
#include "lib/api/pod_network.h"
#include "lib/base/ids.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// The peers of each network, grouped once: a look for each network at all peers would be work of
/// networks x peers at every event. The objects outlive it.
class PeersByNetwork {
 public:
  explicit PeersByNetwork(const std::vector<std::shared_ptr<const api::NetworkPeer>>& peers);
  /// Those of one network, by its UID.
  [[nodiscard]] const std::vector<const api::NetworkPeer*>& of(const std::string& uid) const;
  /// How many peers were looked at so far: tests assert that it grows with their number alone.
  [[nodiscard]] std::size_t looks() const { return looks_; }

 private:
  std::unordered_map<std::string, std::vector<const api::NetworkPeer*>> byUid_;
  mutable std::size_t looks_ = 0;
};

/// Networks that were found Ready, whatever their newest generation says: what identifies a link
/// (type, VNI, bridge, parent) never changes, and a controller that lags must not take a running
/// pod's bridge away. All others that exist (not Ready any more or not yet, disabled, being
/// deleted) are to be kept where the node has links of them, for the pods that are on them. Peers
/// count without this node; an entry that can't be read is left out. `clusterRanges`: where
/// Services, pods and nodes have their addresses. Pure.
[[nodiscard]] std::vector<DesiredNetwork> desiredNetworks(
    const std::vector<std::shared_ptr<const api::PodNetwork>>& networks,
    const PeersByNetwork& peers, const NodeName& node, const std::vector<IpPrefix>& clusterRanges);

/// Those that pods here have had come back although their verdict is against them, after all
/// others: what both would have of the node is the others'. Pure.
void returnTo(std::vector<DesiredNetwork>& desired, const std::set<NetworkUid>& had);

}  // namespace multinet::agent::networks
