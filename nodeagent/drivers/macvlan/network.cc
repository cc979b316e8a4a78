#include "nodeagent/drivers/macvlan/macvlan.h"

namespace multinet::agent::drivers::macvlan {

std::optional<Network> Network::of(const api::PodNetwork& network,
                                   const std::vector<const api::NetworkPeer*>& /*peers*/,
                                   const NodeName& /*node*/) {
  if (!network.spec.macvlan) return std::nullopt;
  return Network{*network.spec.macvlan};
}

std::vector<std::string> Network::links(Place /*place*/, const NetworkUid& /*uid*/) const {
  return {};
}

Site Network::site(const Ground& ground) const {
  Site site;
  site.device = ground.host.link(spec.parent);
  site.parent = deviceCheck(spec.parent, site.device);
  if (site.device == nullptr) return site;
  site.mtu = ground.mtu != 0 ? ground.mtu : site.device->mtu;
  if (site.device->master != 0) {
    site.parent = failed("Parent", "DeviceEnslaved",
                         "device " + spec.parent + " is a port of another device");
  }
  checkCarries(0, site);
  return site;
}

std::vector<HostStep> Network::steps(const Ground& /*ground*/, const NodeName& /*node*/,
                                     Guard /*guard*/) const {
  return {};
}

std::vector<Check> Network::checks(const Ground& /*ground*/, const Site& /*site*/,
                                   const Findings& /*findings*/) const {
  return {peersUnmeasured()};
}

std::optional<Link> Network::link(const Ground& /*ground*/, const Site& site,
                                  const std::vector<Check>& /*checks*/) const {
  if (site.device == nullptr) return std::nullopt;
  return Link{spec.parent, spec.mode};
}

}  // namespace multinet::agent::drivers::macvlan
