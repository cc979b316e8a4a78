// What became of a pod's networks, told to the API: off the call, retried, only the newest counts.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <variant>
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

/// A condition of the node as a whole, shown in its NodeNetworkSet: `AgentBypassed`. Stays until it
/// is said otherwise; saying the same again costs nothing. Whoever says True once says True or
/// False after each start too: until then the set keeps what the last agent said.
struct NodeCondition {
  std::string type;
  k8s::ConditionStatus status = k8s::ConditionStatus::Unknown;
  std::string reason;   ///< CamelCase
  std::string message;  ///< one sentence with the remedy
  bool operator==(const NodeCondition&) const = default;
};

/// Reasons of errors that say of the whole node that its name may be another machine's. A pod that
/// is refused for one of them may run well on that machine, so its conditions aren't touched.
inline constexpr const char* kNodeNameUnclear = "NodeNameUnclear";
inline constexpr const char* kNodeNameTaken = "NodeNameTaken";

/// A new sandbox is being made: the pod's networks aren't ready.
struct Starting {
  PodRef pod;
};
/// All interfaces are in the sandbox: the pod's set is written, its networks are ready.
struct Attached {
  PodRef pod;
  SandboxId sandbox;
  std::vector<InterfaceStatus> interfaces;
};
/// That sandbox is gone. A later sandbox of the pod isn't touched by it.
struct Detached {
  PodRef pod;
  SandboxId sandbox;
};
/// The pod can't have its networks: an Event that names the rule or the interface.
struct Refused {
  PodRef pod;
  Error error;
};
/// An Event on the pod.
struct PodEvent {
  PodRef pod;
  Notice notice;
};

/// What became of a pod's networks, or of the node: said once, where it happens.
using News = std::variant<Starting, Attached, Detached, Refused, PodEvent, NodeCondition>;

/// Where news go. Any thread may call; nothing blocks, nothing fails: what can't be written now is
/// written later, and what is lost or altered is written again.
using Tell = std::function<void(News)>;

/// What the reporter of pods hears that is the reporter of the node's.
struct NodeNews {
  std::function<void(NodeCondition)> setNodeCondition;
  /// Networks whose interfaces pods have here: they are told first where not all can be.
  std::function<void(std::set<NetworkUid>)> setUsedNetworks;
};

}  // namespace multinet::agent::report
