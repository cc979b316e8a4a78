// The way to the API server, once there is one.
#pragma once

#include <functional>

#include "lib/kube/client.h"

namespace multinet::agent::report {

/// Unavailable says why there is none yet (no kubeconfig at first boot). The client outlives all.
using ClientSource = std::function<Result<kube::Client*>()>;

}  // namespace multinet::agent::report
