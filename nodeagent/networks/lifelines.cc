#include "nodeagent/networks/lifelines.h"

#include <algorithm>
#include <map>
#include <set>

#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/op.h"
#include "nodeagent/networks/ground.h"

namespace multinet::agent::networks {
namespace {

using netlink::LinkInfo;

const std::string kRemedy = "; name a device that nothing else on this node uses";

/// The device that the network would have for itself; empty: none.
std::string takenDevice(const DesiredNetwork& network) {
  return std::visit([](const auto& one) { return one.takenDevice(); }, network.network);
}

/// The device of others by which frames of the network leave; empty: none, or a tunnel.
std::string wireOf(const DesiredNetwork& network) {
  return std::visit([](const auto& one) { return one.wire(); }, network.network);
}

/// The name of a foreign device that stands on `device`, such as a VLAN.
std::optional<std::string> standsOn(const LinkInfo& device, const Host& host) {
  for (const auto& [name, link] : host.links) {
    const bool above = link.lower == device.index && !link.lowerNetns && link.kind != "veth";
    if ((above || link.master == device.index) && !drivers::isMarked(link)) return name;
  }
  return std::nullopt;
}

bool isUnderlay(const LinkInfo& device, const Host& host, const std::string& defaultUnderlay) {
  return device.name == defaultUnderlay || anyLink(host, [&](const LinkInfo& link) {
           return link.vxlan && link.vxlan->underlayIndex == device.index;
         });
}

/// What the host has of networks, looked at once.
class Present {
 public:
  explicit Present(const Host& host) {
    look(host);
    if (host.split()) look(host.inner);
  }
  [[nodiscard]] bool hasLinks(const DesiredNetwork& network) const {
    return linked_.contains(network.uid);
  }
  /// Whether the node takes part in the network, or is to.
  [[nodiscard]] bool isJoined(const DesiredNetwork& network) const {
    switch (network.demand) {
      case Demand::Wanted:
        return true;
      case Demand::Lingers:
        return hasLinks(network);
      case Demand::None:
        // What a newer version made is nothing to be judged here.
        return used_.contains(network.uid) ||
               (typeOf(network.network) == api::NetworkType::Unknown && hasLinks(network));
    }
    return true;
  }

 private:
  void look(const drivers::Links& side) {
    std::map<int, NetworkUid> bridges;
    for (const auto& [name, link] : side.links) {
      const auto uid = drivers::parseNetworkAlias(link.alias);
      if (!uid) continue;
      linked_.insert(*uid);
      if (link.kind == "bridge") bridges.emplace(link.index, *uid);
    }
    for (const auto& [name, link] : side.links) {
      const auto bridge = bridges.find(link.master);
      if (bridge != bridges.end() && drivers::parseAlias(link.alias)) used_.insert(bridge->second);
    }
  }

  std::set<NetworkUid> linked_;
  std::set<NetworkUid> used_;  ///< by interfaces of pods
};

bool holdsAddress(const IpPrefix& range, const std::string& device, const Host& host) {
  const LinkInfo* link = host.link(device);
  const auto found = link == nullptr ? host.addresses.end() : host.addresses.find(link->index);
  return found != host.addresses.end() &&
         std::any_of(found->second.begin(), found->second.end(),
                     [&](const IpAddress& address) { return range.contains(address); });
}

std::optional<Refusal> refusalOf(const DesiredNetwork& network, const Host& host,
                                 const std::string& defaultUnderlay) {
  if (const std::string name = takenDevice(network); !name.empty()) {
    if (const LinkInfo* device = host.link(name)) {
      if (auto no = refuseDevice(network, *device, host, defaultUnderlay)) return no;
    }
  }
  const auto ground = groundOf(network, host, defaultUnderlay);
  const auto ask = [&](const auto& one) { return one.refuse(ground); };
  if (auto no = std::visit(ask, network.network)) return no;
  return refuseRange(network, host, defaultUnderlay);
}

/// Who has what of the node. Of two networks that can't both have it the first keeps it: admission
/// and controller decide by age before it comes to this.
class Claims {
 public:
  std::optional<Refusal> take(const DesiredNetwork& network) {
    const auto claim = std::visit([](const auto& one) { return one.claim(); }, network.network);
    if (!claim) return std::nullopt;
    const auto [found, isNew] = held_.try_emplace(claim->what, Held{*claim, network.name});
    const auto& [theirs, owner] = found->second;
    const bool shared = theirs.sharing == drivers::Claim::Sharing::SameManner &&
                        claim->sharing == theirs.sharing && claim->as == theirs.as;
    if (isNew || shared) return std::nullopt;
    return Refusal{"DeviceTaken", claim->what + " is had by network \"" + owner.str() + "\" as " +
                                      theirs.as + ", it can't be had as " + claim->as +
                                      " besides; name another device"};
  }

