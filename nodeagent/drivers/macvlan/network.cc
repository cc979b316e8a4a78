#include "nodeagent/drivers/macvlan/macvlan.h"

#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/vlan/device.h"

namespace multinet::agent::drivers::macvlan {
namespace {

/// Of a network with `vlan`.
vlan::Tag tagOf(const api::MacvlanSpec& spec) {
  return {spec.parent, static_cast<std::uint16_t>(spec.vlan.value_or(0))};
}

}  // namespace

std::optional<Network> Network::of(const api::PodNetwork& network,
                                   const std::vector<const api::NetworkPeer*>& /*peers*/,
                                   const NodeName& /*node*/) {
  if (!network.spec.macvlan) return std::nullopt;
  return Network{*network.spec.macvlan};
}

std::vector<std::string> Network::links(Place place, const Ground& ground) const {
  if (!spec.vlan || place == Place::Node) return {};
  return {vlan::deviceName(ground.uid)};
}

std::optional<Refusal> Network::refuse(const Ground& ground) const {
  return spec.vlan ? vlan::refuse(ground, tagOf(spec)) : std::nullopt;
}

std::optional<Claim> Network::claim() const {
  if (spec.vlan) return vlan::claimOf(tagOf(spec));
  // The kernel has one receive handler a device.
  if (!takenDevice().empty()) {
    return Claim{"device " + spec.parent, "Passthru", Claim::Sharing::Nobody};
  }
  return Claim{"device " + spec.parent, "macvlan", Claim::Sharing::SameManner};
}

Placement Network::placement(const Ground& ground) const {
  return spec.vlan ? vlan::siteOn(ground, tagOf(spec), 0) : devicePlacement(ground, spec.parent);
}

std::vector<HostStep> Network::steps(const Ground& ground, const NodeName& node,
                                     Guard /*guard*/) const {
  const Placement there = placement(ground);
  if (!spec.vlan || there.device == nullptr || ground.refused) return {};
  OwnBridge own(ground, there, node, {});
  vlan::keepDevice(ground, there, tagOf(spec).id, own);
  return std::move(own).take();
}

std::vector<Check> Network::checks(const Ground& ground, const Placement& /*placement*/,
                                   const Findings& findings) const {
  std::vector<Check> all;
  if (spec.vlan) all.push_back(linkCheck(ground, findings, links(Place::Switch, ground)));
  all.push_back(peersUnmeasured());
  return all;
}

std::optional<Link> Network::link(const Ground& ground, const Placement& placement,
                                  const std::vector<Check>& checks) const {
  if (placement.device == nullptr) return std::nullopt;
  if (!spec.vlan) return Link{spec.parent, spec.mode};
  if (!linkIsThere(checks)) return std::nullopt;
  return Link{vlan::deviceName(ground.uid), spec.mode, tagOf(spec).id};
}

}  // namespace multinet::agent::drivers::macvlan
