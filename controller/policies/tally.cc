#include "controller/policies/tally.h"

#include <algorithm>

namespace multinet::controller {
namespace {

std::string_view stateOf(const k8s::Conditions& conditions, std::int64_t generation) {
  using State = k8s::ConditionStatus;
  const auto isAt = [&](const k8s::Condition* one) {
    return one != nullptr && one->observedGeneration == generation;
  };
  const auto* accepted = conditions.find("Accepted");
  const auto* resolved = conditions.find("PeersResolved");
  const auto* enforced = conditions.find("Enforced");
  if (isAt(accepted) && accepted->status != State::True) return "NotAccepted";
  if (isAt(resolved) && resolved->status != State::True) return "PeersPending";
  if (!isAt(accepted) || !isAt(resolved) || !isAt(enforced)) return "Unjudged";
  if (enforced->status != State::True) return "NotEnforced";
  return enforced->reason == "NoneSelected" ? "NoneSelected" : "Enforced";
}

template <class P>
void add(const P& policy, PolicyTally& tally) {
  const auto& status = policy.status;
  const auto state = stateOf(status.conditions, policy.metadata.generation);
  const auto found = std::ranges::find(kPolicyStates, state);
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
  for (const auto& one : policies) add(*one, tally);
  for (const auto& one : clusterPolicies) add(*one, tally);
  return tally;
}

}  // namespace multinet::controller
