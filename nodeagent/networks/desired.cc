#include "nodeagent/networks/desired.h"

#include <algorithm>
#include <utility>

namespace multinet::agent::networks {
namespace {

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
    auto made = networkOf(*network, peers.of(network->metadata.uid), node);
    if (!made) continue;
    DesiredNetwork out;
    out.name = NetworkName(network->metadata.name);
    out.uid = NetworkUid(network->metadata.uid);
    out.network = std::move(*made);
    out.mtu = static_cast<unsigned>(std::max(network->spec.mtu.value_or(0), 0));
    const bool complete = std::visit([](const auto& one) { return one.isComplete(); }, out.network);
    out.state = complete ? stateOf(*network) : DesiredState::Keep;
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
