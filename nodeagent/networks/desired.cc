#include "nodeagent/networks/desired.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/api/names.h"
#include "lib/base/log.h"

namespace multinet::agent::networks {
namespace {

Wish wishOf(const api::PodNetwork& network) {
  // Those that are ending are served like the others while they exist: pods may still be coming.
  const bool ready = network.status.conditions.isTrue("Ready") || network.metadata.deleting() ||
                     !network.spec.isEnabled();
  return ready ? Wish::Serve : Wish::Keep;
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

void fillVxlan(DesiredNetwork& out, const api::PodNetwork& network, const PeersByNetwork& peers,
               const NodeName& node) {
  // Only the reserved VNI counts: the one in the spec may belong to another network.
  if (network.status.vni) {
    out.vni = static_cast<std::uint32_t>(*network.status.vni);
  } else {
    out.wish = Wish::Keep;
  }
  const api::VxlanSpec spec = network.spec.vxlan.value_or(api::VxlanSpec{});
  out.port = static_cast<std::uint16_t>(spec.port.value_or(api::kDefaultVxlanPort));
  if (spec.underlay) out.underlay = spec.underlay->interface;
  for (const api::NetworkPeer* peer : peers.of(network.metadata.uid)) {
    if (peer->nodeName == node.str()) continue;
    if (auto parsed = peerOf(*peer)) out.peers.push_back(std::move(*parsed));
  }
  std::sort(out.peers.begin(), out.peers.end(),
            [](const Peer& a, const Peer& b) { return a.node < b.node; });
}

void fillRanges(DesiredNetwork& out, const api::PodNetwork& network,
                const std::vector<IpPrefix>& clusterRanges) {
  for (const api::Subnet& subnet : network.spec.ipam.subnets) {
    if (const auto cidr = IpPrefix::parse(subnet.cidr)) out.subnets.push_back(*cidr);
  }
  for (const IpPrefix& range : clusterRanges) {
    const bool covered = std::any_of(out.subnets.begin(), out.subnets.end(),
                                     [&](const IpPrefix& own) { return own.overlaps(range); });
    if (covered) out.covered.push_back(range);
  }
}

void fillBridge(DesiredNetwork& out, const api::BridgeSpec& spec) {
  out.bridge = spec.name;
  out.uplink = spec.uplink;
  out.bridgeMode = spec.mode == api::BridgeMode::Existing ? BridgeMode::Existing : BridgeMode::Own;
}

}  // namespace

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

MacvlanMode macvlanModeOf(api::MacvlanMode mode) {
  switch (mode) {
    case api::MacvlanMode::Bridge:
      return MacvlanMode::Bridge;
    case api::MacvlanMode::Private:
      return MacvlanMode::Private;
    case api::MacvlanMode::Vepa:
      return MacvlanMode::Vepa;
    case api::MacvlanMode::Passthru:
      return MacvlanMode::Passthru;
  }
  return MacvlanMode::Bridge;
}

PeersByNetwork::PeersByNetwork(const std::vector<std::shared_ptr<const api::NetworkPeer>>& peers) {
  for (const auto& peer : peers) byUid_[peer->podNetworkUID].push_back(peer.get());
  looks_ = peers.size();
}

const std::vector<const api::NetworkPeer*>& PeersByNetwork::of(const std::string& uid) const {
  static const std::vector<const api::NetworkPeer*> kNone;
  const auto found = byUid_.find(uid);
  if (found == byUid_.end()) return kNone;
  looks_ += found->second.size();
  return found->second;
}

std::vector<DesiredNetwork> desiredNetworks(
    const std::vector<std::shared_ptr<const api::PodNetwork>>& networks,
    const PeersByNetwork& peers, const NodeName& node, const std::vector<IpPrefix>& clusterRanges) {
  std::vector<DesiredNetwork> desired;
  for (const auto& network : networks) {
    DesiredNetwork out;
    out.name = NetworkName(network->metadata.name);
    out.uid = NetworkUid(network->metadata.uid);
    out.type = linkTypeOf(network->spec.type);
    out.mtu = static_cast<unsigned>(std::max(network->spec.mtu.value_or(0), 0));
    out.wish = wishOf(*network);
    fillRanges(out, *network, clusterRanges);
    switch (out.type) {
      case LinkType::Vxlan:
        fillVxlan(out, *network, peers, node);
        break;
      case LinkType::Bridge:
        fillBridge(out, network->spec.bridge.value_or(api::BridgeSpec{}));
        break;
      case LinkType::Macvlan:
        if (!network->spec.macvlan) continue;
        out.parent = network->spec.macvlan->parent;
        out.macvlanMode = macvlanModeOf(network->spec.macvlan->mode);
        break;
    }
    desired.push_back(std::move(out));
  }
  std::sort(desired.begin(), desired.end(),
            [](const DesiredNetwork& a, const DesiredNetwork& b) { return a.name < b.name; });
  return desired;
}

}  // namespace multinet::agent::networks
