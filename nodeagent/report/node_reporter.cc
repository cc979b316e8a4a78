#include "nodeagent/report/node_reporter.h"

#include <algorithm>
#include <utility>

#include "lib/api/names.h"

namespace multinet::agent::report {
namespace {

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

// Status of a list's items is the same where their specs are; metadata belongs to the server.
bool sameFacts(const api::NetworkPeer& a, const api::NetworkPeer& b) {
  return a.podNetworkUID == b.podNetworkUID && a.underlayIPs == b.underlayIPs &&
         a.bridgeMAC == b.bridgeMAC && a.port == b.port;
}

const api::NetworkPeer* named(const std::vector<api::NetworkPeer>& peers, const std::string& name) {
  const auto found = std::find_if(peers.begin(), peers.end(), [&name](const api::NetworkPeer& p) {
    return p.metadata.name == name;
  });
  return found == peers.end() ? nullptr : &*found;
}

Status writeSet(NodeApi& api, const NodeName& node, const NodeView& view, WallTime now) {
  auto set = api.getNodeSet(node);
  if (!set && set.error().code == Code::NotFound) {
    api::NodeNetworkSet fresh;
    fresh.metadata.name = node.str();
    fresh.spec.nodeName = node.str();
    set = api.createNodeSet(fresh);
  }
  if (!set) return fail(set.error());
  const api::NodeNetworkSetStatus next = nodeStatus(set->status, view, now);
  if (next == set->status) return {};
  set->status = next;
  return api.updateNodeSetStatus(*set);
}

Status writePeers(NodeApi& api, const NodeName& node, const networks::Snapshot& snapshot) {
  MULTINET_TRY(const auto there, api.listPeers(node));
  const auto wanted = peersOf(snapshot, node);
  for (const api::NetworkPeer& peer : wanted) {
    const api::NetworkPeer* old = named(there, peer.metadata.name);
    if (old == nullptr) {
      MULTINET_CHECK(api.createPeer(peer));
    } else if (!sameFacts(*old, peer)) {
      api::NetworkPeer next = peer;
      next.metadata = old->metadata;
      MULTINET_CHECK(api.updatePeer(next));
    }
  }
  for (const api::NetworkPeer& old : there) {
    if (named(wanted, old.metadata.name) != nullptr) continue;
    const Status deleted = api.deletePeer(old);
    if (!deleted && deleted.error().code != Code::NotFound) return fail(deleted.error());
  }
  return {};
}

}  // namespace

api::NodeNetworkSetStatus nodeStatus(const api::NodeNetworkSetStatus& before, const NodeView& view,
                                     WallTime now) {
  api::NodeNetworkSetStatus status;
  status.links = before.links;
  status.conditions = before.conditions;
  for (const auto& [type, condition] : view.conditions) {
    status.conditions.set(
        {type, condition.status, 0, std::nullopt, condition.reason, condition.message}, now);
  }
  // Half a picture isn't told: what the last agent measured stands until this one has.
  if (!view.networks.settled) {
    status.networks = before.networks;
    status.omittedNetworks = before.omittedNetworks;
    return status;
  }
  for (const networks::NetworkState& state : view.networks.networks) {
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
    status.networks.push_back(std::move(network));
  }
  return status;
}

std::vector<api::NetworkPeer> peersOf(const networks::Snapshot& snapshot, const NodeName& node) {
  std::vector<api::NetworkPeer> peers;
  for (const networks::NetworkState& state : snapshot.networks) {
    const bool tunnel = state.type == LinkType::Vxlan && !state.underlays.empty() &&
                        state.bridgeMac != MacAddress();
    if (!tunnel) continue;
    api::NetworkPeer peer;
    peer.metadata.name = api::peerName(state.name, node);
    peer.podNetworkName = state.name.str();
    peer.podNetworkUID = state.uid.str();
    peer.nodeName = node.str();
    for (const IpAddress& address : state.underlays) peer.underlayIPs.push_back(address.str());
    peer.bridgeMAC = state.bridgeMac.str();
    peers.push_back(std::move(peer));
  }
  return peers;
}

NodeReporter::NodeReporter(NodeApi& api, const Clock& clock, NodeName node)
    : api_(api),
      clock_(clock),
      node_(std::move(node)),
      queue_(clock, {.first = std::chrono::milliseconds(200), .most = std::chrono::seconds(15)}),
      workers_("node report", queue_, [this](const std::string&) { return write(); }) {
  workers_.start(1);
}

NodeReporter::~NodeReporter() {
  queue_.shutDown();
  workers_.stop();
}

void NodeReporter::update(std::shared_ptr<const networks::Snapshot> snapshot) {
  {
    const std::lock_guard lock(mutex_);
    view_.networks = *snapshot;
  }
  queue_.add("node");
}

void NodeReporter::setNodeCondition(NodeCondition condition) {
  {
    const std::lock_guard lock(mutex_);
    const auto [place, isNew] = view_.conditions.try_emplace(condition.type, condition);
    if (!isNew && place->second == condition) return;
    place->second = std::move(condition);
  }
  queue_.add("node");
}

Result<kube::Outcome> NodeReporter::write() {
  NodeView view;
  {
    const std::lock_guard lock(mutex_);
    view = view_;
  }
  MULTINET_CHECK(writeNode(api_, node_, view, clock_.wall()));
  return kube::Outcome{};
}

Status writeNode(NodeApi& api, const NodeName& node, const NodeView& view, WallTime now) {
  if (!view.networks.settled && view.conditions.empty()) return {};
  if (view.networks.settled) MULTINET_CHECK(writePeers(api, node, view.networks));
  return writeSet(api, node, view, now);
}

}  // namespace multinet::agent::report
