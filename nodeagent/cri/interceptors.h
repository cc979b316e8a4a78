// The calls that aren't only relayed, and what is done with them (see docs/decisions on the CRI
// proxy). Law: a call for a pod without a request passes at once, also while the owner of the
// sandboxes hangs or hasn't recovered.
#pragma once

#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "nodeagent/cri/server.h"
#include "nodeagent/drain/drain.h"
#include "nodeagent/sandbox/sandboxes.h"

namespace multinet::agent::cri {

/// What interceptors use; all of it outlives the server.
struct Context {
  sandbox::Sandboxes* sandboxes = nullptr;
  const Clock* clock = nullptr;
  async::Lane* timers = nullptr;  ///< ends waits for an owner that doesn't answer
  drain::Drain* drain = nullptr;  ///< holds the stops of containers
  /// How long StopPodSandbox waits for the owner before the runtime is asked, and goes on without.
  Duration ownerLimit = std::chrono::milliseconds(800);
};

/// The table of intercepted methods.
[[nodiscard]] InterceptorOf interceptors(Context context);

}  // namespace multinet::agent::cri
