// What all policies on networks come to, for those who watch over them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "controller/world/kinds.h"

namespace multinet::controller {

/// A policy is counted by the first of these that holds. NotAccepted: its condition Accepted isn't
/// True. PeersPending: nor is PeersResolved. Of its condition Enforced: NoneSelected, Enforced,
/// NotEnforced. Unjudged: one isn't there yet, or speaks of an earlier generation.
inline constexpr std::array<std::string_view, 6> kPolicyStates{
    "Enforced", "NoneSelected", "NotEnforced", "PeersPending", "NotAccepted", "Unjudged"};

struct PolicyTally {
  std::array<std::uint64_t, kPolicyStates.size()> byState{};
  std::uint64_t selected = 0;  ///< interfaces, as the policies' status counts them
  std::uint64_t enforced = 0;  ///< of those
  bool operator==(const PolicyTally&) const = default;
};

/// Pure.
[[nodiscard]] PolicyTally policyTallyOf(
    const std::vector<std::shared_ptr<const Policy>>& policies,
    const std::vector<std::shared_ptr<const ClusterPolicy>>& clusterPolicies);

}  // namespace multinet::controller
