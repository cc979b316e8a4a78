// When the parts of a policy match: of this room only. What can't be read matches nothing.
#pragma once

#include <optional>

#include "lib/policy/world.h"

namespace multinet::policy::match {

/// Whether it says who it is, and in one way.
[[nodiscard]] bool isLegible(const api::PolicyPeer& peer);

/// Whether the policy isolates the pod's interface on the network, in either direction.
[[nodiscard]] bool selects(const api::PodNetworkPolicy& policy, const Pod& pod,
                           std::string_view network);

/// Of a legible peer with selectors, in a policy of namespace `home`: whether it is this pod, on
/// whatever network.
[[nodiscard]] bool isPod(const api::PolicyPeer& peer, const std::string& home, const Pod& pod,
                         const World& world);
/// The same; null: the labels of the pod's namespace aren't known.
[[nodiscard]] bool isPod(const api::PolicyPeer& peer, const std::string& home, const Pod& pod,
                         const k8s::StringMap* namespaceLabels);

[[nodiscard]] bool isInBlock(const api::PolicyIpBlock& block, const IpAddress& address);

struct Ports {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  auto operator<=>(const Ports&) const = default;
};
/// Which ports of its protocol are meant where the receiver is this pod (null: no pod). Nothing
/// where it has no port of that name.
[[nodiscard]] std::optional<Ports> portsOf(const api::PolicyPort& port, const Pod* receiver);

/// The rules of a direction.
template <class Do>
void eachRule(const api::PodNetworkPolicySpec& spec, api::PolicyType direction, Do act) {
  std::size_t at = 0;
  if (direction == api::PolicyType::Ingress) {
    for (const auto& rule : spec.ingress) act(at++, rule);
  } else {
    for (const auto& rule : spec.egress) act(at++, rule);
  }
}

}  // namespace multinet::policy::match
