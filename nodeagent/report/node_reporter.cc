#include "nodeagent/report/node_reporter.h"

#include <algorithm>
#include <utility>

namespace multinet::agent::report {
namespace {

constexpr Duration kLookAgain = std::chrono::milliseconds(200);
const std::string kSet;  ///< key of the NodeNetworkSet: no peer has an empty name

// Metadata belongs to the server.
bool sameFacts(const api::NetworkPeer& a, const api::NetworkPeer& b) {
  return a.podNetworkUID == b.podNetworkUID && a.underlayIPs == b.underlayIPs &&
         a.bridgeMAC == b.bridgeMAC;
}

/// What a peer never changes.
bool sameSubject(const api::NetworkPeer& a, const api::NetworkPeer& b) {
  return a.podNetworkName == b.podNetworkName && a.podNetworkUID == b.podNetworkUID &&
         a.nodeName == b.nodeName;
}

bool isRefusal(const Error& error) {
  return error.code == Code::InvalidArgument || error.code == Code::PermissionDenied;
}

template <class T>
Status statusOf(const Result<T>& result) {
  if (result) return {};
  return fail(result.error());
}

Status createPeer(kube::Client& client, const api::NetworkPeer& peer) {
  return statusOf(client.create<api::NetworkPeer>(
      peer, [&peer](const api::NetworkPeer& there) { return sameSubject(there, peer); }));
}

/// That very object; one that is gone already is no failure.
Status deletePeer(kube::Client& client, const api::NetworkPeer& peer) {
  Status removed =
      client.remove<api::NetworkPeer>({"", peer.metadata.name}, {peer.metadata.uid, ""});
  if (!removed && removed.error().code == Code::NotFound) return {};
  return removed;
}

}  // namespace

NodeReporter::NodeReporter(kube::ClientSource client, const watch::OwnObjects& own,
                           const Clock& clock, NodeName node, NodeReportOptions options)
    : client_(std::move(client)),
      own_(own),
      clock_(clock),
      node_(std::move(node)),
      options_(options),
      begin_(clock.now()),
      workers_("node report", clock,
               {.first = std::chrono::milliseconds(200), .most = std::chrono::seconds(15)},
               [this](const std::string& key) { return write(key); }) {
  workers_.start(options_.workers);
}

NodeReporter::~NodeReporter() {
  workers_.stop();
}

void NodeReporter::update(std::shared_ptr<const networks::Snapshot> snapshot) {
  std::set<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    const bool first = snapshot->settled && !view_.networks.settled;
    view_.networks = *snapshot;
    if (snapshot->settled) {
      auto peers = peersOf(*snapshot, node_);
      for (const auto& [name, peer] : peers) {
        const auto old = peers_.find(name);
        if (old == peers_.end() || !sameFacts(old->second, peer)) names.insert(name);
      }
      for (const auto& [name, peer] : peers_) {
        if (!peers.contains(name)) names.insert(name);
      }
      peers_ = std::move(peers);
    }
    if (first) {  // what an earlier agent left
      for (std::string& name : own_.ownPeerNames()) names.insert(std::move(name));
    }
  }
  for (const std::string& name : names) workers_.add(name);
  workers_.add(kSet);
}

NodeNews NodeReporter::news() {
  return {
      .setNodeCondition = [this](NodeCondition one) { setNodeCondition(std::move(one)); },
      .setUsedNetworks = [this](std::set<NetworkUid> uids) { setUsedNetworks(std::move(uids)); }};
}

void NodeReporter::setNodeCondition(NodeCondition condition) {
  {
    const std::lock_guard lock(mutex_);
    const auto [place, isNew] = view_.conditions.try_emplace(condition.type, condition);
    if (!isNew && place->second == condition) return;
    place->second = std::move(condition);
  }
  workers_.add(kSet);
}

// Which networks are told first matters only where not all can be; the next change tells it.
void NodeReporter::setUsedNetworks(std::set<NetworkUid> uids) {
  const std::lock_guard lock(mutex_);
  view_.used = std::move(uids);
}

