// All reconcilers. Who adds one makes a room for it and writes a line in reconcilers.cc.
#pragma once

#include <vector>

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// In the order in which they take turns.
[[nodiscard]] std::vector<Reconciler> allReconcilers();

}  // namespace multinet::controller
