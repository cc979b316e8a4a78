#include <algorithm>
#include <utility>

#include "lib/api/names.h"
#include "lib/api/service.h"
#include "nodeagent/report/bounds.h"
#include "nodeagent/report/node_reporter.h"

namespace multinet::agent::report {
namespace {

constexpr const char* kLeftoverLinks = "LeftoverLinks";
constexpr std::size_t kNamedLeftovers = 8;

k8s::ConditionStatus statusOf(networks::CheckStatus status) {
  switch (status) {
    case networks::CheckStatus::True:
      return k8s::ConditionStatus::True;
    case networks::CheckStatus::False:
      return k8s::ConditionStatus::False;
    case networks::CheckStatus::Unknown:
      return k8s::ConditionStatus::Unknown;
  }
  return k8s::ConditionStatus::Unknown;
}

api::NodeNetwork networkOf(const networks::NetworkState& state,
                           const api::NodeNetworkSetStatus& before, WallTime now) {
  api::NodeNetwork network;
  network.podNetworkName = state.name.str();
  network.podNetworkUID = state.uid.str();
  const auto old = std::find_if(before.networks.begin(), before.networks.end(),
                                [&state](const api::NodeNetwork& candidate) {
                                  return candidate.podNetworkUID == state.uid.str();
                                });
  if (old != before.networks.end()) network.conditions = old->conditions;
  k8s::Condition ready;
  ready.type = "Ready";
  ready.status = statusOf(state.ready);
  ready.reason = state.reason;
  ready.message = state.message;
  network.conditions.set(std::move(ready), now);
  for (const networks::Check& check : state.checks) {
    network.checks.push_back({check.name, statusOf(check.status), check.reason, check.message});
  }
  return network;
}

/// Links of networks that are gone: a condition of the node, since no network is left to tell it.
void tellLeftovers(k8s::Conditions& conditions, const std::vector<networks::Orphan>& orphans,
                   WallTime now) {
  k8s::Condition condition;
  condition.type = kLeftoverLinks;
  condition.status = k8s::ConditionStatus::False;
  condition.reason = "NoneLeft";
  condition.message = "every link of the node belongs to a network that is there";
  if (orphans.empty()) {
    if (conditions.find(kLeftoverLinks) != nullptr) conditions.set(std::move(condition), now);
    return;
  }
  condition.status = k8s::ConditionStatus::True;
  condition.reason = "PodsUseThem";
  condition.message = "links of networks that are gone are kept until their pods end: ";
  for (std::size_t i = 0; i < std::min(orphans.size(), kNamedLeftovers); ++i) {
    if (i > 0) condition.message += ", ";
    condition.message +=
        orphans[i].device + " (interfaces: " + std::to_string(orphans[i].interfaces) + ")";
  }
  if (orphans.size() > kNamedLeftovers) {
    condition.message += " and " + std::to_string(orphans.size() - kNamedLeftovers) + " more";
  }
  conditions.set(std::move(condition), now);
}

}  // namespace

api::NodeNetworkSetStatus nodeStatus(const api::NodeNetworkSetStatus& before, const NodeView& view,
                                     WallTime now) {
  api::NodeNetworkSetStatus status;
  status.conditions = before.conditions;
  status.agent = before.agent;
  status.claimant = before.claimant;
  status.policyRevision = view.policyRevision.value_or(before.policyRevision);
  const WallTime second = std::chrono::floor<std::chrono::seconds>(now);  // as the API keeps it
  for (const auto& [type, condition] : view.conditions) {
    status.conditions.set({type, condition.status, 0, std::nullopt, reasonWord(condition.reason),
                           cutText(condition.message, limits::kMessage)},
                          second);
  }
  // Half a picture isn't told: what the last agent measured stands until this one has.
  if (!view.networks.settled) {
    status.networks = before.networks;
    const std::int32_t omitted = before.omittedNetworks;
    status = fitted(std::move(status), view.used);
    status.omittedNetworks = std::max(status.omittedNetworks, omitted);
    return status;
  }
  tellLeftovers(status.conditions, view.networks.orphans, second);
  for (const networks::NetworkState& state : view.networks.networks) {
    // Every node could say so of every network: what nobody wants here is told where it's amiss.
    if (!state.joined && state.ready == networks::CheckStatus::True) continue;
    status.networks.push_back(networkOf(state, before, second));
  }
  return fitted(std::move(status), view.used);
}

std::map<std::string, api::NetworkPeer> peersOf(const networks::Snapshot& snapshot,
                                                const NodeName& node) {
  std::map<std::string, api::NetworkPeer> peers;
  for (const networks::NetworkState& state : snapshot.networks) {
    const bool tunnel = state.type == api::NetworkType::Vxlan && !state.underlays.empty() &&
                        state.bridgeMac != MacAddress();
    if (!tunnel) continue;
    api::NetworkPeer peer;
    peer.metadata.name = api::peerName(state.name, node);
    peer.metadata.labels[api::kNetworkLabel] = state.name.str();
    peer.podNetworkName = state.name.str();
    peer.podNetworkUID = state.uid.str();
    peer.nodeName = node.str();
    for (const IpAddress& address : state.underlays) peer.underlayIPs.push_back(address.str());
    peer.bridgeMAC = state.bridgeMac.str();
    peer = fitted(std::move(peer));
    peers.emplace(peer.metadata.name, std::move(peer));
  }
  return peers;
}

}  // namespace multinet::agent::report
