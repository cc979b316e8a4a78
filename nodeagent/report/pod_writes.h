// What is written of a pod at the API, with the kubelet's rights.
#pragma once

#include <string>

#include "lib/api/pod_interface_set.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/kube/client.h"
#include "nodeagent/report/reporter.h"

namespace multinet::agent::report {

/// The pod's condition `multinet.dev/networks-ready`.
struct Readiness {
  bool ready = false;
  std::string reason;
  std::string message;
  bool operator==(const Readiness&) const = default;
};

// All block. NotFound means that the pod, its namespace or the set is gone, which is no failure.

/// Creates the set, or makes the one that is there equal to it.
[[nodiscard]] Status putSet(kube::Client& client, const api::PodInterfaceSet& set);
[[nodiscard]] Status deleteSet(kube::Client& client, const std::string& namespaceName,
                               const std::string& name);
/// Only on the pod with that UID. `since`: when the status became what it is.
[[nodiscard]] Status putReadiness(kube::Client& client, const PodRef& pod,
                                  const Readiness& readiness, WallTime since);

}  // namespace multinet::agent::report
