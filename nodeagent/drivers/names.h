// How the links of networks are called and marked on this node, as far as types share it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/base/ids.h"
#include "lib/base/mac.h"

namespace multinet::agent::drivers {

/// `mnb` and twelve characters made of the UID: the network's own bridge in the switch.
[[nodiscard]] std::string ownBridgeName(const NetworkUid& network);
/// The bridge's MAC: the same after each restart, different on each node and in each network.
[[nodiscard]] MacAddress bridgeMac(const NodeName& node, const NetworkUid& network);
/// Of the port of the bridge that leads out of the node.
[[nodiscard]] MacAddress portMac(const NodeName& node, const NetworkUid& network);

/// `multinet-network:<uid>`: IFLA_IFALIAS of every link that was made for a network.
[[nodiscard]] std::string networkAlias(const NetworkUid& network);
[[nodiscard]] std::optional<NetworkUid> parseNetworkAlias(std::string_view alias);

}  // namespace multinet::agent::drivers
