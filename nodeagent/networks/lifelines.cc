#include "nodeagent/networks/lifelines.h"

#include <algorithm>

#include "nodeagent/drivers/op.h"
#include "nodeagent/networks/names.h"

namespace multinet::agent::networks {
namespace {

using netlink::LinkInfo;

/// First port that no well-known service has (RFC 6335, section 6).
constexpr std::uint16_t kFirstFreePort = 1024;
/// WireGuard's, which encrypted cluster networks open at any time.
constexpr std::uint16_t kWireGuard[] = {51820, 51821};

const std::string kRemedy = "; name a device that nothing else on this node uses";

bool ours(const LinkInfo& link) {
  return parseNetworkAlias(link.alias).has_value() || drivers::parseAlias(link.alias).has_value();
}

/// The device that the network would have for itself; empty: none.
const std::string& takenDevice(const DesiredNetwork& network) {
  static const std::string kNone;
  if (network.type == LinkType::Bridge && !joinsBridge(network)) return network.uplink;
  if (network.type == LinkType::Macvlan && network.macvlanMode == MacvlanMode::Passthru) {
    return network.parent;
  }
  return kNone;
}

/// The device of others by which frames of the network leave; empty: none, or a tunnel.
const std::string& wireOf(const DesiredNetwork& network) {
  if (network.type == LinkType::Macvlan) return network.parent;
  return joinsBridge(network) ? network.bridge : network.uplink;
}

/// In the switch or, made by an earlier version, in the node's namespace.
const LinkInfo* tunnelOf(const DesiredNetwork& network, const Host& host) {
  for (const Links* side : {&host.inner, static_cast<const Links*>(&host)}) {
    const LinkInfo* tunnel = side->link(vxlanName(network));
    if (tunnel != nullptr && tunnel->alias == networkAlias(network.uid)) return tunnel;
  }
  return nullptr;
}

/// Whether a link that the test holds for is on either side.
template <class Test>
bool anyLink(const Host& host, Test test) {
  const auto matches = [&](const auto& entry) { return test(entry.second); };
  return std::ranges::any_of(host.links, matches) || std::ranges::any_of(host.inner.links, matches);
}

/// The name of a foreign device that stands on `device`, such as a VLAN.
std::optional<std::string> standsOn(const LinkInfo& device, const Host& host) {
  for (const auto& [name, link] : host.links) {
    const bool above = link.lower == device.index && !link.lowerNetns && link.kind != "veth";
    if ((above || link.master == device.index) && !ours(link)) return name;
  }
  return std::nullopt;
}

bool isUnderlay(const LinkInfo& device, const Host& host, const std::string& defaultUnderlay) {
  return device.name == defaultUnderlay || anyLink(host, [&](const LinkInfo& link) {
           return link.vxlan && link.vxlan->underlayIndex == device.index;
         });
}

bool hasLinks(const DesiredNetwork& network, const Host& host) {
  return hasBridge(network) && anyLink(host, [&](const LinkInfo& link) {
           return link.alias == networkAlias(network.uid);
         });
}

/// What was made with a number that the API doesn't tell at the moment goes on with it.
bool adoptNumbers(DesiredNetwork& network, const Host& host) {
  if (network.type != LinkType::Vxlan || network.vni != 0) return true;
  const LinkInfo* tunnel = tunnelOf(network, host);
  if (tunnel == nullptr || !tunnel->vxlan) return false;
  network.vni = tunnel->vxlan->vni;
  network.port = tunnel->vxlan->port;
  return true;
}

bool holdsAddress(const IpPrefix& range, const std::string& device, const Host& host) {
  const LinkInfo* link = host.link(device);
  const auto found = link == nullptr ? host.addresses.end() : host.addresses.find(link->index);
  return found != host.addresses.end() &&
         std::any_of(found->second.begin(), found->second.end(),
                     [&](const IpAddress& address) { return range.contains(address); });
}

void judgePeers(DesiredNetwork& network, const Host& host) {
  for (Peer& peer : network.peers) {
    std::erase_if(peer.underlay, [&](const IpAddress& address) {
      const auto why = whyNoRemote(address, host);
      if (why) network.refusedPeers.push_back("peer " + peer.node.str() + ": " + *why);
      return why.has_value();
    });
  }
  std::erase_if(network.peers, [](const Peer& peer) { return peer.underlay.empty(); });
}

std::optional<Refusal> refusalOf(const DesiredNetwork& network, const Host& host,
                                 const std::string& defaultUnderlay) {
  if (const std::string& name = takenDevice(network); !name.empty()) {
    if (const LinkInfo* device = host.link(name)) {
      if (auto no = refuseDevice(network, *device, host, defaultUnderlay)) return no;
    }
  }
  if (network.type == LinkType::Vxlan) {
    if (auto no = refusePort(network, host)) return no;
  }
  return refuseRange(network, host, defaultUnderlay);
}

}  // namespace

std::optional<Refusal> refuseDevice(const DesiredNetwork& network, const LinkInfo& device,
                                    const Host& host, const std::string& defaultUnderlay) {
  const auto no = [&](const std::string& why) {
    return Refusal{"DeviceInUse", "device " + device.name + " " + why + kRemedy};
  };
  if (ours(device) || device.name == "lo") return no("is no wire to the outside");
  const auto addresses = host.addresses.find(device.index);
  if (addresses != host.addresses.end() && !addresses->second.empty()) {
    return no("has the node's address " + addresses->second.front().str() +
              ": the node would be cut off");
  }
  if (const auto route = host.routed.find(device.index); route != host.routed.end()) {
    return no("carries the node's route to " + route->second.str());
  }
  if (isUnderlay(device, host, defaultUnderlay)) return no("carries the tunnels between nodes");
  const LinkInfo* bridge = host.link(bridgeName(network));
  if (device.master != 0 && (bridge == nullptr || device.master != bridge->index ||
                             bridge->alias != networkAlias(network.uid))) {
    const LinkInfo* master = host.link(device.master);
    return no("is a port of " + (master == nullptr ? "another device" : master->name));
  }
  if (const auto above = standsOn(device, host)) return no("is used by device " + *above);
  return std::nullopt;
}

std::optional<Refusal> refusePort(const DesiredNetwork& network, const Host& host) {
  const std::string port = "UDP port " + std::to_string(network.port);
  const std::string remedy = "; make the network with another vxlan.port, such as 4799";
  if (const auto taken = host.tunnelPorts.find(network.port); taken != host.tunnelPorts.end()) {
    return Refusal{"PortTaken",
                   port + " belongs to device " + taken->second + " of this node" + remedy};
  }
  // What listens there now is our own.
  if (tunnelOf(network, host) != nullptr) return std::nullopt;
  const bool reserved =
      network.port < kFirstFreePort || std::ranges::count(kWireGuard, network.port) > 0;
  if (reserved) {
    return Refusal{"PortReserved", port + " is kept for well-known services" + remedy};
  }
  const bool shared = anyLink(
      host, [&](const LinkInfo& link) { return link.udpPort == network.port && ours(link); });
  if (!shared && host.udpPorts.contains(network.port)) {
    return Refusal{"PortTaken", port + " is open on this node already" + remedy};
  }
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

std::optional<std::string> whyNoRemote(const IpAddress& remote, const Host& host) {
  if (host.own.contains(remote)) return remote.str() + " is this node's own address";
  if (host.broadcasts.contains(remote)) return remote.str() + " is a broadcast address";
  const std::uint32_t first =
      remote.isV4() ? static_cast<std::uint32_t>(remote.number() >> 24U) : 1;
  const bool mapped = !remote.isV4() && remote.number() >> 32U == 0xffff;
  if (remote.isUnspecified() || remote.isLoopback() || remote.isMulticast() || first == 0 ||
      first >= 240 || mapped) {
    return remote.str() + " is no host's address";
  }
  return std::nullopt;
}

HostDetail detailFor(const std::vector<DesiredNetwork>& desired, const Host& host) {
  HostDetail detail;
  for (const DesiredNetwork& network : desired) {
    detail.routes = detail.routes || !takenDevice(network).empty();
    detail.udpPorts =
        detail.udpPorts || (network.type == LinkType::Vxlan && tunnelOf(network, host) == nullptr);
  }
  return detail;
}

std::vector<DesiredNetwork> judge(const std::vector<DesiredNetwork>& desired, const Host& host,
                                  const std::string& defaultUnderlay) {
  std::vector<DesiredNetwork> served;
  for (const DesiredNetwork& wished : desired) {
    if (wished.wish == Wish::Keep && !hasLinks(wished, host)) continue;
    DesiredNetwork network = wished;
    if (!adoptNumbers(network, host)) continue;
    judgePeers(network, host);
    network.refusal = refusalOf(network, host, defaultUnderlay);
    served.push_back(std::move(network));
  }
  return served;
}

}  // namespace multinet::agent::networks
