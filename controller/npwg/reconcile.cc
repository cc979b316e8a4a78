#include "controller/npwg/reconcile.h"

#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "controller/world/world.h"
#include "lib/api/describe.h"
#include "lib/k8s/merge_patch.h"
#include "lib/npwg/multi_network_policy.h"

namespace multinet::controller {
namespace {

/// Of what is wrong with one; the rest is counted.
constexpr std::size_t kMostNotices = 10;
/// For a name that is taken by somebody else's, of whose end no change tells.
constexpr Duration kAskAgain = std::chrono::minutes(1);

bool isOwned(const k8s::StringMap& labels) {
  const auto found = labels.find(npwg::kOwnedLabel);
  return found != labels.end() && found->second == npwg::kOwned;
}

bool isOwned(const std::shared_ptr<const Namespace>& space) {
  return space != nullptr && isOwned(*space->metadata.labels);
}

Subject subjectOf(const MultiNetworkPolicy& policy) {
  return {npwg::kMultiNetworkPolicyKind, keyOf(policy), policy.metadata.uid,
          policy.metadata.generation};
}

/// Made of that one, or of one before it of its name.
bool isMadeOf(const Policy& policy, const k8s::ObjectKey& maker) {
  const auto* owner = npwg::makerOf(policy.metadata);
  return owner != nullptr && owner->name == maker.name;
}

/// Who only refers to one was made by somebody else.
bool isLabelled(const Policy& policy) {
  return policy.metadata.labels->contains(npwg::kMadeOfLabel);
}

/// What the caches say may be old, and who takes a policy away opens.
Premise wantsItNot(const k8s::ObjectKey& maker, const std::string& name) {
  return {npwg::kMultiNetworkPolicyKind, maker, [name](const simdjson::dom::element& there) {
            const auto now = k8s::KindTraits<MultiNetworkPolicy>::decode(there);
            if (!now) return true;
            const auto wanted = npwg::policiesOf(*now);
            return std::ranges::any_of(wanted,
                                       [&](const auto& one) { return one.metadata.name == name; });
          }};
}
Premise isntOwned(const std::string& nameSpace) {
  return {k8s::kNamespaceKind, k8s::ObjectKey{"", nameSpace},
          [](const simdjson::dom::element& there) {
            const auto space = k8s::KindTraits<k8s::Namespace>::decode(there);
            return !space || isOwned(*space->metadata.labels);
          }};
}

nlohmann::json patchOf(const Policy& standing, const api::PodNetworkPolicy& wanted) {
  nlohmann::json body;
  if (!(standing.spec == wanted.spec)) {
    body["spec"] =
        k8s::mergePatch(k8s::Encoder::value(standing.spec), k8s::Encoder::value(wanted.spec));
  }
  if (*standing.metadata.labels != *wanted.metadata.labels) {
    body["metadata"]["labels"] = k8s::Encoder::value(*wanted.metadata.labels);
  }
  // Others' references stay as they are.
  auto owners = *standing.metadata.ownerReferences;
  const auto& reference = wanted.metadata.ownerReferences->front();
  for (auto& owner : owners) {
    if (owner.controller.value_or(false)) owner = reference;
  }
  if (owners != *standing.metadata.ownerReferences) {
    body["metadata"]["ownerReferences"] = k8s::Encoder::value(owners);
  }
  return body;
}

void notice(const MultiNetworkPolicy& policy, const std::string& reason, std::string message,
            Outcome& outcome) {
  outcome.notices.push_back({subjectOf(policy), reason, std::move(message)});
}

/// The server takes nothing new in a namespace that ends, no Event either.
bool isMute(const Namespace& space) {
  return space.metadata.deleting();
}

void put(const World& world, const Namespace& space, const MultiNetworkPolicy& policy,
         const api::PodNetworkPolicy& wanted, Outcome& outcome) {
  const auto& kind = api::kPodNetworkPolicyKind;
  const auto key = keyOf(wanted);
  const auto* standing = world.find<Policy>(key);
  if (standing == nullptr) {
    if (isMute(space)) return;
    Write write{.kind = kind,
                .key = key,
                .verb = Verb::Create,
                .body = k8s::KindTraits<api::PodNetworkPolicy>::encode(wanted)};
    write.about = subjectOf(policy);
    outcome.writes.push_back(std::move(write));
    return;
  }
  if (!isMadeOf(*standing, keyOf(policy))) {
    if (isMute(space)) return;
    const auto& names = wanted.spec.podNetworkNames;
    notice(policy, "NameTaken",
           "metadata.name: PodNetworkPolicy \"" + key.name +
               "\" stands there and isn't made of this MultiNetworkPolicy, so it doesn't hold on " +
               (names.size() == 1 ? names.front()
                                  : names.front() + " and " + std::to_string(names.size() - 1) +
                                        " networks more") +
               "; rename or delete that PodNetworkPolicy, or rename this one",
           outcome);
    outcome.askAgain(kAskAgain);
    return;
  }
  // Its end, or what a newer version wrote, is waited for.
  if (standing->metadata.deleting() || !standing->undecodable.empty()) return;
  auto body = patchOf(*standing, wanted);
  if (body.empty()) return;
  auto write = writeTo(kind, standing->metadata, Verb::Patch, std::move(body));
  write.about = subjectOf(policy);
  outcome.writes.push_back(std::move(write));
}

void complain(const MultiNetworkPolicy& policy, Outcome& outcome) {
  if (policy.networks.empty()) {
    notice(policy, "NoNetworks",
           std::string("metadata.annotations[") + npwg::kPolicyForAnnotation +
               "]: names no PodNetwork, so the policy holds nowhere; write names of PodNetworks "
               "with commas between",
           outcome);
  }
  const auto& complaints = policy.complaints;
  for (std::size_t i = 0; i < std::min(complaints.size(), kMostNotices); ++i) {
    std::string message = complaints[i].str();
    if (i + 1 == kMostNotices && complaints.size() > kMostNotices) {
      const bool isAll = complaints.size() < npwg::kMaxComplaints;
      message += "; and " +
                 (isAll ? std::to_string(complaints.size() - kMostNotices) : std::string("many")) +
                 " more like it";
    }
    notice(policy, "NotTranslated", std::move(message), outcome);
  }
}

Outcome reconcile(const World& world, const k8s::ObjectKey& key, const Moment& /*now*/) {
  Outcome outcome;
  const auto* space = world.find<Namespace>(key.nameSpace);
  if (space == nullptr) return outcome;  // it isn't known, or all in it ends with it
  const bool owned = isOwned(*space->metadata.labels);
  const auto* policy = world.find<MultiNetworkPolicy>(key);
  if (owned && policy == nullptr && !world.knows<MultiNetworkPolicy>()) return outcome;
  std::vector<api::PodNetworkPolicy> wanted;
  if (owned && policy != nullptr) wanted = npwg::policiesOf(*policy);
  for (const auto& one : wanted) put(world, *space, *policy, one, outcome);
  for (const auto* one : world.of<Policy>().by<ByMaker>(key)) {
    const bool isWanted = std::ranges::any_of(
        wanted, [&](const auto& other) { return other.metadata.name == one->metadata.name; });
    if (isWanted || one->metadata.deleting() || !isLabelled(*one)) continue;
    outcome.writes.push_back(
        owned ? deletionOf(api::kPodNetworkPolicyKind, one->metadata,
                           "its MultiNetworkPolicy is gone, or names its networks no more",
                           {wantsItNot(key, one->metadata.name)})
              : deletionOf(api::kPodNetworkPolicyKind, one->metadata,
                           "its namespace isn't labelled for MultiNetworkPolicies any more",
                           {isntOwned(key.nameSpace)}));
  }
  // Once it is settled, so that each is told once.
  if (owned && policy != nullptr && outcome.writes.empty() && !isMute(*space)) {
    complain(*policy, outcome);
  }
  return outcome;
}

bool isOtherwise(const Changed<Policy>& changed) {
  if (changed.existence()) return true;
  const auto& before = *changed.before;
  const auto& now = *changed.now;
  return before.spec != now.spec || before.metadata.uid != now.metadata.uid ||
         before.metadata.labels != now.metadata.labels ||
         before.metadata.ownerReferences != now.metadata.ownerReferences ||
         before.metadata.deletionTimestamp != now.metadata.deletionTimestamp ||
         before.undecodable != now.undecodable;
}

void addMakers(const Policy& policy, Keys& keys) {
  for (auto& maker : ByMaker::of(policy)) keys.emplace_back(std::move(maker));
}

void concerned(const World& world, const Change& change, Keys& keys) {
  on(
      change, [&](const Changed<MultiNetworkPolicy>& changed) { keys.emplace_back(changed.key()); },
      [&](const Known<MultiNetworkPolicy>& /*known*/) {
        for (const auto& one : world.of<Policy>().all()) addMakers(*one, keys);
      },
      [&](const Changed<Policy>& changed) {
        if (!isOtherwise(changed)) return;
        for (const auto& one : {changed.before, changed.now}) {
          if (one != nullptr) addMakers(*one, keys);
        }
        // It may have stood in the way.
        const auto key = changed.key();
        const auto name = npwg::nameBehind(key.name);
        if (!name.empty()) keys.emplace_back(k8s::ObjectKey{key.nameSpace, name});
      },
      [&](const Changed<Namespace>& changed) {
        if (!changed.existence() && isOwned(changed.before) == isOwned(changed.now) &&
            changed.before->metadata.deleting() == changed.now->metadata.deleting()) {
          return;
        }
        const auto name = changed.key().name;
        for (const auto* one : world.of<MultiNetworkPolicy>().by<ByNamespace>(name)) {
          keys.emplace_back(keyOf(*one));
        }
        for (const auto* one : world.of<Policy>().by<ByNamespace>(name)) addMakers(*one, keys);
      });
}

}  // namespace

Reconciler multiNetworkPolicyReconciler() {
  return {"multi-network-policy", concerned, reconcile};
}

}  // namespace multinet::controller
