#include "controller/policies/reconcile.h"

#include <algorithm>
#include <utility>

#include "controller/policies/status.h"
#include "controller/policies/wish.h"
#include "lib/api/names.h"
#include "lib/policy/peers.h"

namespace multinet::controller {
namespace {

/// Without its peers.
Wish wishFor(const Policy& policy) {
  const auto& metadata = policy.metadata;
  Wish wish;
  wish.owner = {
      metadata.nameSpace,
      metadata.name,
      "",
      metadata.uid,
      api::policyHeadName(metadata.name, metadata.uid),
      {std::string(api::kPodNetworkPolicyKind.apiVersion()),
       std::string(api::kPodNetworkPolicyKind.kind), metadata.name, metadata.uid, true, false}};
  wish.policy = keyOf(policy);
  wish.head.policyGeneration = metadata.generation;
  wish.head.spec = policy.spec;
  wish.about = {api::kPodNetworkPolicyKind, wish.policy, metadata.uid, metadata.generation};
  return wish;
}

/// Whether pods of the namespace have the network, from when it was open: who asks for it by his
/// pod's annotation has it no sooner than his node says so.
bool hasAttached(const World& world, const std::string& nameSpace, const std::string& network) {
  if (!world.hasPodsOn(nameSpace, {network})) return false;
  const auto isOn = [&](const api::PodInterface& one) { return one.podNetworkName == network; };
  const auto hasOne = [&](const InterfaceSet* set) {
    return std::ranges::any_of(set->interfaces, isOn);
  };
  const auto& pods = world.of<Pod>().by<ByNamespace>(nameSpace);
  return std::any_of(pods.begin(), pods.end(), [&](const Pod* pod) {
    const auto& sets = world.of<InterfaceSet>().by<ByPod>(controller::keyOf(*pod));
    return std::any_of(sets.begin(), sets.end(), hasOne);
  });
}

/// Those of which its author may hear who is on them: the network is open to the namespace, or pods
/// of it have it from when it was.
std::vector<std::string> networksOf(const World& world, const Policy& policy) {
  std::vector<std::string> out;
  for (const auto& name : policy.spec.podNetworkNames) {
    if (isOpen(world, policy.metadata.nameSpace, name) ||
        hasAttached(world, policy.metadata.nameSpace, name)) {
      out.push_back(name);
    }
  }
  return out;
}

std::optional<TooManyPeers> addPeersOf(const World& world, const Policy& policy, const Parts* parts,
                                       Wish& wish) {
  const auto peers = policy::peersOf(policy.spec, policy.metadata.nameSpace);
  auto tooMany =
      tooManyPeers(world, wish.policy, peers.size() * policy.spec.podNetworkNames.size());
  // As a whole then, without any: what stands of them ends.
  if (!tooMany) addPeers(world, peers, networksOf(world, policy), parts, wish);
  return tooMany;
}

Outcome decide(const World& world, const k8s::ObjectKey& key, const Parts* parts,
               const Moment& now) {
  Outcome outcome;
  const auto* policy = world.find<Policy>(key);
  if (policy == nullptr) {
    endEarlier(world, key, api::kPodNetworkPolicyKind, key, "", outcome);
    return outcome;
  }
  // One that was made again: pods are held to the one before until nodes are told of it.
  const bool isTold = headOf(world, wishFor(*policy).owner) != nullptr;
  if (isTold && parts == nullptr) {
    endEarlier(world, key, api::kPodNetworkPolicyKind, key, policy->metadata.uid, outcome);
  }
  PolicyStanding standing;
  if (policy->undecodable.empty()) {
    auto wish = wishFor(*policy);
    standing.tooMany = addPeersOf(world, *policy, parts, wish);
    writeSlices(world, wish, outcome);
    standing.head = headOf(world, wish.owner);
  }
  if (const auto rest = statusRests(world, *policy, 0, now)) {
    outcome.askAgain(*rest);
    return outcome;
  }
  writeStatus(world, judged(world, *policy, standing), now, outcome);
  return outcome;
}

Outcome reconcile(const World& world, const k8s::ObjectKey& key, const Moment& now) {
  return decide(world, key, nullptr, now);
}

Outcome reconcileParts(const World& world, const k8s::ObjectKey& key, const Parts& parts,
                       const Moment& now) {
  return decide(world, key, &parts, now);
}

void changedSlice(const Changed<PolicySlice>& changed, Keys& keys) {
  for (const auto& slice : {changed.before, changed.now}) {
    if (slice == nullptr || slice->policyName.empty()) continue;
    markFor(changed, *slice, {slice->metadata.nameSpace, slice->policyName}, keys);
  }
}

bool isOpenOnAll(const World& world, const Policy& policy) {
  return std::ranges::all_of(policy.spec.podNetworkNames, [&](const std::string& network) {
    return isOpen(world, policy.metadata.nameSpace, network);
  });
}

/// Policies that name a network which isn't open to them.
void closedIn(const World& world, const std::string& nameSpace, Keys& keys) {
  for (const auto* one : world.of<Policy>().by<ByNamespace>(nameSpace)) {
    if (!isOpenOnAll(world, *one)) keys.emplace_back(controller::keyOf(*one));
  }
}

void concerned(const World& world, const Change& change, Keys& keys) {
  concernedInterfaces<Policy>(world, change, keys);
  on(
      change,
      [&](const Changed<Policy>& changed) {
        keys.push_back(readsOtherwise(changed) ? Mark(changed.key()) : Mark::itself(changed.key()));
      },
      [&](const Changed<PolicySlice>& changed) { changedSlice(changed, keys); },
      [&](const PolicyTouch& touch) {
        if (touch.isDefault || touch.policy.nameSpace.empty()) return;
        keys.push_back(touch.isWhole ? Mark(touch.policy)
                       : touch.peer  ? Mark::part(touch.policy, *touch.peer)
                                     : Mark::itself(touch.policy));
      },
      [&](const Changed<Network>& changed) {
        if (!changed.existence() && changed.before->metadata.uid == changed.now->metadata.uid &&
            changed.before->spec.access == changed.now->spec.access) {
          return;
        }
        const NetworkName name(changed.key().name);
        for (const auto* one : world.of<Policy>().by<ByNetworkName>(name)) {
          keys.emplace_back(controller::keyOf(*one));
        }
      },
      [&](const Changed<Namespace>& changed) {
        const bool isAnother =
            changed.existence() || changed.before->metadata.labels != changed.now->metadata.labels;
        for (const auto* one : world.of<Policy>().by<ByNamespace>(changed.key().name)) {
          const auto key = controller::keyOf(*one);
          keys.push_back(isAnother ? Mark(key) : Mark::itself(key));
        }
      },
      [&](const Changed<InterfaceSet>& changed) {
        if (!changed.existence()) return;
        const auto& home = changed.key().nameSpace;
        const auto& set = changed.now != nullptr ? *changed.now : *changed.before;
        const auto isClosed = [&](const api::PodInterface& one) {
          return !isOpen(world, home, one.podNetworkName);
        };
        if (std::ranges::any_of(set.interfaces, isClosed)) closedIn(world, home, keys);
      },
      [&](const Touched<Namespace>& touched) { closedIn(world, touched.key.name, keys); });
}

/// What the caches say of the network, or of pods in the namespace, may be old, and who takes such
/// slices away cuts the namespace's pods off from each other.
Premise needsNone(const std::string& network, const std::string& uid) {
  return {api::kPodNetworkKind, k8s::ObjectKey{"", network},
          [uid](const simdjson::dom::element& there) {
            const auto now = k8s::KindTraits<Network>::decode(there);
            if (!now) return true;
            const bool isSame = now->metadata.uid == uid;
            return isSame && (!now->undecodable.empty() ||
                              now->spec.defaultPolicy == api::DefaultPolicy::SameNamespace);
          }};
}
Premise hasNobodyThere(const std::string& nameSpace, const std::string& network) {
  return {api::kPodInterfaceSetKind, k8s::ObjectKey{nameSpace, ""},
          [network](const simdjson::dom::element& there) {
            const auto set = k8s::KindTraits<InterfaceSet>::decode(there);
            if (!set || !set->undecodable.empty()) return true;
            return std::ranges::find(set->interfaces, network,
                                     &api::PodInterface::podNetworkName) != set->interfaces.end();
          }};
}

Outcome reconcileDefault(const World& world, const k8s::ObjectKey& key, const Moment& /*now*/) {
  Outcome outcome;
  const auto* network = world.find<Network>(key.name);
  const auto* members = world.policyGroups().defaultMembers(key.nameSpace, key.name);
  const bool isClosed =
      network != nullptr && network->spec.defaultPolicy == api::DefaultPolicy::SameNamespace;
  const bool holds = isClosed && members != nullptr;
  for (const auto* one :
       world.of<PolicySlice>().by<ByPolicy>(ByPolicy::ofDefault(key.nameSpace, key.name))) {
    const bool isOfIt = isClosed && one->policyUID == network->metadata.uid;
    if (one->metadata.deleting() || (holds && isOfIt)) continue;
    outcome.writes.push_back(endOf(
        *one, "its network has no default that needs it there",
        {isOfIt ? hasNobodyThere(key.nameSpace, key.name) : needsNone(key.name, one->policyUID)}));
  }
  if (!holds) return outcome;
  const auto& metadata = network->metadata;
  Wish wish;
  wish.owner = {key.nameSpace,
                "",
                "",
                metadata.uid,
                api::policyHeadName("default-" + metadata.name, metadata.uid),
                {std::string(api::kPodNetworkKind.apiVersion()),
                 std::string(api::kPodNetworkKind.kind), metadata.name, metadata.uid, true, false}};
  wish.policy = ByPolicy::ofDefault(key.nameSpace, metadata.name);
  wish.head.policyGeneration = metadata.generation;
  wish.head.podNetworkName = metadata.name;
  wish.about = {api::kPodNetworkKind, {"", metadata.name}, metadata.uid, metadata.generation};
  const auto hash = policy::peerHash(policy::sameNamespace(key.nameSpace));
  wish.peers.push_back(
      {metadata.name, hash, members, slicesOf(world, wish.owner, metadata.name, hash)});
  writeSlices(world, wish, outcome);
  return outcome;
}

void concernedDefaults(const World& world, const Change& change, Keys& keys) {
  on(
      change,
      [&](const PolicyTouch& touch) {
        if (touch.isDefault) keys.emplace_back(touch.policy);
      },
      [&](const Changed<PolicySlice>& changed) {
        for (const auto& slice : {changed.before, changed.now}) {
          if (slice == nullptr || !slice->policyName.empty()) continue;
          if (!slice->clusterPolicyName.empty() || slice->ledger) continue;
          const auto& network = slice->head      ? slice->head->podNetworkName
                                : slice->members ? slice->members->podNetworkName
                                                 : std::string();
          keys.emplace_back(k8s::ObjectKey{slice->metadata.nameSpace, network});
        }
      },
      [&](const Changed<Network>& changed) {
        if (!changed.existence() && changed.before->metadata.uid == changed.now->metadata.uid &&
            changed.before->metadata.generation == changed.now->metadata.generation) {
          return;
        }
        const NetworkName name(changed.key().name);
        for (const auto* head : world.of<PolicySlice>().by<ByDefault>(name)) {
          keys.emplace_back(k8s::ObjectKey{head->metadata.nameSpace, name.str()});
        }
      },
      // For who begins, of whom no touch tells.
      [&](const Changed<InterfaceSet>& changed) {
        if (changed.now == nullptr || changed.before != nullptr) return;
        for (const auto& interface : changed.now->interfaces) {
          const auto* network = world.find<Network>(interface.podNetworkName);
          if (network != nullptr &&
              network->spec.defaultPolicy == api::DefaultPolicy::SameNamespace) {
            keys.emplace_back(
                k8s::ObjectKey{changed.now->metadata.nameSpace, interface.podNetworkName});
          }
        }
      });
}

}  // namespace

Reconciler policyReconciler() {
  return {"policy", concerned, reconcile, reconcileParts};
}

Reconciler policyDefaultReconciler() {
  return {"policy-default", concernedDefaults, reconcileDefault};
}

}  // namespace multinet::controller
