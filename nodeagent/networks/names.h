// How the links of a network are called and marked on this node. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// The network's own bridge: the user's name, or `mnb` and twelve characters made of the UID, also
/// where the network joins a bridge of somebody else's.
[[nodiscard]] std::string bridgeName(const DesiredNetwork& network);
/// `mnx` and twelve characters made of the UID.
[[nodiscard]] std::string vxlanName(const DesiredNetwork& network);
/// `mnu...`: the bridge's port onto its uplink.
[[nodiscard]] std::string uplinkName(const DesiredNetwork& network);
/// `mnw...` and `mne...`: the two ends of the wire to somebody else's bridge, ours and the one that
/// is a port there.
[[nodiscard]] std::string wireName(const DesiredNetwork& network);
[[nodiscard]] std::string wireEndName(const DesiredNetwork& network);
/// The port of the network's bridge that leads out of the node; empty: it has none.
[[nodiscard]] std::string portName(const DesiredNetwork& network);
/// The bridge's MAC: the same after each restart, different on each node and in each network.
[[nodiscard]] MacAddress bridgeMac(const NodeName& node, const NetworkUid& network);
[[nodiscard]] MacAddress vxlanMac(const NodeName& node, const NetworkUid& network);
/// High enough that no bridge takes it for its own (a bridge takes its ports' lowest).
[[nodiscard]] MacAddress wireMac(const NodeName& node, const NetworkUid& network);

/// `multinet-network:<uid>`: IFLA_IFALIAS of every link that this room made.
[[nodiscard]] std::string networkAlias(const NetworkUid& network);
[[nodiscard]] std::optional<NetworkUid> parseNetworkAlias(std::string_view alias);

/// True where pods of the network are on a bridge.
[[nodiscard]] bool hasBridge(const DesiredNetwork& network);
/// True where the network joins a bridge that somebody else made.
[[nodiscard]] bool joinsBridge(const DesiredNetwork& network);

}  // namespace multinet::agent::networks
