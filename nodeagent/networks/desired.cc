#include "nodeagent/networks/desired.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/api/names.h"
#include "lib/base/log.h"

namespace multinet::agent::networks {
namespace {

bool served(const api::PodNetwork& network) {
  return network.status.conditions.isTrue("Ready") || network.metadata.deleting() ||
         !network.spec.isEnabled();
}

LinkType linkTypeOf(api::NetworkType type) {
  switch (type) {
    case api::NetworkType::Vxlan:
      return LinkType::Vxlan;
    case api::NetworkType::Bridge:
      return LinkType::Bridge;
    case api::NetworkType::Macvlan:
      return LinkType::Macvlan;
  }
  return LinkType::Bridge;
}

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

// False where the network can't be served yet.
bool fillVxlan(DesiredNetwork& out, const api::PodNetwork& network,
               const std::vector<std::shared_ptr<const api::NetworkPeer>>& peers,
               const NodeName& node) {
  // Only the reserved VNI counts: the one in the spec may belong to another network.
  if (!network.status.vni) return false;
  out.vni = static_cast<std::uint32_t>(*network.status.vni);
  const api::VxlanSpec spec = network.spec.vxlan.value_or(api::VxlanSpec{});
  out.port = static_cast<std::uint16_t>(spec.port.value_or(api::kDefaultVxlanPort));
  if (spec.underlay) out.underlay = spec.underlay->interface;
  for (const auto& peer : peers) {
    const bool ours = peer->podNetworkUID == network.metadata.uid && peer->nodeName != node.str();
    if (!ours) continue;
    if (auto parsed = peerOf(*peer)) out.peers.push_back(std::move(*parsed));
  }
  std::sort(out.peers.begin(), out.peers.end(),
            [](const Peer& a, const Peer& b) { return a.node < b.node; });
  return true;
}

void fillBridge(DesiredNetwork& out, const api::BridgeSpec& spec) {
  out.bridge = spec.name;
  out.uplink = spec.uplink;
  out.bridgeMode = spec.mode == api::BridgeMode::Existing ? BridgeMode::Existing : BridgeMode::Own;
}

}  // namespace

std::vector<DesiredNetwork> desiredNetworks(
    const std::vector<std::shared_ptr<const api::PodNetwork>>& networks,
    const std::vector<std::shared_ptr<const api::NetworkPeer>>& peers, const NodeName& node) {
  std::vector<DesiredNetwork> desired;
  for (const auto& network : networks) {
    if (!served(*network)) continue;
    DesiredNetwork out;
    out.name = NetworkName(network->metadata.name);
    out.uid = NetworkUid(network->metadata.uid);
    out.type = linkTypeOf(network->spec.type);
    out.mtu = static_cast<unsigned>(std::max(network->spec.mtu.value_or(0), 0));
    switch (out.type) {
      case LinkType::Vxlan:
        if (!fillVxlan(out, *network, peers, node)) continue;
        break;
      case LinkType::Bridge:
        fillBridge(out, network->spec.bridge.value_or(api::BridgeSpec{}));
        break;
      case LinkType::Macvlan:
        if (!network->spec.macvlan) continue;
        out.parent = network->spec.macvlan->parent;
        break;
    }
    desired.push_back(std::move(out));
  }
  std::sort(desired.begin(), desired.end(),
            [](const DesiredNetwork& a, const DesiredNetwork& b) { return a.name < b.name; });
  return desired;
}

}  // namespace multinet::agent::networks
