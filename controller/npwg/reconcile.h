// MultiNetworkPolicies in namespaces with the label `multinet.dev/npwg: owned`: the
// PodNetworkPolicies that are made of each, and their end.
#pragma once

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// By MultiNetworkPolicy. Asked when it, what is made of it, or its namespace's label changes.
[[nodiscard]] Reconciler multiNetworkPolicyReconciler();

}  // namespace multinet::controller