void NodeReporter::changed(const std::string& peer) {
  if (!peer.empty()) return workers_.addAfter(peer, options_.repairAfter);
  workers_.addAfter(kSet, options_.repairAfter);
  // The Node may be back, and with it everything else is to be written.
  std::vector<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, wanted] : peers_) names.push_back(name);
  }
  for (std::string& name : own_.ownPeerNames()) names.push_back(std::move(name));
  for (const std::string& name : names) workers_.addAfter(name, options_.repairAfter);
}

Result<async::Outcome> NodeReporter::write(const std::string& key) {
  // Its return is told to changed().
  const auto node = own_.node();
  if (node.known && node.object == nullptr) return async::Outcome{};
  Result<async::Outcome> outcome;
  if (key == kSet) {
    NodeView view;
    {
      const std::lock_guard lock(mutex_);
      view = view_;
    }
    outcome = writeSet(view);
  } else if (const Status written = writePeer(key); !written) {
    outcome = fail(written.error());
  }
  if (outcome || !isRefusal(outcome.error())) return outcome;
  log::error("the server refuses what this node tells",
             {{"object", key == kSet ? "NodeNetworkSet " + node_.str() : "NetworkPeer " + key},
              {"error", outcome.error()}});
  return async::Outcome{options_.refusedAgain};
}

Result<async::Outcome> NodeReporter::writeSet(const NodeView& view) {
  if (!view.networks.settled && view.conditions.empty()) return async::Outcome{};
  const auto seen = own_.nodeSet();
  if (!seen.known && clock_.now() - begin_ < options_.watchPatience) {
    return async::Outcome{kLookAgain};
  }
  MULTINET_TRY(kube::Client* const client, client_());
  if (seen.object != nullptr) {
    // The watch may be behind our own last write.
    const Status updated = updateSet(*client, *seen.object, view);
    const bool stale = !updated && (updated.error().code == Code::Aborted ||
                                    updated.error().code == Code::NotFound);
    if (!stale) {
      MULTINET_CHECK(updated);
      return async::Outcome{};
    }
  }
  auto there = client->get<api::NodeNetworkSet>({"", node_.str()});
  if (!there && there.error().code == Code::NotFound) {
    api::NodeNetworkSet fresh;
    fresh.metadata.name = node_.str();
    fresh.spec.nodeName = node_.str();
    there = client->create(fresh);
  }
  if (!there) return fail(there.error());
  MULTINET_CHECK(updateSet(*client, std::move(*there), view));
  return async::Outcome{};
}

Status NodeReporter::updateSet(kube::Client& client, api::NodeNetworkSet set,
                               const NodeView& view) {
  api::NodeNetworkSetStatus next = nodeStatus(set.status, view, clock_.wall());
  if (next == set.status) return {};
  set.status = std::move(next);
  return statusOf(client.updateStatus(set));
}

Status NodeReporter::writePeer(const std::string& name) {
  std::optional<api::NetworkPeer> wanted;
  {
    const std::lock_guard lock(mutex_);
    if (!view_.networks.settled) return {};
    const auto found = peers_.find(name);
    if (found != peers_.end()) wanted = found->second;
  }
  const auto seen = own_.ownPeer(name);
  if (!seen.known) {
    return fail(Code::Unavailable, "CachesNotReady",
                "write NetworkPeer " + name + ": which ones there are isn't known yet");
  }
  if (!wanted && seen.object == nullptr) return {};
  if (wanted && seen.object != nullptr && sameFacts(*seen.object, *wanted)) return {};
  MULTINET_TRY(kube::Client* const client, client_());
  if (!wanted) return deletePeer(*client, *seen.object);
  if (seen.object == nullptr) return createPeer(*client, *wanted);
  if (!sameSubject(*seen.object, *wanted)) {
    MULTINET_CHECK(deletePeer(*client, *seen.object));
    return createPeer(*client, *wanted);
  }
  wanted->metadata = seen.object->metadata;
  return statusOf(client->update(*wanted));
}

}  // namespace multinet::agent::report
