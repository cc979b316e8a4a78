#include "nodeagent/report/node_reporter.h"

#include <algorithm>
#include <utility>

#include "lib/api/service.h"

namespace multinet::agent::report {
namespace {

constexpr Duration kLookAgain = std::chrono::milliseconds(200);
const std::string kSet;  ///< key of the NodeNetworkSet: no peer has an empty name

/// By which agents are told of it; one of an earlier agent has none.
std::string_view networkLabel(const api::NetworkPeer& peer) {
  const auto found = peer.metadata.labels->find(api::kNetworkLabel);
  return found == peer.metadata.labels->end() ? std::string_view() : found->second;
}

// Other metadata belongs to the server.
bool sameFacts(const api::NetworkPeer& a, const api::NetworkPeer& b) {
  return a.podNetworkUID == b.podNetworkUID && a.underlayIPs == b.underlayIPs &&
         a.bridgeMAC == b.bridgeMAC && networkLabel(a) == networkLabel(b);
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

const char* const kContested = "NodeNameContested";

std::string str(const api::NodeAgent& agent) {
  return "boot " + agent.bootID + ", journal " + agent.journalID;
}

/// For the pods of who isn't the node, and for people.
Error taken(const NodeName& node, const api::NodeAgent& self, const api::NodeAgent& holder) {
  return {Code::FailedPrecondition, kNodeNameTaken,
          "another machine's agent works under the node name \"" + node.str() + "\" (" +
              str(holder) + "): this one (" + str(self) +
              ") takes no address and attaches no pod, what runs keeps its networks; shut down the "
              "machine that isn't that node, or give its kubelet and agent another node name"};
}

Error unclear(const NodeName& node) {
  return {Code::Unavailable, kNodeNameUnclear,
          "whether another machine's agent works under the node name \"" + node.str() +
              "\" isn't known yet: the one that is told in its NodeNetworkSet was asked"};
}

/// In the set of whoever holds the name. Absent where nothing is to be said.
std::optional<NodeCondition> contest(const std::optional<api::NodeAgent>& rival,
                                     const api::NodeAgent& self,
                                     const api::NodeNetworkSetStatus& before) {
  if (rival) {
    return NodeCondition{kContested, k8s::ConditionStatus::True, "AnotherAgentAsks",
                         "another machine's agent (" + str(*rival) +
                             ") asks for the name of this node, which this one (" + str(self) +
                             ") keeps: that one takes no address and attaches no pod; shut down "
                             "the machine that isn't this node, or give its kubelet and agent "
                             "another node name"};
  }
  if (!before.conditions.isTrue(kContested)) return std::nullopt;
  return NodeCondition{kContested, k8s::ConditionStatus::False, "NobodyAsks",
                       "no other agent asks for the name of this node"};
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
                           const Clock& clock, NodeName node, NodeReportOptions options,
                           StandingTold told)
    : client_(std::move(client)),
      own_(own),
      clock_(clock),
      node_(std::move(node)),
      options_(options),
      told_(std::move(told)),
      begin_(clock.now()),
      tenure_(options.tenure),
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

void NodeReporter::setPolicyRevision(std::string revision) {
  const BootTime now = clock_.now();
  Duration left{};
  {
    const std::lock_guard lock(mutex_);
    if (view_.policyRevision == revision) return;
    view_.policyRevision = std::move(revision);
    left = std::max(Duration{}, Duration(revisionAt_ - now));
    revisionAt_ = now + left + options_.revisionEvery;
  }
  workers_.addAfter(kSet, left);
}

void NodeReporter::identify(api::NodeAgent self) {
  {
    const std::lock_guard lock(mutex_);
    self_ = std::move(self);
  }
  stand(fail(unclear(node_)));
  workers_.add(kSet);
}

Status NodeReporter::standing() const {
  const std::lock_guard lock(mutex_);
  return standing_;
}

bool NodeReporter::mayReport() const {
  return standing().has_value();
}

void NodeReporter::stand(Status standing) {
  {
    const std::lock_guard lock(mutex_);
    const bool isSame = standing_.has_value() == standing.has_value() &&
                        (standing.has_value() || standing_.error() == standing.error());
    if (isSame) return;
    standing_ = standing;
  }
  told_(standing);
}

void NodeReporter::hold() {
  if (mayReport()) return;
  stand({});
  changed("");  // what was kept back
}

/// Somebody waits for what is written now.
bool NodeReporter::isPressing() const {
  const auto seen = own_.nodeSet();
  const std::lock_guard lock(mutex_);
  if (!self_ || !seen.known) return false;
  if (!standing_) return true;
  return seen.object != nullptr &&
         (seen.object->status.agent != self_ || seen.object->status.claimant.has_value());
}

void NodeReporter::changed(const std::string& peer) {
  if (!peer.empty()) return workers_.addAfter(peer, options_.repairAfter);
  workers_.addAfter(kSet, isPressing() ? Duration{} : options_.repairAfter);
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
    Look look;
    {
      const std::lock_guard lock(mutex_);
      look = {view_, self_};
    }
    outcome = writeSet(look);
    // A server that takes no set is no judge of names either.
    const bool isDeaf =
        !outcome && !outcome.error().transient() && outcome.error().code != Code::Aborted;
    if (look.self && isDeaf && !tenure_.holder()) hold();
  } else if (!mayReport()) {
    return async::Outcome{};
  } else if (const Status written = writePeer(key); !written) {
    outcome = fail(written.error());
  }
  if (outcome || !isRefusal(outcome.error())) return outcome;
  log::error("the server refuses what this node tells",
             {{"object", key == kSet ? "NodeNetworkSet " + node_.str() : "NetworkPeer " + key},
              {"error", outcome.error()}});
  return async::Outcome{options_.refusedAgain};
}

Result<async::Outcome> NodeReporter::writeSet(const Look& look) {
  const NodeView& view = look.view;
  if (!look.self && !view.networks.settled && view.conditions.empty()) return async::Outcome{};
  const auto seen = own_.nodeSet();
  if (!seen.known && clock_.now() - begin_ < options_.watchPatience) {
    return async::Outcome{kLookAgain};
  }
  MULTINET_TRY(kube::Client* const client, client_());
  // The watch may be behind; what it says of another agent decides over addresses.
  if (seen.object != nullptr && (!look.self || seen.object->status.agent == look.self)) {
    auto updated = updateSet(*client, *seen.object, look);
    const bool stale = !updated && (updated.error().code == Code::Aborted ||
                                    updated.error().code == Code::NotFound);
    if (!stale) return updated;
  }
  auto there = client->get<api::NodeNetworkSet>({"", node_.str()});
  if (!there && there.error().code == Code::NotFound) {
    api::NodeNetworkSet fresh;
    fresh.metadata.name = node_.str();
    fresh.spec.nodeName = node_.str();
    there = client->create(fresh);
  }
  if (!there) return fail(there.error());
  return updateSet(*client, std::move(*there), look);
}

Result<async::Outcome> NodeReporter::updateSet(kube::Client& client, api::NodeNetworkSet set,
                                               Look look) {
  const api::NodeNetworkSetStatus& before = set.status;
  Tenure::Move move{Tenure::Step::Hold, before.agent, before.claimant, std::nullopt};
  if (look.self) move = tenure_.next(before, *look.self, clock_.now());
  const bool holds = move.step == Tenure::Step::Hold || move.step == Tenure::Step::Take;
  if (holds && look.self) {
    const auto said = contest(tenure_.rival(clock_.now()), *look.self, before);
    if (said) look.view.conditions.insert_or_assign(said->type, *said);
  }
  api::NodeNetworkSetStatus next = holds ? nodeStatus(before, look.view, clock_.wall()) : before;
  next.agent = move.agent;
  next.claimant = move.claimant;
  if (next != before) {
    set.status = std::move(next);
    MULTINET_CHECK(statusOf(client.updateStatus(set)));
  }
  tenure_.done(move, clock_.now());
  if (!look.self) return async::Outcome{};
  if (holds) {
    hold();
  } else if (const auto& holder = tenure_.holder()) {
    stand(fail(taken(node_, *look.self, *holder)));
  } else {
    stand(fail(unclear(node_)));
  }
  return async::Outcome{move.again};
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
  wanted->metadata.labels[api::kNetworkLabel] = wanted->podNetworkName;
  return statusOf(client->update(*wanted));
}

}  // namespace multinet::agent::report
