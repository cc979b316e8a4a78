#include "controller/policies/slices.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "lib/api/names.h"

namespace multinet::controller {
namespace {

/// A slice as it shall be.
struct Draft {
  const PolicySlice* standing = nullptr;
  std::vector<api::PolicyMember> entries;
  bool departs = false;  ///< a member goes
  bool grows = false;

  [[nodiscard]] bool changed() const { return standing == nullptr || departs || grows; }
  [[nodiscard]] bool hasRoom() const { return entries.size() < api::kMaxSliceEntries; }
};

PolicyMember memberOf(const api::PolicyMember& entry) {
  return {entry.address, entry.port.value_or(0)};
}

api::PolicyMember entryOf(const PolicyMember& member) {
  return {member.first, member.second == 0 ? std::nullopt : std::optional(member.second)};
}

/// Each member stands once and nobody else does: as it is at most looks, for which nothing is
/// placed.
bool isCarried(const PeerWish& wish) {
  std::vector<const PolicyMember*> found;
  found.reserve(wish.members->size());
  for (const auto* slice : wish.standing) {
    if (slice->members->entries.empty()) return false;
    for (const auto& entry : slice->members->entries) {
      const auto member = wish.members->find(memberOf(entry));
      if (member == wish.members->end()) return false;
      found.push_back(&member->first);
    }
  }
  if (found.size() != wish.members->size()) return false;
  std::ranges::sort(found, std::less<>());
  return std::ranges::adjacent_find(found) == found.end();
}

/// Members that are there and wanted stay where they are.
std::vector<Draft> kept(const PeerWish& wish, std::set<PolicyMember>& placed) {
  auto sorted = wish.standing;
  std::ranges::sort(sorted, {},
                    [](const PolicySlice* one) -> const auto& { return one->metadata.name; });
  std::vector<Draft> drafts;
  for (const auto* slice : sorted) {
    Draft draft{slice, {}, false, false};
    for (const auto& entry : slice->members->entries) {
      const auto member = memberOf(entry);
      if (wish.members->contains(member) && placed.insert(member).second) {
        draft.entries.push_back(entry);
      } else {
        draft.departs = true;
      }
    }
    drafts.push_back(std::move(draft));
  }
  return drafts;
}

/// Where a new one goes.
Draft& placeFor(std::vector<Draft>& drafts) {
  Draft* best = nullptr;
  for (auto& draft : drafts) {
    if (!draft.hasRoom()) continue;
    const auto rank = [](const Draft& one) { return std::pair(one.changed(), one.entries.size()); };
    if (best == nullptr || rank(draft) > rank(*best)) best = &draft;
  }
  return best != nullptr ? *best : drafts.emplace_back();
}

std::string freeName(const PolicySliceOwner& owner, std::set<std::string>& names) {
  std::size_t place = 0;
  while (!names.insert(api::policySliceName(owner.headName, place)).second) ++place;
  return api::policySliceName(owner.headName, place);
}

}  // namespace

api::PodNetworkPolicySlice bareSlice(const PolicySliceOwner& owner, const std::string& name) {
  api::PodNetworkPolicySlice slice;
  slice.metadata.nameSpace = owner.nameSpace;
  slice.metadata.name = name;
  slice.metadata.labels[api::kPolicyNamespaceLabel] = owner.nameSpace;
  slice.metadata.ownerReferences.push_back(owner.reference);
  slice.policyName = owner.policyName;
  slice.clusterPolicyName = owner.clusterPolicyName;
  slice.policyUID = owner.uid;
  return slice;
}

std::vector<PolicySliceChange> planMembers(const PolicySliceOwner& owner, const PeerWish& wish,
                                           std::set<std::string>& names) {
  if (isCarried(wish)) return {};
  std::set<PolicyMember> placed;
  auto drafts = kept(wish, placed);
  Draft* place = nullptr;
  for (const auto& [member, count] : *wish.members) {
    if (placed.contains(member)) continue;
    if (place == nullptr || !place->hasRoom()) place = &placeFor(drafts);
    place->entries.push_back(entryOf(member));
    place->grows = true;
  }
  std::ranges::stable_partition(drafts, &Draft::departs);
  std::vector<PolicySliceChange> changes;
  for (auto& draft : drafts) {
    if (draft.entries.empty()) {  // it has none, or none is left
      changes.push_back({draft.standing, std::nullopt});
      continue;
    }
    if (!draft.changed()) continue;
    const auto name =
        draft.standing == nullptr ? freeName(owner, names) : draft.standing->metadata.name;
    auto slice = bareSlice(owner, name);
    slice.members = api::PolicyMembers{wish.network, wish.peer, std::move(draft.entries)};
    changes.push_back({draft.standing, std::move(slice)});
  }
  return changes;
}

api::PolicyHeadPeer countOf(const PeerWish& wish) {
  std::size_t members = 0;
  for (const auto* slice : wish.standing) members += slice->members->entries.size();
  return {wish.network, wish.peer, static_cast<std::int32_t>(wish.standing.size()),
          static_cast<std::int32_t>(members)};
}

}  // namespace multinet::controller
