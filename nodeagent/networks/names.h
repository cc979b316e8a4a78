// How the links of a network are called and marked on this node. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// The user's name, or `mnb` and twelve characters made of the UID.
[[nodiscard]] std::string bridgeName(const DesiredNetwork& network);
/// `mnx` and twelve characters made of the UID.
[[nodiscard]] std::string vxlanName(const DesiredNetwork& network);
/// The bridge's MAC: the same after each restart, different on each node and in each network.
[[nodiscard]] MacAddress bridgeMac(const NodeName& node, const NetworkUid& network);
[[nodiscard]] MacAddress vxlanMac(const NodeName& node, const NetworkUid& network);

/// `multinet-network:<uid>`: IFLA_IFALIAS of every link that this room made.
[[nodiscard]] std::string networkAlias(const NetworkUid& network);
[[nodiscard]] std::optional<NetworkUid> parseNetworkAlias(std::string_view alias);

/// True where this room makes the bridge.
[[nodiscard]] bool ownsBridge(const DesiredNetwork& network);

}  // namespace multinet::agent::networks
