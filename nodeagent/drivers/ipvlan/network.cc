#include "nodeagent/drivers/ipvlan/ipvlan.h"

namespace multinet::agent::drivers::ipvlan {

std::optional<Network> Network::of(const api::PodNetwork& network,
                                   const std::vector<const api::NetworkPeer*>& /*peers*/,
                                   const NodeName& /*node*/) {
  if (!network.spec.ipvlan) return std::nullopt;
  return Network{*network.spec.ipvlan};
}

std::optional<Refusal> Network::refuse(const Ground& ground) const {
  const auto* parent = ground.host.link(spec.parent);
  if (parent == nullptr) return std::nullopt;  // told as the check of the parent
  for (const auto& [name, link] : ground.host.links) {
    const bool onIt = link.lower == parent->index && !link.lowerNetns;
    if (!onIt || isMarked(link) || (link.kind != "macvlan" && link.kind != "macvtap")) continue;
    return Refusal{"DeviceInUse", "device " + spec.parent + " carries " + link.kind + " " + name +
                                      ", beside which there can be no ipvlan; name another device"};
  }
  return std::nullopt;
}

std::optional<Claim> Network::claim() const {
  return Claim{"device " + spec.parent, "ipvlan in mode " + std::string(api::name(spec.mode)),
               Claim::Sharing::SameManner};
}

std::vector<std::string> Network::links(Place /*place*/, const Ground& /*ground*/) const {
  return {};
}

Placement Network::placement(const Ground& ground) const {
  return devicePlacement(ground, spec.parent);
}

std::vector<HostStep> Network::steps(const Ground& /*ground*/, const NodeName& /*node*/,
                                     Guard /*guard*/) const {
  return {};
}

std::vector<Check> Network::checks(const Ground& /*ground*/, const Placement& /*placement*/,
                                   const Findings& /*findings*/) const {
  return {peersUnmeasured()};
}

std::optional<Link> Network::link(const Ground& /*ground*/, const Placement& placement,
                                  const std::vector<Check>& /*checks*/) const {
  if (placement.device == nullptr) return std::nullopt;
  return Link{spec.parent, spec.mode};
}

}  // namespace multinet::agent::drivers::ipvlan
