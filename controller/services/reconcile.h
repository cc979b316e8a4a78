// PodNetworkServices: the Service and the EndpointSlices of each, and what its status says.
#pragma once

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// By PodNetworkService. Asked when the service, what is made of it, its network, or a pod that it
/// selects changes; other pods cost a look at their labels.
[[nodiscard]] Reconciler serviceReconciler();

}  // namespace multinet::controller
