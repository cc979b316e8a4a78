#include "controller/world/counts.h"

#include <algorithm>

namespace multinet::controller {
namespace {

/// A condition whose message counts.
constexpr auto kCounting = "Degraded";

template <class Conditions>
auto* find(Conditions& conditions) {
  const auto found = std::ranges::find(conditions.items, kCounting, &k8s::Condition::type);
  return found == conditions.items.end() ? nullptr : &*found;
}
bool sameVerdict(const k8s::Condition* before, const k8s::Condition* after) {
  return before != nullptr && after != nullptr && before->status == after->status &&
         before->reason == after->reason;
}

/// Names are told at once: somebody waits for the last of them.
bool areCounted(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  return before.size() > kMaxBlockers && after.size() > kMaxBlockers;
}

}  // namespace

Duration countsStand(std::size_t nodes) {
  const auto most = static_cast<std::size_t>(kCountsStand / kCountsStandANode);
  const Duration stand = kCountsStandANode * static_cast<int>(std::min(nodes, most));
  return std::max(stand, kCountsGather);
}

bool countsDiffer(const api::PodNetworkStatus& before, const api::PodNetworkStatus& after) {
  api::PodNetworkStatus kept = after;
  keepCounts(before, kept);
  return kept != after;
}

bool countsDiffer(const api::PodNetworkAttachmentStatus& before,
                  const api::PodNetworkAttachmentStatus& after) {
  return before.attachedPods && before.attachedPods != after.attachedPods;
}

bool countsDiffer(const api::PodNetworkPolicyStatus& before,
                  const api::PodNetworkPolicyStatus& after) {
  const auto same = [&](const char* type) {
    const auto* told = before.conditions.find(type);
    const auto* tells = after.conditions.find(type);
    return sameVerdict(told, tells) && told->message == tells->message &&
           told->observedGeneration == tells->observedGeneration;
  };
  const auto* resolved = after.conditions.find("PeersResolved");
  const bool isPending = resolved != nullptr && resolved->status != k8s::ConditionStatus::True;
  const bool isCounted =
      isPending || sameVerdict(before.conditions.find("PeersResolved"), resolved);
  return before.interfaces != after.interfaces || before.notEnforced != after.notEnforced ||
         !same("Enforced") || (isCounted && !same("PeersResolved"));
}

void keepCounts(const api::PodNetworkStatus& before, api::PodNetworkStatus& after) {
  if (before.attachedPods) after.attachedPods = before.attachedPods;
  if (before.nodes) after.nodes = before.nodes;
  if (areCounted(before.blockers, after.blockers)) after.blockers = before.blockers;
  const auto* told = find(before.conditions);
  auto* tells = find(after.conditions);
  if (sameVerdict(told, tells)) tells->message = told->message;
}

void keepCounts(const api::PodNetworkAttachmentStatus& before,
                api::PodNetworkAttachmentStatus& after) {
  if (before.attachedPods) after.attachedPods = before.attachedPods;
}

void Pace::changed(const k8s::ObjectKey& object, BootTime time) {
  auto& since = seen_[object].changed;
  // What changed and changed back was never told.
  if (!since || *since + kCountsStand < time) since = time;
}

BootTime Pace::due(const k8s::ObjectKey& object, Duration stand) const {
  const auto found = seen_.find(object);
  if (found == seen_.end()) return {};
  const auto& [told, changed] = found->second;
  return std::max(told ? *told + stand : BootTime{},
                  changed ? *changed + kCountsGather : BootTime{});
}

}  // namespace multinet::controller
