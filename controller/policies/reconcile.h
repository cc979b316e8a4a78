// PodNetworkPolicies, and networks' defaults: the slices by which nodes hear of them, and what the
// policies' status says.
#pragma once

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// By PodNetworkPolicy. Parts are peers, by network and hash: a pod that comes, goes or is labelled
/// otherwise costs the peers that it is among.
[[nodiscard]] Reconciler policyReconciler();
/// By namespace and network, of networks with the default SameNamespace.
[[nodiscard]] Reconciler policyDefaultReconciler();

}  // namespace multinet::controller
