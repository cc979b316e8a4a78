// What the status of a policy says: whether it is accepted, resolved, and held.
#pragma once

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// What the decision on the slices came to.
struct PolicyStanding {
  const PolicySlice* head = nullptr;  ///< null: none stands
  bool tooMany = false;               ///< peers, for any head
};

/// Whether the interfaces are counted anew, or stay as they were told.
enum class Counts : std::uint8_t { Anew, AsTold };
[[nodiscard]] api::PodNetworkPolicyStatus policyStatusOf(const World& world, const Policy& policy,
                                                         const PolicyStanding& standing,
                                                         Counts counts, WallTime now);

/// Whether a resourceVersion of one resource is that one or a later one (KEP-5504).
[[nodiscard]] bool reaches(const std::string& revision, const std::string& wanted);

}  // namespace multinet::controller
