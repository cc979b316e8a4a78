#include "controller/pass/pass.h"

#include <algorithm>
#include <set>

namespace multinet::controller {
namespace {

using ByNetwork = std::map<std::string, std::vector<const InterfaceSet*>>;

void sooner(std::optional<Duration>& again, const std::optional<Duration>& other) {
  if (other) again = std::min(again.value_or(*other), *other);
}

class Pass {
 public:
  Pass(const Snapshot& snapshot, WallTime wall, BootTime now)
      : snapshot_(snapshot), wall_(wall), now_(now) {}

  Writes run() {
    indexSets();
    indexPods();
    identifiers();
    for (const auto& state : snapshot_.networks) network(state);
    for (const auto& state : snapshot_.attachments) attachment(state);
    collect();
    return std::move(writes_);
  }

 private:
  /// Sets that fit count; the others are suspect and count for nothing.
  void indexSets() {
    const auto misfits = suspects(snapshot_.sets, snapshot_.pods);
    const std::set<const InterfaceSet*> wrong(misfits.begin(), misfits.end());
    for (const auto* set : misfits) writes_.suspectSets.push_back(*set);
    for (const auto& set : snapshot_.sets) {
      if (wrong.contains(&set)) continue;
      std::set<std::string> names;
      for (const auto& interface : set.interfaces) names.insert(interface.networkName);
      for (const auto& name : names) setsOf_[name].push_back(&set);
    }
  }

  void indexPods() {
    for (const auto& pod : snapshot_.pods) {
      const std::set<std::string> names(pod.networks.begin(), pod.networks.end());
      for (const auto& name : names) podsOf_[name].push_back(&pod);
    }
    for (const auto& report : snapshot_.reports) {
      if (snapshot_.nodes.contains(report.nodeName))
        reportsOf_[report.networkName].push_back(report);
    }
  }

  void identifiers() {
    std::vector<Network> networks;
    networks.reserve(snapshot_.networks.size());
    for (const auto& state : snapshot_.networks) {
      networks.push_back(state.network);
      if (state.network.tunnel) networks.back().usedVni = state.status.vni;
    }
    vnis_ = planIdentifiers(networks, snapshot_.identifiers);
    writes_.createIdentifiers = vnis_.create;
    writes_.removeIdentifiers = vnis_.remove;
  }

  void network(const NetworkState& state) {
    const auto& meta = state.network.meta;
    NetworkObservation observed;
    observed.network = &state.network;
    if (const auto held = vnis_.held.find(meta.uid); held != vnis_.held.end()) {
      observed.heldVni = held->second;
    }
    observed.rival = rivalOf(state);
    observed.vnisExhausted = std::ranges::find(vnis_.exhausted, meta.uid) != vnis_.exhausted.end();
    observed.pods = podsOf_[meta.name];
    observed.sets = setsOf_[meta.name];
    observed.reports = reportsOf_[meta.name];
    observed.nodesDesired = static_cast<int>(snapshot_.nodes.size());
    const auto wish = reconcileNetwork(observed, wall_);
    sooner(writes_.again, wish.again);
    ready_[meta.name] = wish.status.conditions.front();
    if (!(wish.status == state.status) || !state.statusCurrent) {
      writes_.networks.push_back({meta, wish.status, state.conditions});
    }
    if (wish.finalizer == FinalizerWish::Add) writes_.addFinalizer.push_back(meta);
    if (wish.finalizer == FinalizerWish::Remove) writes_.removeFinalizer.push_back(meta);
  }

  std::optional<NetworkObservation::Rival> rivalOf(const NetworkState& state) const {
    const auto loser = vnis_.losers.find(state.network.meta.uid);
    if (loser == vnis_.losers.end()) return state.rival;
    return NetworkObservation::Rival{
        loser->second, "spec.vxlan.vni: " + std::to_string(state.network.vni.value_or(0)) +
                           " belongs to the older network \"" + loser->second +
                           "\": use another, or none to have one allocated."};
  }

  void attachment(const AttachmentState& state) {
    AttachmentObservation observed{state.meta, state.networkName, state.violations,
                                   {},         state.granted,     {}};
    if (const auto ready = ready_.find(state.networkName); ready != ready_.end()) {
      observed.networkReady = ready->second;
    }
    for (const auto* set : setsOf_[state.networkName]) {
      if (set->meta.namespaceName == state.meta.namespaceName) observed.sets.push_back(set);
    }
    const auto wish = reconcileAttachment(observed);
    if (!(wish == state.status) || !state.statusCurrent) {
      writes_.attachments.push_back({state.meta, wish, state.conditions});
    }
  }

  void collect() {
    std::vector<std::string> uids;
    uids.reserve(snapshot_.networks.size());
    for (const auto& state : snapshot_.networks) uids.push_back(state.network.meta.uid);
    auto blocks = planBlocks({snapshot_.blocks, uids, snapshot_.nodes, snapshot_.gone}, now_);
    std::map<std::string, BootTime> gone;
    for (const auto& [name, node] : snapshot_.gone) gone[name] = node.since;
    auto peers = planNodeObjects(snapshot_.peers, uids, gone, now_);
    auto nodeSets = planNodeObjects(snapshot_.nodeSets, uids, gone, now_);
    for (const auto& again : {blocks.again, peers.again, nodeSets.again}) {
      sooner(writes_.again, again);
    }
    writes_.removeBlocks = std::move(blocks.remove);
    writes_.removePeers = std::move(peers.remove);
    writes_.removeNodeSets = std::move(nodeSets.remove);
  }

  const Snapshot& snapshot_;
  WallTime wall_;
  BootTime now_;
  ByNetwork setsOf_;
  std::map<std::string, std::vector<const Pod*>> podsOf_;
  std::map<std::string, std::vector<NodeReport>> reportsOf_;
  std::map<std::string, ConditionWish> ready_;
  IdentifierPlan vnis_;
  Writes writes_;
};

}  // namespace

bool Writes::empty() const {
  return createIdentifiers.empty() && networks.empty() && addFinalizer.empty() &&
         removeFinalizer.empty() && attachments.empty() && removeIdentifiers.empty() &&
         removeBlocks.empty() && removePeers.empty() && removeNodeSets.empty() &&
         suspectSets.empty();
}

Writes planPass(const Snapshot& snapshot, WallTime wall, BootTime now) {
  return Pass(snapshot, wall, now).run();
}

}  // namespace multinet::controller
