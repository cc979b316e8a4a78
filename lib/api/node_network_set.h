// NodeNetworkSet: what one node measured of its networks; its name is the node's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_interface_set.h"

namespace multinet::api {

/// One probe of a network on a node. What wasn't probed says Unknown with reason NotProbed.
struct NetworkCheck {
  std::string name;
  k8s::ConditionStatus status = k8s::ConditionStatus::Unknown;
  std::string reason;
  std::string message;
  bool operator==(const NetworkCheck&) const = default;
};

struct NodeNetwork {
  std::string podNetworkName;
  std::string podNetworkUID;
  k8s::Conditions conditions;  ///< Ready
  std::vector<NetworkCheck> checks;
  bool operator==(const NodeNetwork&) const = default;
};

struct NodeNetworkSetSpec {
  std::string nodeName;  ///< equals metadata.name
  bool operator==(const NodeNetworkSetSpec&) const = default;
};

/// An agent, told apart from any other that works under the same node's name.
struct NodeAgent {
  std::string journalID;  ///< of its journal: made with it, and kept with it
  std::string bootID;     ///< of the boot in which it runs
  bool operator==(const NodeAgent&) const = default;
};

struct NodeNetworkSetStatus {
  k8s::Conditions conditions;  ///< of the node as a whole: AgentBypassed, ...
  std::vector<NodeNetwork> networks;
  std::int32_t omittedNetworks = 0;  ///< that the list has no room for
  std::optional<NodeAgent> agent;    ///< works under the node's name
  /// Asks for it: the agent takes this away, which is its answer; where none answers it goes over.
  std::optional<NodeAgent> claimant;
  /// The highest resourceVersion of a PodNetworkPolicySlice with a head that the node has
  /// committed; empty: none.
  std::string policyRevision;
  bool operator==(const NodeNetworkSetStatus&) const = default;
};

struct NodeNetworkSet {
  k8s::ObjectMeta metadata;
  NodeNetworkSetSpec spec;
  NodeNetworkSetStatus status;
  bool operator==(const NodeNetworkSet&) const = default;
};

inline constexpr k8s::Kind kNodeNetworkSetKind{"multinet.dev", "v1alpha1", "nodenetworksets",
                                               "NodeNetworkSet", k8s::Scope::Cluster};

}  // namespace multinet::api

template <>
struct multinet::k8s::KindTraits<multinet::api::NodeNetworkSet>
    : multinet::k8s::KindNames<multinet::api::kNodeNetworkSetKind> {
  static Result<api::NodeNetworkSet> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const api::NodeNetworkSet& object);
};
