// What the API tells of a VXLAN network, where it stands on the node, and the steps that make it.
#include <algorithm>
#include <set>

#include "lib/base/log.h"
#include "lib/netlink/neighbour.h"
#include "nodeagent/drivers/hash_name.h"
#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/own_bridge.h"
#include "nodeagent/drivers/vxlan/vxlan.h"

namespace multinet::agent::drivers::vxlan {
namespace {

using netlink::LinkInfo;

std::optional<Peer> peerOf(const api::NetworkPeer& peer) {
  Peer out;
  out.node = NodeName(peer.nodeName);
  const auto mac = MacAddress::parse(peer.bridgeMAC);
  if (!mac) {
    log::warn("peer left out", {{"peer", peer.metadata.name}, {"error", mac.error()}});
    return std::nullopt;
  }
  out.bridgeMac = *mac;
  for (const std::string& text : peer.underlayIPs) {
    const auto address = IpAddress::parse(text);
    if (!address) {
      log::warn("peer left out", {{"peer", peer.metadata.name}, {"error", address.error()}});
      return std::nullopt;
    }
    out.underlay.push_back(*address);
  }
  if (out.underlay.empty()) return std::nullopt;
  return out;
}

std::optional<IpAddress> firstOf(const std::vector<IpAddress>& addresses, IpFamily family) {
  const auto found = std::find_if(addresses.begin(), addresses.end(), [&](const IpAddress& ip) {
    return ip.family() == family && !ip.isLoopback() && !ip.isLinkLocal();
  });
  if (found == addresses.end()) return std::nullopt;
  return *found;
}

void takeAddresses(const Ground& ground, TunnelPlacement& placement) {
  const auto found = ground.host.addresses.find(placement.device->index);
  if (found == ground.host.addresses.end()) return;
  const auto* tunnel = ownLink(ground.host, ground.uid, tunnelName(ground.uid));
  for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) {
    auto address = firstOf(found->second, family);
    if (!address) continue;
    if (tunnel != nullptr && tunnel->vxlan && tunnel->vxlan->local &&
        tunnel->vxlan->local->family() == family &&
        std::find(found->second.begin(), found->second.end(), *tunnel->vxlan->local) !=
            found->second.end()) {
      address = tunnel->vxlan->local;
    }
    placement.underlays.push_back(*address);
  }
  if (!placement.underlays.empty()) placement.local = placement.underlays.front();
}

/// Somebody gave the underlay another name: the tunnel stands on it all the same, so its peers go
/// on being told its address.
void followRenamed(const Ground& ground, const std::string& name, TunnelPlacement& placement) {
  const auto* tunnel = ownLink(ground.host, ground.uid, tunnelName(ground.uid));
  if (tunnel == nullptr || !tunnel->vxlan || !tunnel->vxlan->local) return;
  const auto* under = ground.host.link(tunnel->vxlan->underlayIndex);
  if (under == nullptr || under->name == name) return;
  const auto found = ground.host.addresses.find(under->index);
  const bool has = found != ground.host.addresses.end() &&
                   std::ranges::find(found->second, *tunnel->vxlan->local) != found->second.end();
  if (!has) return;
  placement.underlays = {*tunnel->vxlan->local};
  placement.parent =
      failed("Parent", "DeviceRenamed",
             "the tunnel stands on device " + under->name + ", not on " + name +
                 ": pods that run keep it, and no other is attached; give the device the name " +
                 name + " again, or name " + under->name +
                 " in spec.vxlan.underlay.interface or --underlay-interface");
}

/// The steps for one network.
class Planner {
 public:
  Planner(const Network& network, const Ground& ground, const NodeName& node, Guard guard)
      : network_(network),
        ground_(ground),
        node_(node),
        guarded_(guard == Guard::Committed),
        placement_(network.tunnelPlacement(ground)),
        own_(ground, placement_, node, {ownBridgeName(ground.uid), tunnelName(ground.uid)}) {}

  std::vector<HostStep> run() {
    if (placement_.mtu == 0) return {};
    if (const LinkInfo* bridge = own_.keep()) {
      plan(*bridge);
      own_.movePods(*bridge, !own_.blocked() && guarded_);
    }
    return std::move(own_).take();
  }

 private:
  [[nodiscard]] netlink::VxlanInfo wanted() const {
    netlink::VxlanInfo vxlan;
    vxlan.vni = network_.vni;
    vxlan.port = network_.port;
    vxlan.underlayIndex = placement_.device->index;
    vxlan.local = placement_.local;
    vxlan.learning = true;
    // Else the host fragments what is too large for the path, and nobody ever hears of it.
    vxlan.df = netlink::VxlanDf::Set;
    return vxlan;
  }

