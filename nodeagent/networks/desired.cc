#include "nodeagent/networks/desired.h"

#include <algorithm>
#include <utility>

namespace multinet::agent::networks {
namespace {

using Peers = std::vector<std::shared_ptr<const api::NetworkPeer>>;

DesiredState stateOf(const api::PodNetwork& network) {
  // Those that are ending are served like the others while they exist: pods may still be coming.
  const bool ready = network.status.conditions.isTrue("Ready") || network.metadata.deleting() ||
                     !network.spec.isEnabled();
  return ready ? DesiredState::Serve : DesiredState::Keep;
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

}  // namespace

std::vector<DesiredNetwork> desiredNetworks(
    const std::vector<std::shared_ptr<const api::PodNetwork>>& networks, const PeersOf& peersOf,
    const NodeName& node, const std::vector<IpPrefix>& clusterRanges) {
  std::vector<DesiredNetwork> desired;
  for (const auto& network : networks) {
    const bool tunnel = network->spec.type == api::NetworkType::Vxlan;
    const auto known = tunnel ? peersOf(network->metadata.name) : std::nullopt;
    std::vector<const api::NetworkPeer*> peers;
    for (const auto& peer : known.value_or(Peers{})) {
      if (peer->podNetworkUID == network->metadata.uid) peers.push_back(peer.get());
    }
    auto made = networkOf(*network, peers, node);
    if (!made) continue;
    if (auto* vxlan = std::get_if<drivers::vxlan::Network>(&*made)) {
      vxlan->peersKnown = known.has_value();
    }
    DesiredNetwork out;
    out.name = NetworkName(network->metadata.name);
    out.uid = NetworkUid(network->metadata.uid);
    out.network = std::move(*made);
    out.mtu = static_cast<unsigned>(std::max(network->spec.mtu.value_or(0), 0));
    const bool complete = std::visit([](const auto& one) { return one.isComplete(); }, out.network);
    out.state = complete ? stateOf(*network) : DesiredState::Keep;
    out.portSecurity = network->spec.portSecurity;
    fillRanges(out, *network, clusterRanges);
    desired.push_back(std::move(out));
  }
  std::sort(desired.begin(), desired.end(),
            [](const DesiredNetwork& a, const DesiredNetwork& b) { return a.name < b.name; });
  return desired;
}

void returnTo(std::vector<DesiredNetwork>& desired, const std::set<NetworkUid>& had) {
  for (DesiredNetwork& one : desired) {
    if (one.state == DesiredState::Keep && had.contains(one.uid)) one.state = DesiredState::Return;
  }
  std::stable_partition(desired.begin(), desired.end(), [](const DesiredNetwork& one) {
    return one.state != DesiredState::Return;
  });
}

}  // namespace multinet::agent::networks
