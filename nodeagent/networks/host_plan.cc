#include "nodeagent/networks/host_plan.h"

#include <algorithm>

#include "lib/netlink/neighbour.h"
#include "nodeagent/drivers/op.h"
#include "nodeagent/networks/names.h"
#include "nodeagent/networks/site.h"

namespace multinet::agent::networks {
namespace {

using netlink::LinkInfo;
using netlink::LinkRef;

LinkRef ref(const LinkInfo& link) {
  return {link.index, link.name};
}

/// Interfaces of pods in a bridge.
unsigned interfacesIn(const Host& host, const LinkInfo& bridge) {
  return static_cast<unsigned>(
      std::count_if(host.links.begin(), host.links.end(), [&](const auto& entry) {
        return entry.second.master == bridge.index && drivers::parseAlias(entry.second.alias);
      }));
}

/// Steps for one network.
class Planner {
 public:
  Planner(const DesiredNetwork& network, const Host& host, Guard guard,
          const NetworksOptions& options)
      : network_(network),
        host_(host),
        guarded_(guard == Guard::Committed),
        options_(options),
        site_(siteOf(network, host, options.underlay)),
        blocked_(isBlocked(network, site_)),
        alias_(networkAlias(network.uid)) {}

  std::vector<HostStep> run() {
    if (!ownsBridge(network_) || site_.mtu == 0) return {};
    const LinkInfo* bridge = host_.link(bridgeName(network_));
    if (bridge == nullptr) {
      if (!blocked_) createBridge();
    } else if (bridge->alias == alias_ && bridge->kind == "bridge") {
      keepBridge(*bridge);
      if (network_.type == LinkType::Vxlan) planTunnel(*bridge);
      if (network_.type == LinkType::Bridge) planUplink(*bridge);
    }
    return std::move(steps_);
  }

 private:
  void step(std::vector<netlink::Request> requests) {
    steps_.push_back({network_.uid, {}, std::move(requests)});
  }

  void createBridge() {
    const LinkRef link{0, bridgeName(network_)};
    // Made with another MTU and then set: only a set one keeps the bridge from following its
    // ports' (net/bridge/br_if.c, BROPT_MTU_SET_BY_USER), and setting the same is nothing set.
    const unsigned first = site_.mtu == 1280 ? 1281 : 1280;
    step({netlink::createBridge({link.name, bridgeMac(options_.node, network_.uid), first}),
          netlink::setAlias(link, alias_), netlink::setMtu(link, site_.mtu)});
  }

  void keepBridge(const LinkInfo& bridge) {
    const unsigned mtu = linkMtu(bridge);
    if (bridge.mtu != mtu) step({netlink::setMtu(ref(bridge), mtu)});
    const MacAddress mac = bridgeMac(options_.node, network_.uid);
    if (bridge.mac != mac) step({netlink::setMac(ref(bridge), mac)});
    bringUp(bridge);
  }

  /// Never less than the pods in the bridge were told: their large frames would vanish without a
  /// word. A smaller MTU of the network holds for new interfaces, which get it themselves.
  [[nodiscard]] unsigned linkMtu(const LinkInfo& bridge) const {
    if (blocked_) return bridge.mtu;
    return interfacesIn(host_, bridge) > 0 ? std::max(bridge.mtu, site_.mtu) : site_.mtu;
  }

  /// The host has no address in a pod's network, not even a link-local one.
  void bringUp(const LinkInfo& link) {
    if (link.up) return;
    steps_.push_back({network_.uid,
                      {{"ipv6/conf/" + link.name + "/disable_ipv6", "1"}},
                      {netlink::setUp(ref(link))}});
  }

  [[nodiscard]] netlink::VxlanInfo wantedTunnel() const {
    netlink::VxlanInfo vxlan;
    vxlan.vni = network_.vni;
    vxlan.port = network_.port;
    vxlan.underlayIndex = site_.device->index;
    vxlan.local = site_.local;
    vxlan.learning = true;
    // Else the host fragments what is too large for the path, and nobody ever hears of it.
    vxlan.df = netlink::VxlanDf::Set;
    return vxlan;
  }