 private:
  struct Held {
    drivers::Claim claim;
    NetworkName owner;
  };
  std::map<std::string, Held> held_;
};

}  // namespace

std::optional<Refusal> refuseDevice(const DesiredNetwork& network, const LinkInfo& device,
                                    const Host& host, const std::string& defaultUnderlay) {
  const auto no = [&](const std::string& why) {
    return Refusal{"DeviceInUse", "device " + device.name + " " + why + kRemedy};
  };
  if (drivers::isMarked(device) || device.name == "lo") return no("is no wire to the outside");
  const auto addresses = host.addresses.find(device.index);
  if (addresses != host.addresses.end() && !addresses->second.empty()) {
    return no("has the node's address " + addresses->second.front().str() +
              ": the node would be cut off");
  }
  if (const auto route = host.routed.find(device.index); route != host.routed.end()) {
    return no("carries the node's route to " + route->second.str());
  }
  if (isUnderlay(device, host, defaultUnderlay)) return no("carries the tunnels between nodes");
  const LinkInfo* master = host.link(device.master);
  const bool ours = master != nullptr && master->alias == drivers::networkAlias(network.uid);
  if (device.master != 0 && !ours) {
    return no("is a port of " + (master == nullptr ? "another device" : master->name));
  }
  if (const auto above = standsOn(device, host)) return no("is used by device " + *above);
  return std::nullopt;
}

std::optional<Refusal> refuseRange(const DesiredNetwork& network, const Host& host,
                                   const std::string& defaultUnderlay) {
  const std::string remedy = ": its pods would lose their way there; make it with another subnet";
  const bool wire = !wireOf(network).empty();
  for (const IpPrefix& range : network.covered) {
    const bool nodes =
        holdsAddress(range, defaultUnderlay, host) || holdsAddress(range, wireOf(network), host);
    if (wire && nodes) continue;
    return Refusal{"RangeInUse",
                   "a subnet of the network overlaps the cluster's range " + range.str() + remedy};
  }
  for (const IpPrefix& subnet : network.subnets) {
    if (wire || !holdsAddress(subnet, defaultUnderlay, host)) continue;
    return Refusal{"RangeInUse",
                   "subnet " + subnet.str() + " holds an address of this node" + remedy};
  }
  return std::nullopt;
}

HostDetail detailFor(const std::vector<DesiredNetwork>& desired, const Host& host) {
  static const std::string kNoUnderlay;
  const Present present(host);
  HostDetail detail;
  for (const DesiredNetwork& network : desired) {
    if (!present.isJoined(network)) continue;
    const auto ground = groundOf(network, host, kNoUnderlay);
    const HostDetail needed =
        std::visit([&](const auto& one) { return one.detail(ground); }, network.network);
    detail.routes = detail.routes || needed.routes;
    detail.udpPorts = detail.udpPorts || needed.udpPorts;
  }
  return detail;
}

std::vector<DesiredNetwork> judge(const std::vector<DesiredNetwork>& desired, const Host& host,
                                  const std::string& defaultUnderlay) {
  std::vector<DesiredNetwork> served;
  const Present present(host);
  Claims claims;
  for (const DesiredNetwork& wished : desired) {
    const bool joined = present.isJoined(wished);
    if (wished.state == DesiredState::Keep && !(joined && present.hasLinks(wished))) continue;
    DesiredNetwork network = wished;
    network.demand = joined ? Demand::Wanted : Demand::None;
    const auto ground = groundOf(network, host, defaultUnderlay);
    const bool settled = std::visit([&](auto& one) { return one.settle(ground); }, network.network);
    if (!settled) continue;
    network.refusal = refusalOf(network, host, defaultUnderlay);
    if (joined && !network.refusal) network.refusal = claims.take(network);
    served.push_back(std::move(network));
  }
  return served;
}

}  // namespace multinet::agent::networks
