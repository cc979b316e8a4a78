#include "nodeagent/drivers/macvlan/macvlan.h"

namespace multinet::agent::drivers::macvlan {

std::optional<Network> Network::of(const api::PodNetwork& network,
                                   const std::vector<const api::NetworkPeer*>& /*peers*/,
                                   const NodeName& /*node*/) {
  if (!network.spec.macvlan) return std::nullopt;
  return Network{*network.spec.macvlan};
}

std::vector<std::string> Network::links(Place /*place*/, const Ground& /*ground*/) const {
  return {};
}

std::optional<Claim> Network::claim() const {
  // The kernel has one receive handler a device.
  if (!takenDevice().empty()) {
    return Claim{"device " + spec.parent, "Passthru", Claim::Sharing::Nobody};
  }
  return Claim{"device " + spec.parent, "macvlan", Claim::Sharing::SameManner};
}

Site Network::site(const Ground& ground) const {
  return deviceSite(ground, spec.parent);
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