  void planTunnel(const LinkInfo& bridge) {
    if (site_.device == nullptr || !site_.local) return;
    const netlink::VxlanInfo wanted = wantedTunnel();
    const LinkInfo* tunnel = host_.link(vxlanName(network_));
    const unsigned mtu = linkMtu(bridge);
    if (tunnel == nullptr) {
      if (blocked_ || !guarded_) return;
      const LinkRef link{0, vxlanName(network_)};
      step({netlink::createVxlan({link.name, vxlanMac(options_.node, network_.uid), mtu, wanted}),
            netlink::setAlias(link, alias_), netlink::setMaster(link, bridge.index)});
      return;
    }
    if (tunnel->alias != alias_) return;
    if (tunnel->vxlan != wanted && !blocked_ && guarded_) {
      step({netlink::deleteLink(ref(*tunnel))});  // what it is made with can't be changed
      return;
    }
    if (tunnel->master != bridge.index) step({netlink::setMaster(ref(*tunnel), bridge.index)});
    if (tunnel->mtu != mtu && site_.parent.status == CheckStatus::True) {
      step({netlink::setMtu(ref(*tunnel), mtu)});
    }
    planFlood(*tunnel);
    if (guarded_) bringUp(*tunnel);
  }

  void planFlood(const LinkInfo& tunnel) {
    std::set<IpAddress> wanted;
    for (const Peer& peer : network_.peers) {
      if (const auto remote = remoteOf(peer, *site_.local)) wanted.insert(*remote);
    }
    const auto found = host_.flood.find(tunnel.index);
    const std::set<IpAddress> actual =
        found == host_.flood.end() ? std::set<IpAddress>{} : found->second;
    std::vector<netlink::Request> requests;
    for (const IpAddress& remote : wanted) {
      if (!actual.contains(remote)) requests.push_back(netlink::addFlood(tunnel.index, remote));
    }
    for (const IpAddress& remote : actual) {
      if (!wanted.contains(remote)) requests.push_back(netlink::removeFlood(tunnel.index, remote));
    }
    if (!requests.empty()) step(std::move(requests));
  }

  void planUplink(const LinkInfo& bridge) {
    if (network_.uplink.empty() || site_.device == nullptr || network_.refusal) return;
    if (site_.device->master == 0) step({netlink::setMaster(ref(*site_.device), bridge.index)});
    if (!site_.device->up) step({netlink::setUp(ref(*site_.device))});
  }

  const DesiredNetwork& network_;
  const Host& host_;
  bool guarded_;
  const NetworksOptions& options_;
  Site site_;
  bool blocked_;
  std::string alias_;
  std::vector<HostStep> steps_;
};

void planRemovals(const std::vector<DesiredNetwork>& desired, const Host& host, HostPlan& plan) {
  std::set<std::pair<std::string, std::string>> expected;  // name and alias
  for (const DesiredNetwork& network : desired) {
    if (ownsBridge(network)) expected.insert({bridgeName(network), networkAlias(network.uid)});
    if (network.type == LinkType::Vxlan) {
      expected.insert({vxlanName(network), networkAlias(network.uid)});
    }
  }
  std::map<NetworkUid, std::vector<const LinkInfo*>> gone;
  for (const auto& [name, link] : host.links) {
    const auto uid = parseNetworkAlias(link.alias);
    if (uid && !expected.contains({name, link.alias})) gone[*uid].push_back(&link);
  }
  for (const auto& [uid, links] : gone) {
    HostStep removal{uid, {}, {}};
    unsigned interfaces = 0;
    std::string bridge;
    for (const LinkInfo* link : links) {
      if (link->kind == "bridge") {
        interfaces += interfacesIn(host, *link);
        bridge = link->name;
      }
      removal.requests.push_back(netlink::deleteLink(ref(*link)));
    }
    if (interfaces > 0) {
      plan.leftovers.push_back({uid, bridge, interfaces});
    } else {
      plan.steps.push_back(std::move(removal));
    }
  }
}

}  // namespace

HostPlan planHost(const std::vector<DesiredNetwork>& served, const Host& host, Guard guard,
                  const NetworksOptions& options) {
  HostPlan plan;
  // Removals first: a network made anew may want the VNI of one that is gone.
  planRemovals(served, host, plan);
  for (const DesiredNetwork& network : served) {
    for (HostStep& step : Planner(network, host, guard, options).run()) {
      plan.steps.push_back(std::move(step));
    }
  }
  return plan;
}

}  // namespace multinet::agent::networks
