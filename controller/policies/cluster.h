// Policies of the cluster. In each namespace that one selects and that has pods on its networks
// nodes find its slices; of each namespace with such pods they find a ledger of those that were
// looked at for it. A ledger promises what stands already, and it is taken back before what it
// promised goes.
#pragma once

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// The slices of one policy in one namespace: keys are the namespace and the policy's name.
[[nodiscard]] Reconciler clusterPolicySliceReconciler();
/// By namespace.
[[nodiscard]] Reconciler policyLedgerReconciler();
/// A policy's status.
[[nodiscard]] Reconciler clusterPolicyReconciler();

}  // namespace multinet::controller
