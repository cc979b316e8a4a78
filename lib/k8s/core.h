// The few fields that we read of Kubernetes' own kinds. Never write one of these back: what isn't
// read here would be lost; change them by patch.
#pragma once

#include <string>
#include <vector>

#include "lib/k8s/conditions.h"
#include "lib/k8s/kind_names.h"
#include "lib/k8s/metadata.h"

namespace multinet::k8s {

struct PodReadinessGate {
  std::string conditionType;
  bool operator==(const PodReadinessGate&) const = default;
};

struct PodSpec {
  std::string nodeName;  ///< empty: not scheduled
  bool hostNetwork = false;
  Seldom<std::string> serviceAccountName;
  Seldom<std::vector<PodReadinessGate>> readinessGates;
  bool operator==(const PodSpec&) const = default;
};

struct PodIp {
  std::string ip;
  bool operator==(const PodIp&) const = default;
};

struct PodStatus {
  std::string phase;  ///< Pending, Running, Succeeded, Failed, Unknown
  Seldom<std::string> podIP;
  Seldom<std::vector<PodIp>> podIPs;
  Conditions conditions;
  bool operator==(const PodStatus&) const = default;
};

struct Pod {
  ObjectMeta metadata;
  PodSpec spec;
  PodStatus status;
  bool operator==(const Pod&) const = default;

  /// Succeeded or Failed: its containers will not run again.
  [[nodiscard]] bool finished() const;
  /// The kubelet's picture of a static pod (annotation `kubernetes.io/config.mirror`).
  [[nodiscard]] bool isMirror() const;
  [[nodiscard]] bool hasReadinessGate(std::string_view conditionType) const;
};

struct NodeAddress {
  std::string type;  ///< InternalIP, Hostname, ...
  std::string address;
  bool operator==(const NodeAddress&) const = default;
};

struct Taint {
  std::string key;
  std::string value;
  std::string effect;
  bool operator==(const Taint&) const = default;
};

struct NodeSpec {
  bool unschedulable = false;
  std::vector<std::string> podCIDRs;  ///< one of each family; empty where nobody allocates them
  std::vector<Taint> taints;
  bool operator==(const NodeSpec&) const = default;
};

struct NodeStatus {
  std::vector<NodeAddress> addresses;
  Conditions conditions;
  bool operator==(const NodeStatus&) const = default;
};

struct Node {
  ObjectMeta metadata;
  NodeSpec spec;
  NodeStatus status;
  bool operator==(const Node&) const = default;
};

struct NamespaceStatus {
  std::string phase;  ///< Active or Terminating
  bool operator==(const NamespaceStatus&) const = default;
};

struct Namespace {
  ObjectMeta metadata;
  NamespaceStatus status;
  bool operator==(const Namespace&) const = default;
};

struct ServiceCidrSpec {
  std::vector<std::string> cidrs;  ///< one of each family
  bool operator==(const ServiceCidrSpec&) const = default;
};

/// A range of the Services' addresses; its objects say all of them. Kubernetes 1.33 and later.
struct ServiceCidr {
  ObjectMeta metadata;
  ServiceCidrSpec spec;
  bool operator==(const ServiceCidr&) const = default;
};

inline constexpr Kind kPodKind{"", "v1", "pods", "Pod", Scope::Namespaced};
template <>
struct KindTraits<Pod> : KindNames<kPodKind> {
  static Result<Pod> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const Pod& object);
};
inline constexpr Kind kNodeKind{"", "v1", "nodes", "Node", Scope::Cluster};
template <>
struct KindTraits<Node> : KindNames<kNodeKind> {
  static Result<Node> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const Node& object);
};
inline constexpr Kind kNamespaceKind{"", "v1", "namespaces", "Namespace", Scope::Cluster};
template <>
struct KindTraits<Namespace> : KindNames<kNamespaceKind> {
  static Result<Namespace> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const Namespace& object);
};
inline constexpr Kind kServiceCidrKind{"networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR",
                                       Scope::Cluster};
template <>
struct KindTraits<ServiceCidr> : KindNames<kServiceCidrKind> {
  static Result<ServiceCidr> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const ServiceCidr& object);
};

}  // namespace multinet::k8s
