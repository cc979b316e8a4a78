#include "controller/policies/status.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "controller/plan/status_patch.h"
#include "controller/policies/wish.h"
#include "lib/api/cluster_policy.h"
#include "lib/api/describe.h"
#include "lib/api/policy.h"
#include "lib/api/validate.h"
#include "lib/policy/tiers.h"

namespace multinet::controller {
namespace {

using k8s::Condition;
using State = k8s::ConditionStatus;

Condition make(std::string type, State state, std::string reason, std::string message) {
  return {std::move(type), state, 0, std::nullopt, std::move(reason), std::move(message)};
}

/// Nothing: it keeps to the rules.
template <class P>
std::optional<Condition> invalid(const P& policy) {
  Sentences sentences;
  if (!policy.undecodable.empty()) {
    sentences.push_back(policy.undecodable);
  } else {
    for (const auto& one : api::validate(policy).violations) sentences.push_back(one.str());
  }
  if (sentences.empty()) return std::nullopt;
  return make("Accepted", State::False, "Invalid", shortly(sentences));
}

Condition isAccepted() {
  return make("Accepted", State::True, "Accepted", "It holds on its networks.");
}

Condition accepted(const World& world, const Policy& policy) {
  if (auto wrong = invalid(policy)) return std::move(*wrong);
  const auto& home = policy.metadata.nameSpace;
  for (const auto& name : policy.spec.podNetworkNames) {
    if (isOpen(world, home, name)) continue;
    std::string message = "spec.podNetworkNames: \"";
    message += name;
    message += "\" is no PodNetwork that is open to namespace \"";
    message += home;
    message += "\": create or open it, or name another; it holds on the others.";
    return make("Accepted", State::False, "NetworkNotFound", std::move(message));
  }
  return isAccepted();
}

Condition accepted(const World& world, const ClusterPolicy& policy) {
  if (auto wrong = invalid(policy)) return std::move(*wrong);
  for (const auto& name : policy.spec.podNetworkNames) {
    if (world.find<Network>(name) != nullptr) continue;
    std::string message = "spec.podNetworkNames: \"";
    message += name;
    message += "\" is no PodNetwork: create it, or name another; it holds on the others.";
    return make("Accepted", State::False, "NetworkNotFound", std::move(message));
  }
  return isAccepted();
}

Condition isPending(const std::string& message) {
  return make("PeersResolved", State::False, "Pending",
              message + ": where that lasts, this object's Events say why.");
}

Condition resolved(const Policy& policy, const PolicyStanding& standing) {
  if (standing.tooMany) {
    return make("PeersResolved", State::False, "TooManyPeers",
                standing.tooMany->why + ": none of those that are selected is allowed; " +
                    standing.tooMany->remedy + ".");
  }
  const auto* head = standing.head;
  const bool stands = head != nullptr && head->head->policyGeneration == policy.metadata.generation;
  if (!stands) return isPending("Nodes haven't been told of this generation yet");
  return make("PeersResolved", State::True, "Resolved",
              "Nodes are told who its peers are, in PodNetworkPolicySlice \"" +
                  head->metadata.name + "\".");
}

Condition resolved(const ClusterPolicyStanding& standing) {
  if (standing.tooMany) {
    return make("PeersResolved", State::False, "TooManyPeers",
                standing.tooMany->why +
                    ": nodes aren't told of this generation; where they were told of one before "
                    "pods are held to that, elsewhere no new pod that it selects starts; " +
                    standing.tooMany->remedy + ".");
  }
  if (!standing.untold.empty()) {
    return isPending("Nodes haven't been told of this generation yet for " +
                     std::to_string(standing.untold.size()) + " of " +
                     std::to_string(standing.spaces) + " namespaces, such as \"" +
                     standing.untold.front() + "\"");
  }
  return make("PeersResolved", State::True, "Resolved",
              "Nodes are told who its peers are, by PodNetworkPolicySlices in " +
                  std::to_string(standing.spaces) + " namespaces with pods on its networks.");
}

/// The interfaces that a policy selects, as their nodes speak of them.
struct Tally {
  std::vector<policy::WantedPort>
      nobodyHas;  ///< names of ports that no pod with such an interface has
  api::PolicyInterfaceCounts counts;
  std::vector<std::string> notEnforced;  ///< the first of them
  std::string reason;                    ///< of the first
};

const api::PodNetwork* networkOf(const World& world, const api::PodInterface& interface) {
  const auto* network = world.find<Network>(interface.podNetworkName);
  if (network == nullptr) return nullptr;
  const bool isIt =
      interface.podNetworkUID.empty() || interface.podNetworkUID == network->metadata.uid;
  return isIt ? network : nullptr;
}

/// Whether its node has to speak of an interface: where everybody is allowed and the policy denies
/// nobody there is nothing to hold, of which nodes say nothing.
bool needsWord(const Judged& policy, const api::PodNetwork& network) {
  return policy.denies || network.spec.defaultPolicy != api::DefaultPolicy::Allow;
}

/// Why an interface isn't held; empty: it is. `isAwaited`: its node has to say so. `knows`: it has
/// the policy.
std::string whyNot(const api::PodInterface& interface, bool isAwaited, bool knows) {
  const auto& told = *interface.policy;
  if (told.reason.empty() && isAwaited) return "NotReported";
  if (!told.reason.empty() && !told.enforced) return told.reason;
  return knows ? "" : "Pending";
}

/// Its nodes have said once that they hold all that it selects to this generation.
bool wasHeld(const Judged& policy) {
  const auto* told = policy.status.conditions.find("Enforced");
  return told != nullptr && told->reason == "Enforced" &&
         policy.status.conditions.isTrueAt("Enforced", policy.metadata.generation);
}

/// Whether the node of a pod has committed this generation of the policy, whose head is that of the
/// pod's namespace.
bool knows(const World& world, const Judged& policy, const Pod& pod, const PolicySlice* head) {
  // One of the cluster holds on where a namespace that ends loses its head before its pods.
  if (head == nullptr) {
    return policy.metadata.nameSpace.empty() && isEnding(world, pod.metadata.nameSpace) &&
           wasHeld(policy);
  }
  if (head->head->policyGeneration != policy.metadata.generation) return false;
  // What a node held it goes on to hold, whatever the counts in the head.
  if (wasHeld(policy)) return true;
  const auto* node = world.find<NodeSet>(pod.spec.nodeName);
  return node != nullptr && reaches(node->status.policyRevision, world.toldSince(*head));
}

void add(const World& world, const Judged& policy, const Pod& pod, const InterfaceSet& set,
         const PolicySlice* head, Tally& tally) {
  for (const auto& interface : set.interfaces) {
    const auto& names = policy.networks;
    if (std::ranges::find(names, interface.podNetworkName) == names.end()) continue;
    const auto* network = networkOf(world, interface);
    if (network == nullptr) continue;
    ++tally.counts.selected;
    std::erase_if(tally.nobodyHas,
                  [&](const policy::WantedPort& one) { return policy::has(pod, one); });
    const auto why =
        whyNot(interface, needsWord(policy, *network), knows(world, policy, pod, head));
    if (why.empty()) {
      ++tally.counts.enforced;
      continue;
    }
    if (tally.reason.empty()) tally.reason = why;
    if (tally.notEnforced.size() < api::kMaxNotEnforced) {
      tally.notEnforced.push_back("pod " + keyOf(pod).str() + " " + interface.name + ": " + why);
    }
  }
}

Tally tallyOf(const World& world, const Judged& policy) {
  Tally tally;
  tally.nobodyHas = policy.wantedPorts;
  const std::string* space = nullptr;
  const PolicySlice* head = nullptr;
  for (const auto& key : policy.subjects) {
    const auto* pod = world.find<Pod>(key);
    if (pod == nullptr) continue;
    if (space == nullptr || *space != key.nameSpace) {
      space = &key.nameSpace;
      head = policy.headIn(*space);
    }
    for (const auto* set : world.of<InterfaceSet>().by<ByPod>(key)) {
      if (misfit(*set, pod)) continue;
      add(world, policy, *pod, *set, head, tally);
      break;
    }
  }
  return tally;
}

/// Where no pod is there yet nothing is missed.
Condition withPorts(Condition accepted, const Tally& tally) {
  if (accepted.status != State::True || tally.counts.selected == 0 || tally.nobodyHas.empty()) {
    return accepted;
  }
  std::string message =
      accepted.message + " But " + policy::notFound(tally.nobodyHas.front()).str() + ".";
  if (tally.nobodyHas.size() > 1) {
    message += " There are " + std::to_string(tally.nobodyHas.size() - 1) + " more such names.";
  }
  return make("Accepted", State::True, "NamedPortNotFound", std::move(message));
}

Condition enforced(const Tally& tally, const char* noneSelected) {
  const auto& counts = tally.counts;
  if (counts.selected == 0) {
    return make("Enforced", State::True, "NoneSelected",
                std::string("It selects no interface now: ") + noneSelected +
                    " on its networks are held to it from their first packet. Pods that ask for "
                    "none of them never are, nor those in their node's network (hostNetwork).");
  }
  if (counts.enforced == counts.selected) {
    return make("Enforced", State::True, "Enforced",
                "Nodes hold all " + std::to_string(counts.selected) + " interfaces to it.");
  }
  return make("Enforced", State::False, tally.reason,
              "Nodes don't hold " + std::to_string(counts.selected - counts.enforced) + " of " +
                  std::to_string(counts.selected) +
                  " interfaces to it, or haven't said so: see status.notEnforced, and policy in "
                  "those pods' PodInterfaceSets.");
}

/// Of one that can't be read, whatever of an earlier generation nodes hold.
Condition isUnread(std::string type) {
  return make(std::move(type), State::False, "Pending",
              "Nodes aren't told of this generation, since it can't be read: see Accepted.");
}

/// Something was said of interfaces, at this generation.
bool isTold(const k8s::Conditions& conditions, std::int64_t generation) {
  const auto* told = conditions.find("Enforced");
  return told != nullptr && told->observedGeneration == generation;
}

/// Whether the sentence that was told stays: the verdict is the same, or namespaces have come that
/// nodes are about to be told of.
bool stays(const Condition* told, const Condition& resolved, std::int64_t generation) {
  if (told == nullptr || told->observedGeneration != generation) return false;
  const bool isSame = told->status == resolved.status && told->reason == resolved.reason;
  return isSame || (told->status == State::True && resolved.reason == "Pending");
}

/// Whether the interfaces are counted anew, or stay as they were told.
enum class Counts : std::uint8_t { Anew, AsTold };

api::PodNetworkPolicyStatus statusOf(const World& world, const Judged& policy, Counts counts,
                                     WallTime now) {
  auto status = policy.status;
  const auto set = [&](Condition condition) {
    condition.observedGeneration = policy.metadata.generation;
    status.conditions.set(std::move(condition), now);
  };
  if (!policy.isLegible) {
    set(policy.accepted);
    set(isUnread("PeersResolved"));
    set(isUnread("Enforced"));
    status.interfaces.reset();
    status.notEnforced.clear();
    return status;
  }
  if (counts == Counts::AsTold) {
    const auto* told = status.conditions.find("Accepted");
    const bool isSame = told != nullptr && policy.accepted.status == State::True &&
                        status.conditions.isTrueAt("Accepted", policy.metadata.generation);
    set(isSame ? *told : policy.accepted);
    const auto* resolved = status.conditions.find("PeersResolved");
    set(stays(resolved, policy.resolved, policy.metadata.generation) ? *resolved : policy.resolved);
    return status;
  }
  auto tally = tallyOf(world, policy);
  set(withPorts(policy.accepted, tally));
  set(policy.resolved);
  status.interfaces = tally.counts;
  set(enforced(tally, policy.noneSelected));
  status.notEnforced = std::move(tally.notEnforced);
  return status;
}

/// Of so many pods, or namespaces, it is looked at each time whether what is counted differs; of
/// more when it may be told.
constexpr std::size_t kCountedEachTime = 200;

api::PodNetworkPolicyStatus paced(const World& world, const Judged& policy, const Moment& now,
                                  Outcome& outcome) {
  const auto as = [&](Counts counts) { return statusOf(world, policy, counts, now.wall); };
  if (policy.countsDue <= now.boot ||
      !isTold(policy.status.conditions, policy.metadata.generation)) {
    return as(Counts::Anew);
  }
  auto told = as(Counts::AsTold);
  const bool isSmall = policy.subjects.size() <= kCountedEachTime;
  if (!isSmall || as(Counts::Anew) != told) outcome.askAgain(policy.countsDue - now.boot);
  return told;
}

bool saysOtherwise(const Changed<InterfaceSet>& changed) {
  if (changed.existence()) return true;
  const auto& before = changed.before->interfaces;
  const auto& now = changed.now->interfaces;
  return !std::ranges::equal(before, now, [](const auto& one, const auto& other) {
    return one.podNetworkName == other.podNetworkName && one.podNetworkUID == other.podNetworkUID &&
           one.name == other.name && one.policy == other.policy;
  });
}

/// Those that select the pod of a set, for their status.
template <class P>
void selectingPodOf(const World& world, const InterfaceSet& set, bool unlessHeld, Keys& keys) {
  for (const auto& key : world.policyGroups().selecting({set.metadata.nameSpace, set.pod.name})) {
    const auto* policy = world.find<P>(key);
    if (policy == nullptr) continue;
    if (unlessHeld && policy->status.conditions.isTrueAt("Enforced", policy->metadata.generation)) {
      continue;
    }
    keys.push_back(Mark::itself(key));
  }
}

/// Also where a rule can't be read.
bool denies(const policy::ClusterRules& rules) {
  const auto isDenial = [](const policy::ClusterRule& rule) {
    return rule.action == api::ClusterPolicyAction::Deny;
  };
  return std::ranges::any_of(rules.ingress, isDenial) ||
         std::ranges::any_of(rules.egress, isDenial);
}

/// What both kinds say of themselves alike.
template <class P>
Judged judgedAlike(const World& world, const P& policy) {
  return {.kind = k8s::KindTraits<P>::kKind,
          .metadata = policy.metadata,
          .networks = policy.spec.podNetworkNames,
          .status = policy.status,
          .subjects = world.policyGroups().subjects(policy),
          .countsDue = world.countsDue(policy),
          .accepted = accepted(world, policy),
          .resolved = {},
          .wantedPorts = policy::wantedPorts(policy),
          .isLegible = policy.undecodable.empty(),
          .headIn = {}};
}

}  // namespace

bool reaches(const std::string& revision, const std::string& wanted) {
  return std::pair(revision.size(), std::string_view(revision)) >=
         std::pair(wanted.size(), std::string_view(wanted));
}

bool isOpen(const World& world, const std::string& nameSpace, const std::string& network) {
  const auto* found = world.find<Network>(network);
  if (found == nullptr) return false;
  const auto* space = world.find<Namespace>(nameSpace);
  return api::isOpenTo(*found, nameSpace, space == nullptr ? nullptr : &*space->metadata.labels);
}

Judged judged(const World& world, const Policy& policy, const PolicyStanding& standing) {
  Judged out = judgedAlike(world, policy);
  out.resolved = resolved(policy, standing);
  out.noneSelected = "pods of this namespace with these labels";
  out.headIn = [head = standing.head](const std::string&) { return head; };
  return out;
}

Judged judged(const World& world, const ClusterPolicy& policy, ClusterPolicyStanding standing) {
  Judged out = judgedAlike(world, policy);
  out.resolved = resolved(standing);
  out.noneSelected = "pods of its subject";
  out.denies = denies(policy::rulesOf(policy));
  out.headIn = std::move(standing.headIn);
  return out;
}

template <class P>
std::optional<Duration> statusRests(const World& world, const P& policy, std::size_t namespaces,
                                    const Moment& now) {
  const auto size = world.policyGroups().subjects(policy).size() + namespaces;
  if (size <= kCountedEachTime || !isTold(policy.status.conditions, policy.metadata.generation)) {
    return std::nullopt;
  }
  const auto due = world.policyLookDue(keyOf(policy), size);
  return due <= now.boot ? std::nullopt : std::optional(due - now.boot);
}

template std::optional<Duration> statusRests(const World& world, const Policy& policy,
                                             std::size_t namespaces, const Moment& now);
template std::optional<Duration> statusRests(const World& world, const ClusterPolicy& policy,
                                             std::size_t namespaces, const Moment& now);

void writeStatus(const World& world, const Judged& policy, const Moment& now, Outcome& outcome) {
  world.lookedAtPolicy({policy.metadata.nameSpace, policy.metadata.name}, now.boot);
  auto patch = statusPatch(policy.status, paced(world, policy, now, outcome));
  if (patch.empty()) return;
  outcome.writes.push_back(
      writeTo(policy.kind, policy.metadata, Verb::PatchStatus, std::move(patch)));
}

template <class P>
void concernedInterfaces(const World& world, const Change& change, Keys& keys) {
  on(
      change,
      [&](const Changed<InterfaceSet>& changed) {
        if (changed.now != nullptr && saysOtherwise(changed)) {
          selectingPodOf<P>(world, *changed.now, false, keys);
        }
      },
      [&](const Changed<NodeSet>& changed) {
        if (changed.now == nullptr) return;
        if (changed.before != nullptr &&
            changed.before->status.policyRevision == changed.now->status.policyRevision) {
          return;
        }
        const NodeName node(changed.key().name);
        for (const auto* set : world.of<InterfaceSet>().by<ByNode>(node)) {
          selectingPodOf<P>(world, *set, true, keys);
        }
      });
}

template void concernedInterfaces<Policy>(const World& world, const Change& change, Keys& keys);
template void concernedInterfaces<ClusterPolicy>(const World& world, const Change& change,
                                                 Keys& keys);

}  // namespace multinet::controller
