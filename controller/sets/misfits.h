// PodInterfaceSets that fit no live pod. Readers don't believe them; here they are removed.
//
// Looking happens in caches, which may lag: what they make suspect is asked of the API server
// again, and only its answer deletes.
#pragma once

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// By PodInterfaceSet.
[[nodiscard]] Reconciler setReconciler();

}  // namespace multinet::controller
