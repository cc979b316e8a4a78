#include "controller/policies/cluster.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "controller/policies/status.h"
#include "controller/policies/wish.h"
#include "lib/api/describe.h"
#include "lib/api/names.h"
#include "lib/k8s/merge_patch.h"
#include "lib/policy/peers.h"

namespace multinet::controller {
namespace {

/// What a policy has to say in a namespace.
enum class Place : std::uint8_t {
  Unknown,    ///< its labels aren't known, or the policy can't be read
  Elsewhere,  ///< nothing: it isn't selected
  Vacant,     ///< nothing yet: no pod of it has one of the networks
  Here
};

Place placeIn(const World& world, const std::string& nameSpace, const ClusterPolicy& policy) {
  const auto* space = world.find<Namespace>(nameSpace);
  if (space == nullptr || !policy.undecodable.empty()) return Place::Unknown;
  if (!policy::selectsNamespace(policy.spec.subject, &*space->metadata.labels)) {
    return Place::Elsewhere;
  }
  return world.hasPodsOn(nameSpace, policy.spec.podNetworkNames) ? Place::Here : Place::Vacant;
}

/// What a head says that is about to go: it holds for who runs, and no ledger promises it.
constexpr std::int64_t kGoing = 0;
constexpr auto kVacant = "no pod of the namespace has one of its policy's networks";

Subject subjectOf(const ClusterPolicy& policy) {
  return {api::kClusterPodNetworkPolicyKind, keyOf(policy), policy.metadata.uid,
          policy.metadata.generation};
}

PolicySliceOwner ownerIn(const std::string& nameSpace, const ClusterPolicy& policy) {
  const auto& metadata = policy.metadata;
  const auto& kind = api::kClusterPodNetworkPolicyKind;
  return {nameSpace,
          "",
          metadata.name,
          metadata.uid,
          api::policyHeadName("cluster-" + metadata.name, metadata.uid),
          {std::string(kind.apiVersion()), std::string(kind.kind), metadata.name, metadata.uid,
           true, false}};
}

std::vector<policy::Peer> peersOf(const ClusterPolicy& policy) {
  return policy::peersOf(policy::rulesOf(policy));
}

std::optional<TooManyPeers> tooManyPeersOf(const World& world, const ClusterPolicy& policy) {
  if (!policy.undecodable.empty()) return std::nullopt;
  return tooManyPeers(world, keyOf(policy),
                      peersOf(policy).size() * policy.spec.podNetworkNames.size());
}

const PolicySlice* ledgerOf(const World& world, const std::string& nameSpace) {
  const auto* slice = world.find<PolicySlice>({nameSpace, api::kPolicyLedgerName});
  return slice != nullptr && slice->ledger ? slice : nullptr;
}

bool promises(const api::PolicyLedger& ledger, const std::string& uid) {
  const auto& named = ledger.clusterPolicies;
  return std::ranges::find(named, uid, &api::PolicyLedgerEntry::uid) != named.end();
}
bool promises(const PolicySlice* ledger, const std::string& uid) {
  return ledger != nullptr && ledger->ledger && promises(*ledger->ledger, uid);
}

/// What the caches say of the labels may be old, and who takes a head away opens.
Premise isntSelected(const std::string& nameSpace, const ClusterPolicy& policy) {
  return {k8s::kNamespaceKind, k8s::ObjectKey{"", nameSpace},
          [subject = policy.spec.subject](const simdjson::dom::element& there) {
            const auto space = k8s::KindTraits<k8s::Namespace>::decode(there);
            return !space || policy::selectsNamespace(subject, &*space->metadata.labels);
          }};
}

/// A promise that was written may not have come to the caches.
Premise isntPromised(const std::string& nameSpace, const std::string& uid) {
  return {api::kPodNetworkPolicySliceKind, k8s::ObjectKey{nameSpace, api::kPolicyLedgerName},
          [uid](const simdjson::dom::element& there) {
            const auto ledger = k8s::KindTraits<api::PodNetworkPolicySlice>::decode(there);
            return !ledger || !ledger->ledger || promises(*ledger->ledger, uid);
          }};
}

const auto& slicesIn(const World& world, const k8s::ObjectKey& key) {
  return world.of<PolicySlice>().by<ByPolicy>(ByPolicy::ofCluster(key.nameSpace, key.name));
}

void endEarlier(const World& world, const k8s::ObjectKey& key, const std::string& now,
                Outcome& outcome) {
  endEarlier(world, ByPolicy::ofCluster(key.nameSpace, key.name), api::kClusterPodNetworkPolicyKind,
             {"", key.name}, now, outcome);
}

/// Of one that is selected the head first says that it goes, and the ledger's reconciler ends it,
/// which knows of no promise under way then; whoever needs it meanwhile writes it anew.
void withdraw(const World& world, const std::string& nameSpace, const ClusterPolicy& policy,
              Place place, Outcome& outcome) {
  const bool isSelected = place == Place::Vacant;
  if (isSelected && promises(ledgerOf(world, nameSpace), policy.metadata.uid)) return;
  const auto owner = ownerIn(nameSpace, policy);
  const auto* head = headOf(world, owner);
  // A leader before knew more of the policy.
  if (head != nullptr && head->head->policyGeneration > policy.metadata.generation) return;
  if (isSelected && head != nullptr) {
    if (head->head->policyGeneration == kGoing || head->metadata.deleting()) return;
    outcome.writes.push_back(writeTo(api::kPodNetworkPolicySliceKind, head->metadata, Verb::Patch,
                                     {{"head", {{"policyGeneration", kGoing}}}}));
    outcome.writes.back().about = subjectOf(policy);
    return;
  }
  std::vector<Premise> premises;
  if (!isSelected) premises.push_back(isntSelected(nameSpace, policy));
  const auto* why = isSelected ? kVacant : "its policy doesn't select the namespace";
  for (const auto* one : slicesIn(world, {nameSpace, policy.metadata.name})) {
    if (one->metadata.deleting() || one->policyUID != policy.metadata.uid) continue;
    // Who runs on is held to its rules, as long as these have all whom they mean.
    if (head != nullptr && one != head) continue;
    outcome.writes.push_back(endOf(*one, why, premises));
  }
}

/// As placeIn(), but a vacant place where its head stands is kept for a while as if a pod were
/// there, with all that nodes are told: so what is promised of it stands as long.
Place placeNow(const World& world, const std::string& nameSpace, const ClusterPolicy& policy,
               const Moment& now, Outcome& outcome) {
  const Place place = placeIn(world, nameSpace, policy);
  if (place != Place::Vacant) return place;
  const auto until = world.keptUntil(nameSpace, policy.spec.podNetworkNames);
  if (until <= now.boot) return place;
  const auto* head = headOf(world, ownerIn(nameSpace, policy));
  const bool stands =
      head != nullptr && head->head->policyGeneration != kGoing && !head->metadata.deleting();
  if (!stands) return place;
  outcome.askAgain(until - now.boot);
  return Place::Here;
}

Outcome decideIn(const World& world, const k8s::ObjectKey& key, const Parts* parts,
                 const Moment& now) {
  Outcome outcome;
  const auto* policy = world.find<ClusterPolicy>(key.name);
  if (policy == nullptr) {
    endEarlier(world, key, "", outcome);
    return outcome;
  }
  const Place place = placeNow(world, key.nameSpace, *policy, now, outcome);
  if (place == Place::Unknown) return outcome;
  // One that was made again: pods are held to the one before until nodes are told of it.
  const bool isTold = place != Place::Here || headOf(world, ownerIn(key.nameSpace, *policy));
  if (isTold && parts == nullptr) endEarlier(world, key, policy->metadata.uid, outcome);
  if (place != Place::Here) {
    withdraw(world, key.nameSpace, *policy, place, outcome);
    return outcome;
  }
  Wish wish;
  wish.owner = ownerIn(key.nameSpace, *policy);
  wish.policy = ByPolicy::ofCluster(key.nameSpace, key.name);
  wish.head.policyGeneration = policy->metadata.generation;
  wish.head.clusterSpec = policy->spec;
  wish.about = subjectOf(*policy);
  // Of too many nodes hear nothing: whom a rule denies that they don't know would be allowed.
  if (tooManyPeersOf(world, *policy)) return outcome;
  addPeers(world, peersOf(*policy), policy->spec.podNetworkNames, parts, wish);
  writeSlices(world, wish, outcome);
  return outcome;
}

Outcome reconcileIn(const World& world, const k8s::ObjectKey& key, const Moment& now) {
  return decideIn(world, key, nullptr, now);
}

Outcome reconcilePartsIn(const World& world, const k8s::ObjectKey& key, const Parts& parts,
                         const Moment& now) {
  return decideIn(world, key, &parts, now);
}

/// Namespaces where the policy's slices are to stand, or do.
std::set<std::string> spacesOf(const World& world, const ClusterPolicy& policy) {
  std::set<std::string> spaces;
  for (const auto& network : policy.spec.podNetworkNames) {
    for (const auto& [space, pods] : world.use(NetworkName(network)).spaces) spaces.insert(space);
  }
  const auto key = ByClusterPolicy::all(policy.metadata.name);
  for (const auto* slice : world.of<PolicySlice>().by<ByClusterPolicy>(key)) {
    spaces.insert(slice->metadata.nameSpace);
  }
  return spaces;
}

/// Where a policy has or had something to say.
std::set<std::string> spacesConcerned(const World& world, const Changed<ClusterPolicy>& changed) {
  std::set<std::string> spaces;
  for (const auto& policy : {changed.before, changed.now}) {
    if (policy != nullptr) spaces.merge(spacesOf(world, *policy));
  }
  return spaces;
}

/// Policies that have to do with pods of a namespace, or had.
template <class Use>
void forPoliciesIn(const World& world, const std::string& nameSpace, const Use& use) {
  for (const auto& policy : world.of<ClusterPolicy>().all()) {
    const auto& name = policy->metadata.name;
    if (world.hasPodsOn(nameSpace, policy->spec.podNetworkNames) ||
        !slicesIn(world, {nameSpace, name}).empty()) {
      use(*policy);
    }
  }
}

bool isAnother(const Changed<Namespace>& changed) {
  return changed.existence() || changed.before->metadata.labels != changed.now->metadata.labels ||
         changed.before->metadata.deleting() != changed.now->metadata.deleting();
}

/// Those that a ledger doesn't promise any more.
void takenBack(const Changed<PolicySlice>& changed, Keys& keys) {
  if (changed.before == nullptr || !changed.before->ledger) return;
  for (const auto& entry : changed.before->ledger->clusterPolicies) {
    if (promises(changed.now.get(), entry.uid)) continue;
    keys.emplace_back(k8s::ObjectKey{changed.before->metadata.nameSpace, entry.name});
  }
}

/// A policy, in all namespaces.
void toldAnew(const World& world, const k8s::ObjectKey& key, Keys& keys) {
  const auto* policy = world.find<ClusterPolicy>(key);
  if (policy == nullptr) return;
  for (const auto& space : spacesOf(world, *policy)) {
    keys.emplace_back(k8s::ObjectKey{space, key.name});
  }
}

void concernedIn(const World& world, const Change& change, Keys& keys) {
  const auto all = [&](const std::string& nameSpace) {
    forPoliciesIn(world, nameSpace, [&](const ClusterPolicy& policy) {
      keys.emplace_back(k8s::ObjectKey{nameSpace, policy.metadata.name});
    });
  };
  on(
      change,
      [&](const Changed<ClusterPolicy>& changed) {
        if (!readsOtherwise(changed)) return;
        for (const auto& space : spacesConcerned(world, changed)) {
          keys.emplace_back(k8s::ObjectKey{space, changed.key().name});
        }
      },
      [&](const Changed<PolicySlice>& changed) {
        takenBack(changed, keys);
        for (const auto& slice : {changed.before, changed.now}) {
          if (slice == nullptr || slice->clusterPolicyName.empty()) continue;
          markFor(changed, *slice, {slice->metadata.nameSpace, slice->clusterPolicyName}, keys);
        }
      },
      [&](const PolicyTouch& touch) {
        if (touch.isDefault || !touch.policy.nameSpace.empty()) return;
        if (touch.isWhole) return toldAnew(world, touch.policy, keys);
        if (!touch.peer) return;
        const auto key = ByClusterPolicy::heads(touch.policy.name);
        for (const auto* head : world.of<PolicySlice>().by<ByClusterPolicy>(key)) {
          keys.push_back(Mark::part({head->metadata.nameSpace, touch.policy.name}, *touch.peer));
        }
      },
      [&](const Changed<Namespace>& changed) {
        if (isAnother(changed)) all(changed.key().name);
      },
      [&](const Touched<Namespace>& touched) { all(touched.key.name); });
}

/// What a namespace's ledger may say of a policy.
std::optional<api::PolicyLedgerEntry> entryOf(const World& world, const std::string& nameSpace,
                                              const ClusterPolicy& policy, const Moment& now,
                                              Outcome& outcome) {
  const auto& metadata = policy.metadata;
  const Place place = placeNow(world, nameSpace, policy, now, outcome);
  if (place == Place::Elsewhere) {
    return api::PolicyLedgerEntry{metadata.name, metadata.uid, metadata.generation};
  }
  if (place == Place::Vacant) return std::nullopt;
  const auto* head = headOf(world, ownerIn(nameSpace, policy));
  if (head == nullptr || head->head->policyGeneration == kGoing) return std::nullopt;
  return api::PolicyLedgerEntry{metadata.name, metadata.uid, head->head->policyGeneration};
}

/// Nothing: the namespace needs none. One that stands is kept for a while after its last pod.
std::optional<api::PolicyLedger> ledgerFor(const World& world, const std::string& nameSpace,
                                           const Moment& now, Outcome& outcome) {
  api::PolicyLedger ledger;
  bool isNeeded = false;
  BootTime keptUntil{};
  for (const auto& policy : world.of<ClusterPolicy>().all()) {
    const auto& networks = policy->spec.podNetworkNames;
    isNeeded = isNeeded || world.hasPodsOn(nameSpace, networks);
    if (!isNeeded) keptUntil = std::max(keptUntil, world.keptUntil(nameSpace, networks));
    if (auto entry = entryOf(world, nameSpace, *policy, now, outcome)) {
      ledger.clusterPolicies.push_back(std::move(*entry));
    }
  }
  const bool isKept = keptUntil > now.boot && ledgerOf(world, nameSpace) != nullptr;
  if (!isNeeded && !isKept) return std::nullopt;
  if (!isNeeded) outcome.askAgain(keptUntil - now.boot);
  std::ranges::sort(ledger.clusterPolicies, {}, &api::PolicyLedgerEntry::name);
  if (ledger.clusterPolicies.size() > api::kMaxLedgerEntries) {
    ledger.clusterPolicies.resize(api::kMaxLedgerEntries);
  }
  return ledger;
}

Write creationOf(const Namespace& space, api::PolicyLedger ledger) {
  api::PodNetworkPolicySlice slice;
  slice.metadata.nameSpace = space.metadata.name;
  slice.metadata.name = api::kPolicyLedgerName;
  slice.metadata.labels[api::kPolicyNamespaceLabel] = space.metadata.name;
  slice.policyUID = space.metadata.uid;
  slice.ledger = std::move(ledger);
  return {.kind = api::kPodNetworkPolicySliceKind,
          .key = {slice.metadata.nameSpace, slice.metadata.name},
          .verb = Verb::Create,
          .body = k8s::KindTraits<api::PodNetworkPolicySlice>::encode(slice)};
}

/// Ends heads that go, once the ledger doesn't promise them.
void endGoing(const World& world, const std::string& nameSpace, Outcome& outcome) {
  for (const auto& policy : world.of<ClusterPolicy>().all()) {
    if (placeIn(world, nameSpace, *policy) != Place::Vacant) continue;
    const auto* head = headOf(world, ownerIn(nameSpace, *policy));
    if (head == nullptr || head->metadata.deleting()) continue;
    if (head->head->policyGeneration != kGoing) continue;
    outcome.writes.push_back(endOf(*head, kVacant, {isntPromised(nameSpace, head->policyUID)}));
  }
}

Outcome reconcileLedger(const World& world, const k8s::ObjectKey& key, const Moment& now) {
  Outcome outcome;
  const auto* space = world.find<Namespace>(key.name);
  const auto* standing = world.find<PolicySlice>({key.name, api::kPolicyLedgerName});
  if (space == nullptr || (standing != nullptr && standing->metadata.deleting())) return outcome;
  auto ledger = ledgerFor(world, key.name, now, outcome);
  const auto add = [&](Write write) {
    write.about = {k8s::kNamespaceKind, key, space->metadata.uid};
    outcome.writes.push_back(std::move(write));
  };
  if (standing == nullptr) {
    if (ledger && !ledger->clusterPolicies.empty() && !space->metadata.deleting()) {
      add(creationOf(*space, std::move(*ledger)));
    }
  } else if (!ledger || !standing->ledger || standing->policyUID != space->metadata.uid) {
    const char* why = ledger ? "it can't be read as the ledger that it is"
                             : "no policy of the cluster is about pods of the namespace";
    add(endOf(*standing, why));
  } else if (*ledger != *standing->ledger) {
    const nlohmann::json body{{"ledger", k8s::mergePatch(k8s::Encoder::value(*standing->ledger),
                                                         k8s::Encoder::value(*ledger))}};
    add(writeTo(api::kPodNetworkPolicySliceKind, standing->metadata, Verb::Patch, body));
  }
  if (outcome.writes.empty()) endGoing(world, key.name, outcome);
  return outcome;
}

/// Whether a head came, went, or is of another generation.
bool isAnotherHead(const Changed<PolicySlice>& changed) {
  const auto wordOf = [](const std::shared_ptr<const PolicySlice>& slice) {
    using Word = std::pair<std::string, std::int64_t>;
    return slice == nullptr || !slice->head || slice->clusterPolicyName.empty()
               ? std::optional<Word>()
               : Word{slice->policyUID, slice->head->policyGeneration};
  };
  return wordOf(changed.before) != wordOf(changed.now);
}

void concernedLedgers(const World& world, const Change& change, Keys& keys) {
  const auto add = [&](const std::string& nameSpace) {
    keys.emplace_back(k8s::ObjectKey{"", nameSpace});
  };
  const auto addIfAny = [&](const std::string& nameSpace) {
    if (world.of<ClusterPolicy>().size() > 0 || ledgerOf(world, nameSpace) != nullptr) {
      add(nameSpace);
    }
  };
  on(
      change,
      [&](const Changed<ClusterPolicy>& changed) {
        if (!readsOtherwise(changed)) return;
        for (const auto& space : spacesConcerned(world, changed)) add(space);
        for (const auto* one :
             world.of<PolicySlice>().by<ByClusterPolicy>(ByClusterPolicy::ledgers())) {
          add(one->metadata.nameSpace);
        }
      },
      [&](const Changed<PolicySlice>& changed) {
        const auto& nameSpace = changed.key().nameSpace;
        if (changed.key().name == api::kPolicyLedgerName || isAnotherHead(changed)) add(nameSpace);
      },
      [&](const Changed<Namespace>& changed) {
        if (isAnother(changed)) addIfAny(changed.key().name);
      },
      [&](const Touched<Namespace>& touched) { addIfAny(touched.key.name); });
}

ClusterPolicyStanding standingOf(const World& world, const ClusterPolicy& policy) {
  ClusterPolicyStanding standing;
  standing.tooMany = tooManyPeersOf(world, policy);
  standing.headIn = [&world, &policy](const std::string& nameSpace) {
    return headOf(world, ownerIn(nameSpace, policy));
  };
  std::set<std::string> spaces;
  for (const auto& network : policy.spec.podNetworkNames) {
    for (const auto& [space, pods] : world.use(NetworkName(network)).spaces) spaces.insert(space);
  }
  for (const auto& space : spaces) {
    if (placeIn(world, space, policy) != Place::Here) continue;
    const auto* head = standing.headIn(space);
    const bool isTold =
        head != nullptr && head->head->policyGeneration == policy.metadata.generation;
    // One that ends loses its slices before its pods, and takes no new ones.
    if (!isTold && isEnding(world, space)) continue;
    ++standing.spaces;
    if (!isTold) standing.untold.push_back(space);
  }
  return standing;
}

Outcome reconcile(const World& world, const k8s::ObjectKey& key, const Moment& now) {
  Outcome outcome;
  const auto* policy = world.find<ClusterPolicy>(key);
  if (policy == nullptr) return outcome;
  std::size_t spaces = 0;
  for (const auto& network : policy->spec.podNetworkNames) {
    spaces += world.use(NetworkName(network)).spaces.size();
  }
  if (const auto rest = statusRests(world, *policy, spaces, now)) {
    outcome.askAgain(*rest);
    return outcome;
  }
  writeStatus(world, judged(world, *policy, standingOf(world, *policy)), now, outcome);
  return outcome;
}

void concerned(const World& world, const Change& change, Keys& keys) {
  concernedInterfaces<ClusterPolicy>(world, change, keys);
  const auto all = [&](const std::string& nameSpace) {
    forPoliciesIn(world, nameSpace,
                  [&](const ClusterPolicy& policy) { keys.emplace_back(keyOf(policy)); });
  };
  on(
      change, [&](const Changed<ClusterPolicy>& changed) { keys.emplace_back(changed.key()); },
      [&](const Changed<PolicySlice>& changed) {
        if (!isAnotherHead(changed)) return;
        for (const auto& slice : {changed.before, changed.now}) {
          if (slice == nullptr || slice->clusterPolicyName.empty()) continue;
          keys.emplace_back(k8s::ObjectKey{"", slice->clusterPolicyName});
        }
      },
      [&](const PolicyTouch& touch) {
        if (touch.isDefault || !touch.policy.nameSpace.empty() || touch.peer) return;
        keys.emplace_back(touch.policy);
      },
      [&](const Changed<Network>& changed) {
        if (!changed.existence() && changed.before->metadata.uid == changed.now->metadata.uid &&
            changed.before->spec.defaultPolicy == changed.now->spec.defaultPolicy) {
          return;
        }
        const NetworkName name(changed.key().name);
        for (const auto* one : world.of<ClusterPolicy>().by<ByNetworkName>(name)) {
          keys.emplace_back(keyOf(*one));
        }
      },
      [&](const Changed<Namespace>& changed) {
        if (isAnother(changed)) all(changed.key().name);
      },
      [&](const Touched<Namespace>& touched) { all(touched.key.name); });
}

}  // namespace

Reconciler clusterPolicySliceReconciler() {
  return {"cluster-policy-slices", concernedIn, reconcileIn, reconcilePartsIn};
}

Reconciler policyLedgerReconciler() {
  return {"policy-ledger", concernedLedgers, reconcileLedger};
}

Reconciler clusterPolicyReconciler() {
  return {"cluster-policy", concerned, reconcile};
}

}  // namespace multinet::controller
