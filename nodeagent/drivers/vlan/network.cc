#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/vlan/device.h"
#include "nodeagent/drivers/vlan/vlan.h"

namespace multinet::agent::drivers::vlan {
namespace {

Tag tagOf(const api::VlanSpec& spec) {
  return {spec.parent, static_cast<std::uint16_t>(spec.id)};
}

}  // namespace

std::optional<Network> Network::of(const api::PodNetwork& network,
                                   const std::vector<const api::NetworkPeer*>& /*peers*/,
                                   const NodeName& /*node*/) {
  if (!network.spec.vlan) return std::nullopt;
  return Network{*network.spec.vlan};
}

std::optional<Refusal> Network::refuse(const Ground& ground) const {
  return vlan::refuse(ground, tagOf(spec));
}

std::optional<Claim> Network::claim() const {
  return claimOf(tagOf(spec));
}

std::vector<std::string> Network::links(Place place, const Ground& ground) const {
  if (place == Place::Node) return {};
  return {ownBridgeName(ground.uid), deviceName(ground.uid)};
}

/// A network's own MTU, once its bridge was made with it, stays.
Placement Network::placement(const Ground& ground) const {
  return siteOn(ground, tagOf(spec), madeWith(ground, ownBridgeName(ground.uid)));
}

std::vector<HostStep> Network::steps(const Ground& ground, const NodeName& node,
                                     Guard /*guard*/) const {
  const Placement there = placement(ground);
  if (there.mtu == 0) return {};
  OwnBridge own(ground, there, node, {ownBridgeName(ground.uid), deviceName(ground.uid)});
  if (const auto* bridge = own.keep()) keepPort(ground, there, tagOf(spec).id, *bridge, own);
  return std::move(own).take();
}

std::vector<Check> Network::checks(const Ground& ground, const Placement& /*placement*/,
                                   const Findings& findings) const {
  return {linkCheck(ground, findings, links(Place::Switch, ground)), peersUnmeasured()};
}

std::optional<Link> Network::link(const Ground& ground, const Placement& /*placement*/,
                                  const std::vector<Check>& checks) const {
  if (!linkIsThere(checks)) return std::nullopt;
  return Link{ownBridgeName(ground.uid)};
}

}  // namespace multinet::agent::drivers::vlan