  void plan(const LinkInfo& bridge) {
    if (placement_.device == nullptr || !placement_.local) return;
    const LinkInfo* tunnel = ground_.host.inner.link(tunnelName(ground_.uid));
    if (tunnel == nullptr) {
      if (!own_.blocked() && guarded_) create(bridge);
      return;
    }
    if (!own_.keepPort(*tunnel, bridge)) return;
    if (tunnel->vxlan != wanted() && !own_.blocked() && guarded_) {
      own_.step({netlink::deleteLink(ref(*tunnel))});  // what it is made with can't be changed
      return;
    }
    const unsigned mtu = own_.mtuOf(bridge);
    if (tunnel->mtu != mtu && placement_.parent.status == CheckStatus::True) {
      own_.step({netlink::setMtu(ref(*tunnel), mtu)});
    }
    planFlood(*tunnel);
    if (guarded_) own_.bringUp(*tunnel);
  }

  void create(const LinkInfo& bridge) {
    const std::string name = tunnelName(ground_.uid);
    // Two tunnels of one VNI and port can't be, whatever namespaces they are in.
    const LinkInfo* old = ground_.host.split() ? ground_.host.link(name) : nullptr;
    if (old != nullptr && own_.isOurs(*old)) {
      own_.step(Place::Node, {netlink::deleteLink(ref(*old))});
    }
    own_.step(Place::Node,
              {netlink::createVxlan({name, portMac(node_, ground_.uid), own_.mtuOf(bridge),
                                     wanted(), ground_.host.switchNetns})});
    own_.adopt(name, bridge);
  }

  void planFlood(const LinkInfo& tunnel) {
    if (!network_.peersKnown) return;
    std::set<IpAddress> remotes;
    for (const Peer& peer : network_.peers) {
      if (const auto remote = remoteOf(peer, *placement_.local)) remotes.insert(*remote);
    }
    const auto found = ground_.host.inner.flood.find(tunnel.index);
    const std::set<IpAddress> actual =
        found == ground_.host.inner.flood.end() ? std::set<IpAddress>{} : found->second;
    std::vector<netlink::Request> requests;
    for (const IpAddress& remote : remotes) {
      if (!actual.contains(remote)) requests.push_back(netlink::addFlood(tunnel.index, remote));
    }
    for (const IpAddress& remote : actual) {
      if (!remotes.contains(remote)) requests.push_back(netlink::removeFlood(tunnel.index, remote));
    }
    if (!requests.empty()) own_.step(std::move(requests));
  }

  const Network& network_;
  const Ground& ground_;
  const NodeName& node_;
  bool guarded_;
  TunnelPlacement placement_;
  OwnBridge own_;
};

}  // namespace

std::string tunnelName(const NetworkUid& network) {
  return hashName("mnx", network.str());
}

std::optional<IpAddress> remoteOf(const Peer& peer, const IpAddress& local) {
  return firstOf(peer.underlay, local.family());
}

std::optional<Network> Network::of(const api::PodNetwork& network,
                                   const std::vector<const api::NetworkPeer*>& peers,
                                   const NodeName& node) {
  Network out;
  // Only the reserved VNI counts: the one in the spec may belong to another network.
  out.vni = static_cast<std::uint32_t>(network.status.vni.value_or(0));
  const api::VxlanSpec spec = network.spec.vxlan.value_or(api::VxlanSpec{});
  out.port = static_cast<std::uint16_t>(spec.port.value_or(api::kDefaultVxlanPort));
  if (spec.underlay) out.underlay = spec.underlay->interface;
  for (const api::NetworkPeer* peer : peers) {
    if (peer->nodeName == node.str()) continue;
    if (auto parsed = peerOf(*peer)) out.peers.push_back(std::move(*parsed));
  }
  std::sort(out.peers.begin(), out.peers.end(),
            [](const Peer& a, const Peer& b) { return a.node < b.node; });
  return out;
}

std::vector<std::string> Network::links(Place place, const Ground& ground) const {
  if (place == Place::Node) return {};
  return {ownBridgeName(ground.uid), tunnelName(ground.uid)};
}

TunnelPlacement Network::tunnelPlacement(const Ground& ground) const {
  const std::string& name = underlay.empty() ? ground.underlay : underlay;
  TunnelPlacement placement;
  static_cast<Placement&>(placement) = placementOf(ground, name);
  if (placement.device != nullptr) takeAddresses(ground, placement);
  if (!placement.local) {
    if (placement.device != nullptr) {
      placement.parent = failed("Parent", "NoUnderlayAddress",
                                "device " + name + " has no address for the tunnel to start from");
    }
    followRenamed(ground, name, placement);
    return placement;
  }
  const unsigned added = overhead(placement.local->family());
  const unsigned carried = placement.device->mtu > added ? placement.device->mtu - added : 0;
  const unsigned made = madeWith(ground, ownBridgeName(ground.uid));
  placement.mtu = networkMtu(ground, made, carried);
  checkCarries(added, placement);
  return placement;
}

std::vector<HostStep> Network::steps(const Ground& ground, const NodeName& node,
                                     Guard guard) const {
  return Planner(*this, ground, node, guard).run();
}

}  // namespace multinet::agent::drivers::vxlan
