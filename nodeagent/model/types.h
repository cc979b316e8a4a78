// The types of network that this agent knows: each is a folder of nodeagent/drivers with the two
// values that stand here. See drivers/network.h for how they are asked.
#pragma once

#include <string>
#include <variant>

#include "nodeagent/drivers/bridge/bridge.h"
#include "nodeagent/drivers/ipvlan/ipvlan.h"
#include "nodeagent/drivers/macvlan/macvlan.h"
#include "nodeagent/drivers/newer/newer.h"
#include "nodeagent/drivers/vlan/vlan.h"
#include "nodeagent/drivers/vxlan/vxlan.h"

namespace multinet::agent {

/// What an interface of a pod is made of.
using Link = std::variant<drivers::bridge::Link, drivers::vxlan::Link, drivers::macvlan::Link,
                          drivers::vlan::Link, drivers::ipvlan::Link>;
/// What a node has of a network.
using Network =
    std::variant<drivers::vxlan::Network, drivers::bridge::Network, drivers::macvlan::Network,
                 drivers::vlan::Network, drivers::ipvlan::Network, drivers::newer::Network>;

[[nodiscard]] inline api::NetworkType typeOf(const Link& link) {
  return std::visit([](const auto& one) { return one.kType; }, link);
}
[[nodiscard]] inline api::NetworkType typeOf(const Network& network) {
  return std::visit([](const auto& one) { return one.kType; }, network);
}
/// The device of the node, or the bridge of the switch, that the link stands on.
[[nodiscard]] inline const std::string& parentOf(const Link& link) {
  return std::visit([](const auto& one) -> const std::string& { return one.parent(); }, link);
}
[[nodiscard]] inline drivers::LinkTraits traitsOf(const Link& link) {
  return std::visit([](const auto& one) { return one.traits(); }, link);
}

/// All types, in the order of Link.
[[nodiscard]] std::vector<api::NetworkType> knownTypes();
/// A link of which no more is known than its network's type, or than the kernel's word for what
/// stands in the pod: the first type that uses that. A Bridge's where nothing fits.
[[nodiscard]] Link linkOfType(api::NetworkType type);
[[nodiscard]] Link linkOfKind(std::string_view kind);
/// From the journal's form. InvalidArgument/InvalidType names a type that this agent doesn't know.
[[nodiscard]] Result<Link> linkOfForm(std::string_view type, const drivers::LinkForm& form);
/// nullopt where the object lacks what its type needs.
[[nodiscard]] std::optional<Network> networkOf(const api::PodNetwork& network,
                                               const std::vector<const api::NetworkPeer*>& peers,
                                               const NodeName& node);

}  // namespace multinet::agent
