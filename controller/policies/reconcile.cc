#include "controller/policies/reconcile.h"

#include <algorithm>
#include <utility>

#include "controller/plan/status_patch.h"
#include "controller/policies/slices.h"
#include "controller/policies/status.h"
#include "lib/api/describe.h"
#include "lib/api/names.h"
#include "lib/api/policy.h"
#include "lib/policy/peers.h"

namespace multinet::controller {
namespace {

/// What nodes are to be told.
struct Wish {
  PolicySliceOwner owner;
  std::int64_t generation = 0;
  std::optional<api::PodNetworkPolicySpec> spec;  ///< nothing: a default
  std::vector<PeerWish> peers;                    ///< of what is looked at
  bool whole = true;                              ///< these are all of them
  Subject about;
};

/// On what is made of a policy; it is the policy that is told of a refusal.
Write about(const Subject& subject, Write write) {
  write.about = subject;
  return write;
}

Write writeOf(const Wish& wish, const PolicySliceChange& change) {
  const auto& kind = api::kPodNetworkPolicySliceKind;
  if (!change.wanted) {
    return about(wish.about, deletionOf(kind, change.standing->metadata, "", {}));
  }
  const auto& wanted = *change.wanted;
  if (change.standing == nullptr) {
    return about(wish.about, {.kind = kind,
                              .key = {wanted.metadata.nameSpace, wanted.metadata.name},
                              .verb = Verb::Create,
                              .body = k8s::KindTraits<api::PodNetworkPolicySlice>::encode(wanted)});
  }
  nlohmann::json body;
  if (wanted.members) body["members"] = {{"entries", k8s::Encoder::value(wanted.members->entries)}};
  if (wanted.head) {
    body["head"] = k8s::mergePatch(k8s::Encoder::value(*change.standing->head),
                                   k8s::Encoder::value(*wanted.head));
  }
  return about(wish.about, writeTo(kind, change.standing->metadata, Verb::Patch, std::move(body)));
}

std::vector<const PolicySlice*> slicesOf(const World& world, const PolicySliceOwner& owner,
                                         const std::string& network, const std::string& peer) {
  std::vector<const PolicySlice*> slices;
  const auto key = ByPolicyPeer::key(owner.uid, owner.nameSpace, network, peer);
  for (const auto* one : world.of<PolicySlice>().by<ByPolicyPeer>(key)) slices.push_back(one);
  return slices;
}

/// Its head, where one of it stands.
const PolicySlice* headOf(const World& world, const PolicySliceOwner& owner) {
  const auto* head = world.find<PolicySlice>({owner.nameSpace, owner.headName});
  return head != nullptr && head->head && head->policyUID == owner.uid ? head : nullptr;
}

k8s::ObjectKey keyOf(const Wish& wish) {
  if (wish.spec) return {wish.owner.nameSpace, wish.owner.policyName};
  return ByPolicy::ofDefault(wish.owner.nameSpace, wish.peers.front().network);
}

/// First the slices.
void writeMembers(const World& world, const Wish& wish, Outcome& outcome) {
  std::set<std::string> names;
  bool named = false;
  for (const auto& peer : wish.peers) {
    const bool grows = [&] {
      std::size_t standing = 0;
      for (const auto* one : peer.standing) standing += one->members->entries.size();
      return peer.members->size() > standing;
    }();
    if (grows && !std::exchange(named, true)) {
      for (const auto* one : world.of<PolicySlice>().by<ByPolicy>(keyOf(wish))) {
        names.insert(one->metadata.name);
      }
    }
    for (const auto& change : planMembers(wish.owner, peer, names)) {
      outcome.writes.push_back(writeOf(wish, change));
    }
  }
}

std::vector<api::PolicyHeadPeer> headPeers(const Wish& wish, const PolicySlice* standing) {
  std::vector<api::PolicyHeadPeer> peers;
  if (!wish.whole) peers = standing->head->peers;
  for (const auto& one : wish.peers) {
    const auto found = std::ranges::find_if(peers, [&](const api::PolicyHeadPeer& known) {
      return known.podNetworkName == one.network && known.peer == one.peer;
    });
    if (found == peers.end()) {
      peers.push_back(countOf(one));
    } else {
      *found = countOf(one);
    }
  }
  return peers;
}

/// Then the head, which counts them.
void writeHead(const Wish& wish, const PolicySlice* standing, Outcome& outcome) {
  auto slice = bareSlice(wish.owner, wish.owner.headName);
  slice.head.emplace();
  slice.head->policyGeneration = wish.generation;
  slice.head->spec = wish.spec;
  if (!wish.spec) slice.head->podNetworkName = wish.peers.front().network;
  slice.head->peers = headPeers(wish, standing);
  if (standing != nullptr && *standing->head == *slice.head) return;
  outcome.writes.push_back(writeOf(wish, {standing, std::move(slice)}));
}

/// At last what it doesn't count any more.
void endStrangers(const World& world, const Wish& wish, Outcome& outcome) {
  std::set<std::pair<std::string, std::string>> wanted;
  for (const auto& one : wish.peers) wanted.emplace(one.network, one.peer);
  for (const auto* one : world.of<PolicySlice>().by<ByPolicy>(keyOf(wish))) {
    if (one->policyUID != wish.owner.uid || one->metadata.deleting()) continue;
    if (one->metadata.name == wish.owner.headName && one->head) continue;
    const auto& members = one->members;
    if (members && wanted.contains({members->podNetworkName, members->peer})) continue;
    outcome.writes.push_back(
        about(wish.about, deletionOf(api::kPodNetworkPolicySliceKind, one->metadata, "", {})));
  }
}

/// A slice that can't be read is nobody's.
void endIllegible(const World& world, const Wish& wish, Outcome& outcome) {
  const auto* head = world.find<PolicySlice>({wish.owner.nameSpace, wish.owner.headName});
  if (head == nullptr || headOf(world, wish.owner) != nullptr || head->metadata.deleting()) return;
  outcome.writes.push_back(
      about(wish.about, deletionOf(api::kPodNetworkPolicySliceKind, head->metadata,
                                   "it can't be read as the head that it is", {})));
}

void writeSlices(const World& world, const Wish& wish, Outcome& outcome) {
  endIllegible(world, wish, outcome);
  writeMembers(world, wish, outcome);
  if (!outcome.writes.empty()) return;
  writeHead(wish, headOf(world, wish.owner), outcome);
  if (!outcome.writes.empty() || !wish.whole) return;
  endStrangers(world, wish, outcome);
}

Premise policyIsAnother(const k8s::ObjectKey& key, const std::string& uid) {
  return {api::kPodNetworkPolicyKind, key, [uid](const simdjson::dom::element& there) {
            std::string_view now;
            return there.at_pointer("/metadata/uid").get(now) != simdjson::SUCCESS || now == uid;
          }};
}

/// Slices of policies of this name that are gone; the garbage collector would take its time.
void endEarlier(const World& world, const k8s::ObjectKey& key, const Policy* now,
                Outcome& outcome) {
  for (const auto* one : world.of<PolicySlice>().by<ByPolicy>(key)) {
    if (now != nullptr && one->policyUID == now->metadata.uid) continue;
    if (one->metadata.deleting()) continue;
    outcome.writes.push_back(deletionOf(api::kPodNetworkPolicySliceKind, one->metadata,
                                        "its policy is gone",
                                        {policyIsAnother(key, one->policyUID)}));
  }
}

/// `parts` null: all of it.
Wish wishFor(const World& world, const Policy& policy, const Parts* parts, bool& tooMany) {
  const auto& metadata = policy.metadata;
  Wish wish;
  wish.owner = {
      metadata.nameSpace,
      metadata.name,
      metadata.uid,
      api::policyHeadName(metadata.name, metadata.uid),
      {std::string(api::kPodNetworkPolicyKind.apiVersion()),
       std::string(api::kPodNetworkPolicyKind.kind), metadata.name, metadata.uid, true, false}};
  wish.generation = metadata.generation;
  wish.spec = policy.spec;
  wish.about = {api::kPodNetworkPolicyKind, controller::keyOf(policy), metadata.uid,
                metadata.generation};
  const auto& groups = world.policyGroups();
  const auto peers = policy::peersOf(policy.spec, metadata.nameSpace);
  tooMany = peers.size() * policy.spec.podNetworkNames.size() > api::kMaxPolicyResolved;
  wish.whole = parts == nullptr || headOf(world, wish.owner) == nullptr;
  if (tooMany) return wish;
  for (const auto& network : policy.spec.podNetworkNames) {
    for (const auto& peer : peers) {
      const auto hash = policy::peerHash(peer);
      if (!wish.whole && !parts->contains({network, hash})) continue;
      wish.peers.push_back({network, hash, &groups.members(network, peer),
                            slicesOf(world, wish.owner, network, hash)});
    }
  }
  return wish;
}

/// Of so many interfaces it is looked at each time whether what is counted differs; of more when
/// it may be told.
constexpr std::size_t kCountedEachTime = 200;

/// What is counted stays as it was told until its time has come.
api::PodNetworkPolicyStatus statusOf(const World& world, const Policy& policy,
                                     const PolicyStanding& standing, const Moment& now,
                                     Outcome& outcome) {
  const auto due = world.countsDue(policy);
  const auto as = [&](Counts counts) {
    return policyStatusOf(world, policy, standing, counts, now.wall);
  };
  if (due <= now.boot) return as(Counts::Anew);
  auto told = as(Counts::AsTold);
  const bool isSmall = world.policyGroups().subjects(policy).size() <= kCountedEachTime;
  if (!isSmall || as(Counts::Anew) != told) outcome.askAgain(due - now.boot);
  return told;
}

Outcome decide(const World& world, const k8s::ObjectKey& key, const Parts* parts,
               const Moment& now) {
  Outcome outcome;
  const auto* policy = world.find<Policy>(key);
  if (policy == nullptr || parts == nullptr) endEarlier(world, key, policy, outcome);
  if (policy == nullptr) return outcome;
  PolicyStanding standing;
  if (policy->undecodable.empty()) {
    const auto wish = wishFor(world, *policy, parts, standing.tooMany);
    writeSlices(world, wish, outcome);
    standing.head = headOf(world, wish.owner);
  }
  auto patch = statusPatch(policy->status, statusOf(world, *policy, standing, now, outcome));
  if (!patch.empty()) {
    outcome.writes.push_back(
        writeTo(api::kPodNetworkPolicyKind, policy->metadata, Verb::PatchStatus, std::move(patch)));
  }
  return outcome;
}

Outcome reconcile(const World& world, const k8s::ObjectKey& key, const Moment& now) {
  return decide(world, key, nullptr, now);
}

Outcome reconcileParts(const World& world, const k8s::ObjectKey& key, const Parts& parts,
                       const Moment& now) {
  return decide(world, key, &parts, now);
}

bool readsOtherwise(const Changed<Policy>& changed) {
  if (changed.existence()) return true;
  const auto& before = *changed.before;
  const auto& now = *changed.now;
  return before.metadata.uid != now.metadata.uid ||
         before.metadata.generation != now.metadata.generation || before.spec != now.spec ||
         before.undecodable != now.undecodable;
}

/// For the peer that it carries; a head is looked at with whatever is looked at.
void changedSlice(const Changed<PolicySlice>& changed, Keys& keys) {
  for (const auto& slice : {changed.before, changed.now}) {
    if (slice == nullptr || slice->policyName.empty()) continue;
    const k8s::ObjectKey policy{slice->metadata.nameSpace, slice->policyName};
    const bool isWhole = changed.existence() || !slice->undecodable.empty() ||
                         changed.before->policyUID != changed.now->policyUID;
    if (slice->members && !(isWhole && changed.now == nullptr)) {
      keys.push_back(Mark::part(policy, {slice->members->podNetworkName, slice->members->peer}));
    } else {
      keys.push_back(isWhole ? Mark(policy) : Mark::itself(policy));
    }
  }
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
void selectingPodOf(const World& world, const InterfaceSet& set, bool unlessHeld, Keys& keys) {
  for (const auto& key : world.policyGroups().selecting({set.metadata.nameSpace, set.pod.name})) {
    const auto* policy = world.find<Policy>(key);
    if (policy == nullptr) continue;
    if (unlessHeld && policy->status.conditions.isTrueAt("Enforced", policy->metadata.generation)) {
      continue;
    }
    keys.push_back(Mark::itself(key));
  }
}

void concerned(const World& world, const Change& change, Keys& keys) {
  on(
      change,
      [&](const Changed<Policy>& changed) {
        keys.push_back(readsOtherwise(changed) ? Mark(changed.key()) : Mark::itself(changed.key()));
      },
      [&](const Changed<PolicySlice>& changed) { changedSlice(changed, keys); },
      [&](const PolicyTouch& touch) {
        if (touch.isDefault) return;
        keys.push_back(touch.peer ? Mark::part(touch.policy, *touch.peer)
                                  : Mark::itself(touch.policy));
      },
      [&](const Changed<InterfaceSet>& changed) {
        if (changed.now != nullptr && saysOtherwise(changed)) {
          selectingPodOf(world, *changed.now, false, keys);
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
          selectingPodOf(world, *set, true, keys);
        }
      },
      [&](const Changed<Network>& changed) {
        if (!changed.existence() && changed.before->metadata.uid == changed.now->metadata.uid &&
            changed.before->spec.access == changed.now->spec.access) {
          return;
        }
        const NetworkName name(changed.key().name);
        for (const auto* one : world.of<Policy>().by<ByNetworkName>(name)) {
          keys.push_back(Mark::itself(controller::keyOf(*one)));
        }
      },
      [&](const Changed<Namespace>& changed) {
        for (const auto* one : world.of<Policy>().by<ByNamespace>(changed.key().name)) {
          keys.push_back(Mark::itself(controller::keyOf(*one)));
        }
      });
}

Outcome reconcileDefault(const World& world, const k8s::ObjectKey& key, const Moment& /*now*/) {
  Outcome outcome;
  const auto* network = world.find<Network>(key.name);
  const auto* members = world.policyGroups().defaultMembers(key.nameSpace, key.name);
  const bool holds = network != nullptr && members != nullptr &&
                     network->spec.defaultPolicy == api::DefaultPolicy::SameNamespace;
  for (const auto* one :
       world.of<PolicySlice>().by<ByPolicy>(ByPolicy::ofDefault(key.nameSpace, key.name))) {
    if (one->metadata.deleting() || (holds && one->policyUID == network->metadata.uid)) continue;
    outcome.writes.push_back(deletionOf(api::kPodNetworkPolicySliceKind, one->metadata,
                                        "its network has no default that needs it there", {}));
  }
  if (!holds) return outcome;
  const auto& metadata = network->metadata;
  Wish wish;
  wish.owner = {key.nameSpace,
                "",
                metadata.uid,
                api::policyHeadName("default-" + metadata.name, metadata.uid),
                {std::string(api::kPodNetworkKind.apiVersion()),
                 std::string(api::kPodNetworkKind.kind), metadata.name, metadata.uid, true, false}};
  wish.generation = metadata.generation;
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
