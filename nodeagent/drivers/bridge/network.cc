#include <linux/if_link.h>

#include <algorithm>

#include "nodeagent/drivers/bridge/bridge.h"
#include "nodeagent/drivers/hash_name.h"
#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/own_bridge.h"
#include "nodeagent/drivers/vlan/device.h"

namespace multinet::agent::drivers::bridge {
namespace {

using netlink::LinkInfo;
using netlink::LinkRef;

/// High enough that no bridge takes it for its own (a bridge takes its ports' lowest).
MacAddress wireMac(const NodeName& node, const NetworkUid& network) {
  auto bytes = MacAddress::derive("wire/" + node.str() + "/" + network.str()).bytes();
  bytes[0] = 0xfe;
  return MacAddress(bytes);
}

/// Of a network with `vlan`.
vlan::Tag tagOf(const api::BridgeSpec& spec) {
  return {spec.uplink, static_cast<std::uint16_t>(spec.vlan.value_or(0))};
}

/// The steps for one network.
class Planner {
 public:
  Planner(const Network& network, const Ground& ground, const NodeName& node)
      : network_(network),
        ground_(ground),
        node_(node),
        placement_(network.placement(ground)),
        own_(ground, placement_, node,
             {network.bridgeName(ground.uid), network.portName(ground.uid)}) {}

  std::vector<HostStep> run() {
    if (placement_.mtu == 0) return {};
    if (const LinkInfo* bridge = own_.keep()) {
      if (network_.joins()) {
        planWire(*bridge);
      } else if (network_.spec.vlan) {
        vlan::keepPort(ground_, placement_, tagOf(network_.spec).id, *bridge, own_);
      } else if (!network_.spec.uplink.empty()) {
        planUplink(*bridge);
      }
      own_.movePods(*bridge, !own_.blocked());
    }
    return std::move(own_).take();
  }

 private:
  /// A Passthru macvlan on the NIC, which stays with the node.
  void planUplink(const LinkInfo& bridge) {
    const LinkInfo* device = placement_.device;
    if (device == nullptr || ground_.refused) return;
    if (const LinkInfo* old = ground_.host.link(network_.bridgeName(ground_.uid));
        old != nullptr && own_.isOurs(*old) && device->master == old->index) {
      own_.step(Place::Node, {netlink::setMaster(ref(*device), 0)});  // of an earlier version
    }
    if (!device->up) own_.step(Place::Node, {netlink::setUp(ref(*device))});
    const LinkInfo* port = ground_.host.inner.link(uplinkName(ground_.uid));
    if (port == nullptr) return createUplink(*device, bridge);
    if (!own_.keepPort(*port, bridge)) return;
    if (port->lower != device->index) return own_.step({netlink::deleteLink(ref(*port))});
    // Its flags: without promiscuity the device takes no frame for pods.
    if (port->mode && *port->mode != MACVLAN_MODE_PASSTHRU) {
      own_.step({netlink::setMode(ref(*port), port->kind, MACVLAN_MODE_PASSTHRU)});
    }
    own_.keepMtu(*port, bridge);
    own_.bringUp(*port);
  }

  void createUplink(const LinkInfo& device, const LinkInfo& bridge) {
    if (own_.blocked()) return;
    netlink::MacvlanSpec spec;
    spec.name = uplinkName(ground_.uid);
    spec.parent = device.name;
    spec.parentIndex = device.index;
    spec.mode = MACVLAN_MODE_PASSTHRU;
    spec.netns = ground_.host.switchNetns;
    spec.mac = device.mac;
    spec.mtu = std::min(own_.mtuOf(bridge), device.mtu);
    own_.step(Place::Node, {netlink::createMacvlan(spec)});
    own_.adopt(spec.name, bridge);
  }

  /// A wire between our bridge and the one that the network joins.
  void planWire(const LinkInfo& bridge) {
    const LinkInfo* device = placement_.device;
    if (device == nullptr || device->kind != "bridge") return;
    const LinkInfo* port = ground_.host.inner.link(wireName(ground_.uid));
    if (port == nullptr) return createWire(*device, bridge);
    if (!own_.keepPort(*port, bridge)) return;
    own_.keepMtu(*port, bridge);
    own_.bringUp(*port);
    if (const LinkInfo* far = ground_.host.link(wireEndName(ground_.uid))) {
      keepWireEnd(*far, *device);
    }
  }

  void createWire(const LinkInfo& device, const LinkInfo& bridge) {
    if (own_.blocked()) return;
    netlink::VethSpec spec;
    spec.hostName = wireEndName(ground_.uid);
    spec.bridge = device.name;
    spec.bridgeIndex = device.index;
    spec.hostMac = wireMac(node_, ground_.uid);
    spec.peerName = wireName(ground_.uid);
    spec.peerNetns = ground_.host.switchNetns;
    spec.peerMac = portMac(node_, ground_.uid);
    spec.mtu = own_.mtuOf(bridge);
    const LinkRef end{0, spec.hostName};
    own_.step(Place::Node, {netlink::createVeth(spec), netlink::setAlias(end, own_.alias())});
    own_.adopt(spec.peerName, bridge);
  }

