#include "nodeagent/networks/host_plan.h"

#include <linux/if_link.h>

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
unsigned interfacesIn(const Links& side, const LinkInfo& bridge) {
  return static_cast<unsigned>(
      std::count_if(side.links.begin(), side.links.end(), [&](const auto& entry) {
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
    if (!hasBridge(network_) || site_.mtu == 0) return {};
    const LinkInfo* bridge = host_.inner.link(bridgeName(network_));
    if (bridge == nullptr) {
      if (!blocked_) createBridge();
    } else if (isOurs(*bridge) && bridge->kind == "bridge") {
      keepBridge(*bridge);
      if (network_.type == LinkType::Vxlan) planTunnel(*bridge);
      if (network_.type == LinkType::Bridge && !network_.uplink.empty()) planUplink(*bridge);
      if (joinsBridge(network_)) planWire(*bridge);
      if (host_.split()) movePods(*bridge);
    }
    return std::move(steps_);
  }

 private:
  [[nodiscard]] bool isOurs(const LinkInfo& link) const { return link.alias == alias_; }
  void step(Place place, std::vector<netlink::Request> requests) {
    steps_.push_back({network_.uid, place, {}, std::move(requests)});
  }
  void step(std::vector<netlink::Request> requests) { step(Place::Switch, std::move(requests)); }

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
    return interfacesIn(host_.inner, bridge) > 0 ? std::max(bridge.mtu, site_.mtu) : site_.mtu;
  }

  /// The host has no address in a pod's network, not even a link-local one.
  void bringUp(const LinkInfo& link) {
    if (link.up) return;
    steps_.push_back({network_.uid,
                      Place::Switch,
                      {{"ipv6/conf/" + link.name + "/disable_ipv6", "1"}},
                      {netlink::setUp(ref(link))}});
  }

  /// Marks the port that was just made. Not in the same send: it was made from the node's side.
  void adopt(const std::string& name, const LinkInfo& bridge) {
    const LinkRef link{0, name};
    step({netlink::setAlias(link, alias_), netlink::setMaster(link, bridge.index)});
  }

  /// What every port of the bridge must be. False where it is none of ours.
  bool keepPort(const LinkInfo& port, const LinkInfo& bridge) {
    // The names are hashes of the UID: without a mark it is one that was just made.
    if (port.alias.empty()) adopt(port.name, bridge);
    if (!isOurs(port)) return false;
    if (port.master != bridge.index) step({netlink::setMaster(ref(port), bridge.index)});
    return true;
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
    const LinkInfo* tunnel = host_.inner.link(vxlanName(network_));
    const unsigned mtu = linkMtu(bridge);
    if (tunnel == nullptr) {
      if (blocked_ || !guarded_) return;
      createTunnel(wanted, mtu, bridge);
      return;
    }
    if (!keepPort(*tunnel, bridge)) return;
    if (tunnel->vxlan != wanted && !blocked_ && guarded_) {
      step({netlink::deleteLink(ref(*tunnel))});  // what it is made with can't be changed
      return;
    }
    if (tunnel->mtu != mtu && site_.parent.status == CheckStatus::True) {
      step({netlink::setMtu(ref(*tunnel), mtu)});
    }
    planFlood(*tunnel);
    if (guarded_) bringUp(*tunnel);
  }

  void createTunnel(const netlink::VxlanInfo& wanted, unsigned mtu, const LinkInfo& bridge) {
    // Two tunnels of one VNI and port can't be, whatever namespaces they are in.
    const LinkInfo* old = host_.split() ? host_.link(vxlanName(network_)) : nullptr;
    if (old != nullptr && isOurs(*old)) step(Place::Node, {netlink::deleteLink(ref(*old))});
    const std::string name = vxlanName(network_);
    step(Place::Node, {netlink::createVxlan({name, vxlanMac(options_.node, network_.uid), mtu,
                                             wanted, host_.switchNetns})});
    adopt(name, bridge);
  }

  void planFlood(const LinkInfo& tunnel) {
    std::set<IpAddress> wanted;
    for (const Peer& peer : network_.peers) {
      if (const auto remote = remoteOf(peer, *site_.local)) wanted.insert(*remote);
    }
    const auto found = host_.inner.flood.find(tunnel.index);
    const std::set<IpAddress> actual =
        found == host_.inner.flood.end() ? std::set<IpAddress>{} : found->second;
    std::vector<netlink::Request> requests;
    for (const IpAddress& remote : wanted) {
      if (!actual.contains(remote)) requests.push_back(netlink::addFlood(tunnel.index, remote));
    }
    for (const IpAddress& remote : actual) {
      if (!wanted.contains(remote)) requests.push_back(netlink::removeFlood(tunnel.index, remote));
    }
    if (!requests.empty()) step(std::move(requests));
  }

  /// A Passthru macvlan on the NIC, which stays with the node.
  void planUplink(const LinkInfo& bridge) {
    const LinkInfo* device = site_.device;
    if (device == nullptr || network_.refusal) return;
    if (const LinkInfo* old = host_.link(bridgeName(network_));
        old != nullptr && isOurs(*old) && device->master == old->index) {
      step(Place::Node, {netlink::setMaster(ref(*device), 0)});  // of an earlier version
    }
    if (!device->up) step(Place::Node, {netlink::setUp(ref(*device))});
    const std::string name = uplinkName(network_);
    const LinkInfo* port = host_.inner.link(name);
    if (port == nullptr) {
      if (blocked_) return;
      netlink::MacvlanSpec spec;
      spec.name = name;
      spec.parent = device->name;
      spec.parentIndex = device->index;
      spec.mode = MACVLAN_MODE_PASSTHRU;
      spec.netns = host_.switchNetns;
      spec.mac = device->mac;
      spec.mtu = std::min(linkMtu(bridge), device->mtu);
      step(Place::Node, {netlink::createMacvlan(spec)});
      adopt(name, bridge);
      return;
    }
    if (!keepPort(*port, bridge)) return;
    if (port->lower != device->index) return step({netlink::deleteLink(ref(*port))});
    if (port->mtu != linkMtu(bridge) && !blocked_) {
      step({netlink::setMtu(ref(*port), linkMtu(bridge))});
    }
    bringUp(*port);
  }

  /// A wire between our bridge and the one that the network joins.
  void planWire(const LinkInfo& bridge) {
    const LinkInfo* device = site_.device;
    if (device == nullptr || device->kind != "bridge") return;
    const LinkRef end{0, wireEndName(network_)};
    const LinkInfo* port = host_.inner.link(wireName(network_));
    if (port == nullptr) {
      if (blocked_) return;
      netlink::VethSpec spec;
      spec.hostName = end.name;
      spec.bridge = device->name;
      spec.bridgeIndex = device->index;
      spec.hostMac = wireMac(options_.node, network_.uid);
      spec.peerName = wireName(network_);
      spec.peerNetns = host_.switchNetns;
      spec.peerMac = vxlanMac(options_.node, network_.uid);
      spec.mtu = linkMtu(bridge);
      step(Place::Node, {netlink::createVeth(spec), netlink::setAlias(end, alias_)});
      adopt(spec.peerName, bridge);
      return;
    }
    if (!keepPort(*port, bridge)) return;
    if (port->mtu != linkMtu(bridge) && !blocked_) {
      step({netlink::setMtu(ref(*port), linkMtu(bridge))});
    }
    bringUp(*port);
    if (const LinkInfo* far = host_.link(end.name)) keepWireEnd(*far, *device);
  }

  void keepWireEnd(const LinkInfo& end, const LinkInfo& device) {
    std::vector<netlink::Request> requests;
    if (!isOurs(end)) requests.push_back(netlink::setAlias(ref(end), alias_));
    if (end.master != device.index) requests.push_back(netlink::setMaster(ref(end), device.index));
    if (end.mtu < site_.mtu && !blocked_) requests.push_back(netlink::setMtu(ref(end), site_.mtu));
    if (!end.up) requests.push_back(netlink::setUp(ref(end)));
    if (!requests.empty()) step(Place::Node, std::move(requests));
  }

  /// Pods' ends in a bridge of ours that an earlier version made on the node.
  void movePods(const LinkInfo& bridge) {
    const LinkInfo* old = host_.link(bridgeName(network_));
    if (old == nullptr || !isOurs(*old)) return;
    // Not onto a bridge that doesn't lead out yet, and isn't about to.
    const std::string port = portName(network_);
    const bool made = port.empty() || host_.inner.link(port) != nullptr;
    if (!made && (blocked_ || (network_.type == LinkType::Vxlan && !guarded_))) return;
    for (const auto& [name, link] : host_.links) {
      if (link.master != old->index || !drivers::parseAlias(link.alias)) continue;
      step(Place::Node, {netlink::moveLink(ref(link), host_.switchNetns)});
      step({netlink::setMaster({0, name}, bridge.index), netlink::setUp({0, name})});
    }
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

/// Names of the network's links, by where they are.
std::set<std::string> namesIn(Place place, const DesiredNetwork& network) {
  if (!hasBridge(network)) return {};
  if (place == Place::Node) {
    return joinsBridge(network) ? std::set{wireEndName(network)} : std::set<std::string>{};
  }
  return {bridgeName(network), portName(network)};
}

/// The links that carry a network's mark and that nobody wants, with those who use them.
class Removals {
 public:
  Removals(const std::vector<DesiredNetwork>& served, const Host& host, HostPlan& plan)
      : served_(served), host_(host), plan_(plan) {}

  void run() {
    if (!host_.split()) {
      removeFrom(host_.inner, Place::Switch, {Place::Switch, Place::Node});
    } else {
      removeFrom(host_.inner, Place::Switch, {Place::Switch});
      removeFrom(host_, Place::Node, {Place::Node});
    }
  }

 private:
  void removeFrom(const Links& side, Place place, const std::vector<Place>& names) {
    std::set<std::pair<std::string, std::string>> expected;  // name and alias
    for (const DesiredNetwork& network : served_) {
      for (const Place each : names) {
        for (const std::string& name : namesIn(each, network)) {
          expected.insert({name, networkAlias(network.uid)});
        }
      }
    }
    std::map<NetworkUid, std::vector<const LinkInfo*>> gone;
    for (const auto& [name, link] : side.links) {
      const auto uid = parseNetworkAlias(link.alias);
      if (uid && !expected.contains({name, link.alias})) gone[*uid].push_back(&link);
    }
    for (const auto& [uid, links] : gone) remove(side, place, uid, links);
  }

  void remove(const Links& side, Place place, const NetworkUid& uid,
              const std::vector<const LinkInfo*>& links) {
    HostStep removal{uid, place, {}, {}};
    unsigned interfaces = 0;
    std::string bridge;
    for (const LinkInfo* link : links) {
      if (link->kind == "bridge") {
        interfaces += interfacesIn(side, *link);
        bridge = link->name;
      }
      removal.requests.push_back(netlink::deleteLink(ref(*link)));
    }
    if (interfaces == 0) {
      if (!isMoving(place, uid)) plan_.steps.push_back(std::move(removal));
    } else if (!isServed(uid)) {
      plan_.leftovers.push_back({uid, bridge, interfaces});
    }
  }

  [[nodiscard]] bool isServed(const NetworkUid& uid) const {
    return std::ranges::find(served_, uid, &DesiredNetwork::uid) != served_.end();
  }
  /// An earlier version's links serve until the switch has taken over.
  [[nodiscard]] bool isMoving(Place place, const NetworkUid& uid) const {
    if (place == Place::Switch) return false;
    const auto network = std::ranges::find(served_, uid, &DesiredNetwork::uid);
    if (network == served_.end()) return false;
    return host_.inner.link(bridgeName(*network)) == nullptr ||
           (network->type == LinkType::Vxlan && host_.inner.link(vxlanName(*network)) == nullptr);
  }

  const std::vector<DesiredNetwork>& served_;
  const Host& host_;
  HostPlan& plan_;
};

}  // namespace

HostPlan planHost(const std::vector<DesiredNetwork>& served, const Host& host, Guard guard,
                  const NetworksOptions& options) {
  HostPlan plan;
  // Removals first: a network made anew may want the VNI of one that is gone.
  Removals(served, host, plan).run();
  for (const DesiredNetwork& network : served) {
    for (HostStep& step : Planner(network, host, guard, options).run()) {
      plan.steps.push_back(std::move(step));
    }
  }
  return plan;
}

}  // namespace multinet::agent::networks
