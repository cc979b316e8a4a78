// What became of a pod's networks, told to the API: off the call, retried, only the newest counts.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "lib/k8s/conditions.h"
#include "lib/kube/events.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::report {

/// An Event: `reason` a stable CamelCase word that docs/troubleshooting.md lists, `message` what,
/// why and the remedy. The same one within minutes is counted, not repeated.
struct Notice {
  kube::Severity severity = kube::Severity::Warning;
  std::string reason;
  std::string message;
  bool operator==(const Notice&) const = default;
};

/// A condition of the node as a whole, shown in its NodeNetworkSet: `AgentBypassed`.
struct NodeCondition {
  std::string type;
  k8s::ConditionStatus status = k8s::ConditionStatus::Unknown;
  std::string reason;   ///< CamelCase
  std::string message;  ///< one sentence with the remedy
  bool operator==(const NodeCondition&) const = default;
};

/// Any thread may call; nothing blocks, nothing fails.
class NodeConditions {
 public:
  virtual ~NodeConditions() = default;
  /// Stays until it is said otherwise; saying the same again costs nothing. Whoever says True once
  /// says True or False after each start too: until then the set keeps what the last agent said.
  virtual void setNodeCondition(NodeCondition condition) = 0;
};

/// What the reporter of pods tells the reporter of the node.
class NodeNews : public NodeConditions {
 public:
  /// Networks whose interfaces pods have here: they are told first where not all can be.
  virtual void setUsedNetworks(std::set<NetworkUid> uids) = 0;
};

/// Any thread may call; nothing blocks, nothing fails: a report that can't be written now is
/// written later, and one that is lost or altered is written again.
class Reporter : public NodeConditions {
 public:
  /// A new sandbox is being made: the pod's networks aren't ready.
  virtual void starting(const PodRef& pod) = 0;
  /// All interfaces are in the sandbox: the pod's set is written, its networks are ready.
  virtual void attached(const PodRef& pod, const SandboxId& sandbox,
                        std::vector<InterfaceStatus> interfaces) = 0;
  /// That sandbox is gone. A later sandbox of the pod isn't touched by it.
  virtual void detached(const PodRef& pod, const SandboxId& sandbox) = 0;
  /// The pod can't have its networks: an Event that names the rule or the interface.
  virtual void refused(const PodRef& pod, const Error& error) = 0;
  /// An Event on the pod.
  virtual void event(const PodRef& pod, Notice notice) = 0;
  /// An Event on this node.
  virtual void nodeEvent(Notice notice) = 0;
};

}  // namespace multinet::agent::report