  void keepWireEnd(const LinkInfo& end, const LinkInfo& device) {
    std::vector<netlink::Request> requests;
    if (!own_.isOurs(end)) requests.push_back(netlink::setAlias(ref(end), own_.alias()));
    if (end.master != device.index) requests.push_back(netlink::setMaster(ref(end), device.index));
    if (end.mtu < placement_.mtu && !own_.blocked()) {
      requests.push_back(netlink::setMtu(ref(end), placement_.mtu));
    }
    if (!end.up) requests.push_back(netlink::setUp(ref(end)));
    if (!requests.empty()) own_.step(Place::Node, std::move(requests));
  }

  const Network& network_;
  const Ground& ground_;
  const NodeName& node_;
  Placement placement_;
  OwnBridge own_;
};

Placement joinedPlacement(const Network& network, const Ground& ground) {
  const std::string& name = network.spec.name;
  Placement placement = placementOf(ground, name);
  if (placement.device == nullptr) return placement;
  if (placement.device->kind != "bridge") {
    placement.parent = failed(
        "Parent", "NotABridge",
        "device " + name + " is of kind \"" + placement.device->kind + "\", it must be a bridge");
  }
  // A bridge without ports has no carrier and works all the same.
  if (placement.parent.reason == "NoCarrier") {
    placement.parent = passed("Parent", "DeviceUp", "device " + name + " is up");
  }
  placement.mtu = networkMtu(ground, 0, placement.device->mtu);
  checkCarries(0, placement);
  return placement;
}

Placement uplinkPlacement(const Network& network, const Ground& ground) {
  const std::string& name = network.spec.uplink;
  Placement placement = placementOf(ground, name);
  if (placement.device == nullptr) return placement;
  const auto* bridge = ground.host.link(network.bridgeName(ground.uid));
  if (placement.device->master != 0 &&
      (bridge == nullptr || placement.device->master != bridge->index)) {
    placement.parent =
        failed("Parent", "UplinkTaken", "device " + name + " is a port of another device");
  }
  const unsigned made = madeWith(ground, network.bridgeName(ground.uid));
  placement.mtu = networkMtu(ground, made, placement.device->mtu);
  checkCarries(0, placement);
  return placement;
}

}  // namespace

std::string uplinkName(const NetworkUid& network) {
  return hashName("mnu", network.str());
}
std::string wireName(const NetworkUid& network) {
  return hashName("mnw", network.str());
}
std::string wireEndName(const NetworkUid& network) {
  return hashName("mne", network.str());
}

std::optional<Network> Network::of(const api::PodNetwork& network,
                                   const std::vector<const api::NetworkPeer*>& /*peers*/,
                                   const NodeName& /*node*/) {
  return Network{network.spec.bridge.value_or(api::BridgeSpec{})};
}

std::string Network::bridgeName(const NetworkUid& uid) const {
  return joins() || spec.name.empty() ? ownBridgeName(uid) : spec.name;
}

std::string Network::portName(const NetworkUid& uid) const {
  if (joins()) return wireName(uid);
  if (spec.vlan) return vlan::deviceName(uid);
  return spec.uplink.empty() ? "" : uplinkName(uid);
}

std::vector<std::string> Network::links(Place place, const Ground& ground) const {
  if (place == Place::Node) {
    return joins() ? std::vector{wireEndName(ground.uid)} : std::vector<std::string>{};
  }
  std::vector<std::string> names = {bridgeName(ground.uid)};
  if (std::string port = portName(ground.uid); !port.empty()) names.push_back(std::move(port));
  return names;
}

std::optional<Refusal> Network::refuse(const Ground& ground) const {
  return spec.vlan ? vlan::refuse(ground, tagOf(spec)) : std::nullopt;
}

std::optional<Claim> Network::claim() const {
  if (spec.vlan) return vlan::claimOf(tagOf(spec));
  if (takenDevice().empty()) return std::nullopt;
  return Claim{"device " + takenDevice(), "the uplink of a bridge", Claim::Sharing::Nobody};
}

/// A network's own MTU, once its bridge was made with it, stays.
Placement Network::placement(const Ground& ground) const {
  if (joins()) return joinedPlacement(*this, ground);
  if (spec.vlan) return vlan::siteOn(ground, tagOf(spec), madeWith(ground, bridgeName(ground.uid)));
  if (!spec.uplink.empty()) return uplinkPlacement(*this, ground);
  constexpr unsigned kEthernet = 1500;
  const unsigned made = madeWith(ground, bridgeName(ground.uid));
  Placement placement;
  placement.parent = passed("Parent", "NoUplink", "the bridge needs no other device");
  placement.mtu = networkMtu(ground, made, kEthernet);
  return placement;
}

std::vector<HostStep> Network::steps(const Ground& ground, const NodeName& node,
                                     Guard /*guard*/) const {
  return Planner(*this, ground, node).run();
}

std::vector<Check> Network::checks(const Ground& ground, const Placement& /*placement*/,
                                   const Findings& findings) const {
  return {linkCheck(ground, findings, links(Place::Switch, ground)), peersUnmeasured()};
}

std::optional<Link> Network::link(const Ground& ground, const Placement& /*placement*/,
                                  const std::vector<Check>& checks) const {
  if (!linkIsThere(checks)) return std::nullopt;
  return Link{bridgeName(ground.uid)};
}

}  // namespace multinet::agent::drivers::bridge
