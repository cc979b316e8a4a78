#include "controller/policies/tally.h"

#include <algorithm>

namespace multinet::controller {
namespace {

std::string_view stateOf(const k8s::Conditions& conditions) {
  const auto isFalse = [](const k8s::Condition* condition) {
    return condition != nullptr && condition->status != k8s::ConditionStatus::True;
  };
  if (isFalse(conditions.find("Accepted"))) return "NotAccepted";
  if (isFalse(conditions.find("PeersResolved"))) return "PeersPending";
  const auto* enforced = conditions.find("Enforced");
  if (enforced == nullptr) return "Unjudged";
  if (isFalse(enforced)) return "NotEnforced";
  return enforced->reason == "NoneSelected" ? "NoneSelected" : "Enforced";
}

void add(const api::PodNetworkPolicyStatus& status, PolicyTally& tally) {
  const auto found = std::ranges::find(kPolicyStates, stateOf(status.conditions));
  ++tally.byState.at(static_cast<std::size_t>(found - kPolicyStates.begin()));
  if (!status.interfaces) return;
  // Never below zero: the schema says so.
  tally.selected += static_cast<std::uint64_t>(status.interfaces->selected);
  tally.enforced += static_cast<std::uint64_t>(status.interfaces->enforced);
}

}  // namespace

PolicyTally policyTallyOf(
    const std::vector<std::shared_ptr<const Policy>>& policies,
    const std::vector<std::shared_ptr<const ClusterPolicy>>& clusterPolicies) {
  PolicyTally tally;
  for (const auto& one : policies) add(one->status, tally);
  for (const auto& one : clusterPolicies) add(one->status, tally);
  return tally;
}

}  // namespace multinet::controller
