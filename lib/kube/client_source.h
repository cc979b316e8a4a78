// The way to the API server, once there is one.
#pragma once

#include <functional>

#include "lib/kube/client.h"

namespace multinet::kube {

/// Unavailable says why there is none yet (no kubeconfig at first boot). The client outlives all
/// that have its source. Any thread.
using ClientSource = std::function<Result<Client*>()>;

}  // namespace multinet::kube
