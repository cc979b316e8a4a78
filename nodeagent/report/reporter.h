// What became of a pod's networks, told to the API: off the call, retried, only the newest counts.
#pragma once

#include <vector>

#include "nodeagent/model/interface.h"

namespace multinet::agent::report {

/// Any thread may call; nothing blocks, nothing fails: a report that can't be written now is
/// written later.
class Reporter {
 public:
  virtual ~Reporter() = default;
  /// A new sandbox is being made: the pod's networks aren't ready.
  virtual void starting(const PodRef& pod) = 0;
  /// All interfaces are in the sandbox: the pod's set is written, its networks are ready.
  virtual void attached(const PodRef& pod, const SandboxId& sandbox,
                        std::vector<InterfaceStatus> interfaces) = 0;
  /// That sandbox is gone. A later sandbox of the pod isn't touched by it.
  virtual void detached(const PodRef& pod, const SandboxId& sandbox) = 0;
  /// The pod can't have its networks: an Event that names the rule or the interface.
  virtual void refused(const PodRef& pod, const Error& error) = 0;
};

}  // namespace multinet::agent::report
