// What became of policies, as it is told.
#include <algorithm>

#include "lib/base/log.h"
#include "nodeagent/attach/ports.h"
#include "nodeagent/policy/policing.h"

namespace multinet::agent::policing {
namespace {

// Of the table of flows, in percent. The kernel itself makes room from 95 on, if it can.
constexpr std::uint64_t kCrowded = 90;
constexpr std::uint64_t kRoomy = 80;

bool isAbove(const FlowTable& table, std::uint64_t percent) {
  constexpr std::uint64_t kWhole = 100;
  return table.most != 0 && table.held * kWhole >= table.most * percent;
}

}  // namespace

/// Of the last commit.
const Error* Policing::refusalOf(const Network& network, const At& at) const {
  const auto member = members_.find(at.first);
  const bool inPod = member != members_.end() && member->second.inPod.contains(at.second);
  if (!inPod) return network.trouble ? &*network.trouble : nullptr;
  const auto refused = network.refused.find(at);
  return refused == network.refused.end() ? nullptr : &refused->second;
}

/// Of that, or since.
const Error* Policing::troubleOf(const Network& network, const At& at) const {
  if (const Error* refusal = refusalOf(network, at)) return refusal;
  const Member& member = members_.at(at.first);
  const auto inPod = member.inPod.find(at.second);
  if (inPod == member.inPod.end()) return troubles_.ports ? &*troubles_.ports : nullptr;
  const auto found = troubles_.inPods.find(inPod->second.name);
  return found == troubles_.inPods.end() ? nullptr : &found->second;
}

/// Who takes rules away tells nobody.
void Policing::watchKernel() {
  if (!kernel_.troubles || std::exchange(isWatched_, true)) return;
  lane_.postAfter(options_.retry, [this] {
    inTurn([this] {
      isWatched_ = false;
      if (counts().isolated == 0) return;  // whoever is isolated next has it asked
      auto now = kernel_.troubles();
      if (now == troubles_) return watchKernel();
      troubles_ = std::move(now);
      for (auto& [uid, network] : networks_) network.dirty = true;
      commitDirty();
      tell();
    });
  });
}

api::InterfacePolicy Policing::judge(const Network& network, const Member& member,
                                     const policy::Pod& pod, const InterfacePlan& plan,
                                     bool isCut) const {
  using api::PolicyPlace;
  const bool hasEnd = traitsOf(plan.link).hasHostEnd;
  if (!hasEnd && !attach::isPolicedInPod(plan)) {
    return {
        false, PolicyPlace::None, "TypeNotCovered",
        "a link of type " + std::string(api::name(typeOf(plan.link))) +
            " and mode L3S passes neither the node's rules for policies nor its pod's; use mode "
            "L2 or L3, or another type"};
  }
  if (const Error* trouble = troubleOf(network, {member.pod.intent, plan.name.str()})) {
    return {false, PolicyPlace::None, trouble->reason, trouble->message};
  }
  const PolicyPlace where = hasEnd ? PolicyPlace::Node : PolicyPlace::Pod;
  if (isCut) {
    return {false, where, "TooManyPermits",
            "the policies of this node's pods on the network come to more than " +
                std::to_string(policy::kMostPermits) +
                " permits: what this interface's policies allow isn't, but for what they allow to "
                "everybody; name fewer ports, or more pods by one selector"};
  }
  if (where == PolicyPlace::Pod && member.undoer) {
    return {false, where, "PodMayChangeRules",
            "held to policies inside the pod, where its container \"" + *member.undoer +
                "\", privileged or with NET_ADMIN, can undo them; leave that out, or use a network "
                "of type VXLAN, Bridge or VLAN"};
  }
  if (!isComplete(member, pod, plan)) {
    return {false, where, "PeersPending",
            "isolated; not all whom its policies allow are known yet: is a controller running?"};
  }
  return {true, where, "Enforced",
          where == PolicyPlace::Node
              ? "held to policies at the node's end of the link"
              : "held to policies inside the pod, none of whose containers can undo them"};
}

/// Whether a link in a pod, of an earlier agent's, is still held to what that one knew.
bool Policing::isUnmet(const Network& network, const NetworkUid& uid) const {
  if (!kernel_.commitInPods || !network.bridge.empty() || clock_.now() >= metBy_) return false;
  return std::ranges::any_of(members_, [&](const auto& one) {
    const Member& member = one.second;
    return !member.ours && std::ranges::any_of(member.pod.interfaces, [&](const auto& plan) {
      return plan.networkUid == uid && attach::isPolicedInPod(plan) &&
             !member.ends.contains(plan.name.str());
    });
  });
}

/// Of all heads that were told the highest up to which nothing is missing.
std::uint64_t Policing::revision() const {
  // A pod whose networks aren't known may be one that any of them is about.
  const bool isDoubtful = std::ranges::any_of(
      unclaimed_, [&](const auto& one) { return mayHave(one.first) != nullptr; });
  if (isDoubtful) return 0;
  std::set<std::uint64_t> missing;
  for (const ToldPtr& told : book_.waiting()) missing.insert(told->since);
  const auto all = book_.all();
  for (const auto& [uid, network] : networks_) {
    // What the kernel refuses for long is those interfaces' trouble, and holds no other policy
    // back.
    const bool isRefused =
        network.refusedSince && clock_.now() >= *network.refusedSince + options_.refusalIsTold;
    const bool isDue = (network.dirty && !isRefused) || isUnmet(network, uid);
    for (const ToldPtr& told : all) {
      const auto speaker = network.speakers.find(told->uid);
      const bool isBehind = speaker != network.speakers.end() && speaker->second.since;
      if (!isDue && !isBehind) continue;
      const auto& names = told->policy.spec.podNetworkNames;
      const bool isOf =
          told->network == network.name || std::ranges::find(names, network.name) != names.end();
      if (isOf) missing.insert(told->since);
    }
  }
  std::uint64_t highest = 0;
  for (const ToldPtr& told : all) {
    if (missing.empty() || told->revision < *missing.begin()) {
      highest = std::max(highest, told->revision);
    }
  }
  return highest;
}

void Policing::lookAtAge() {
  const bool wasOld = freshness_.oldSince().has_value();
  const BootTime now = clock_.now();
  freshness_.look(caches_.heard(), !members_.empty(), now);
  if (freshness_.next()) lookAt(*freshness_.next());
  const auto since = freshness_.oldSince();
  if (since && !wasOld) {
    log::warn(
        "the API server says nothing of policies any more, pods are held to what they were",
        {{"seconds", std::chrono::duration_cast<std::chrono::seconds>(now - *since).count()}});
  } else if (wasOld && !since) {
    log::info("policies are as the API server has them again");
  }
}

/// Told at the start and at the end, not at each look.
void Policing::lookAtFlows() {
  const BootTime now = clock_.now();
  if (!kernel_.flows || now < flowsAt_) return;
  flowsAt_ = now + options_.flowsEvery;
  const auto table = kernel_.flows();
  if (!table) {
    crowded_.reset();
    return;  // whoever is isolated next has it looked at
  }
  lookAt(flowsAt_);
  if (!crowded_ && isAbove(*table, kCrowded)) {
    crowded_ = table;
    log::warn("the table of connections is nearly full, new ones on networks may be dropped",
              {{"held", table->held}, {"most", table->most}});
  } else if (crowded_ && !isAbove(*table, kRoomy)) {
    crowded_.reset();
    log::info("the table of connections has room again",
              {{"held", table->held}, {"most", table->most}});
  }
}

void Policing::tell() {
  lookAtAge();
  lookAtFlows();
  PolicingCounts counts;
  counts.compiled = compiled_;
  counts.stale = freshness_.oldSince().has_value();
  std::set<std::string> policies;
  for (const ToldPtr& told : book_.all()) {
    if (told->network.empty()) policies.insert(told->uid);
  }
  counts.policies = policies.size();
  std::optional<Error> trouble;
  for (const auto& [uid, network] : networks_) {
    if (network.trouble) trouble = network.trouble;
    if (!network.refused.empty()) trouble = network.refused.begin()->second;
    for (const auto& [at, said] : network.said) {
      if (!said) continue;
      ++counts.isolated;
      const bool isPending = said->reason == "PeersPending";
      counts.pending += isPending ? 1 : 0;
      const bool isUndoable = said->reason == "PodMayChangeRules";
      counts.undoable += isUndoable ? 1 : 0;
      counts.notEnforced += !said->enforced && !isPending && !isUndoable ? 1 : 0;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    counts_ = counts;
  }
  if (counts.isolated > 0) {
    watchKernel();
  } else {
    troubles_ = {};
  }
  if (!trouble) trouble = troubles_.ports;
  if (!trouble && !troubles_.inPods.empty()) trouble = troubles_.inPods.begin()->second;
  publishAdmissions();
  reports_.node({counts.isolated > 0, std::move(trouble), freshness_.isSilentAlone(), crowded_});
  if (!recovered_) return;
  const std::uint64_t now = revision();
  if (std::exchange(toldRevision_, now) != now) reports_.revision(now);
}

}  // namespace multinet::agent::policing
