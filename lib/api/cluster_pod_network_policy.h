// ClusterPodNetworkPolicy: who may speak to whom on named networks, whatever namespaces say or
// where they say nothing; written by an admin. It is ClusterNetworkPolicy
// (policy.networking.k8s.io/v1beta1) with podNetworkNames, and each field means what that one's
// does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_network_policy.h"

namespace multinet::api {

/// Admin comes before PodNetworkPolicies, Baseline after them, where none selects the interface.
enum class ClusterPolicyTier : std::uint8_t { Admin, Baseline };

/// Accept and Deny are last words; Pass leaves the rest of its tier out.
enum class ClusterPolicyAction : std::uint8_t { Accept, Deny, Pass };

/// Both must match; an empty one matches all. No namespaceSelector is an empty one.
struct NamespacedPods {
  k8s::LabelSelector namespaceSelector;
  k8s::LabelSelector podSelector;
  bool operator==(const NamespacedPods&) const = default;
};

/// One of them.
struct ClusterPolicySubject {
  std::optional<k8s::LabelSelector> namespaces;  ///< all of their pods
  std::optional<NamespacedPods> pods;
  bool operator==(const ClusterPolicySubject&) const = default;
};

/// One of them. `nodes` and `domainNames` are read to be refused with a word.
struct ClusterPolicyPeer {
  std::optional<k8s::LabelSelector> namespaces;  ///< all of their pods
  std::optional<NamespacedPods> pods;
  std::vector<std::string> networks;  ///< blocks of addresses, pods' too; egress alone
  std::optional<k8s::LabelSelector> nodes;
  std::vector<std::string> domainNames;
  bool operator==(const ClusterPolicyPeer&) const = default;
};

/// Both ends too.
struct ClusterPolicyPortRange {
  std::int32_t start = 0;
  std::int32_t end = 0;
  bool operator==(const ClusterPolicyPortRange&) const = default;
};

/// One of them.
struct ClusterPolicyPort {
  std::optional<std::int32_t> number;
  std::optional<ClusterPolicyPortRange> range;
  bool operator==(const ClusterPolicyPort&) const = default;
};

struct ClusterPolicyTransport {
  std::optional<ClusterPolicyPort> destinationPort;
  bool operator==(const ClusterPolicyTransport&) const = default;
};

/// One of them. A name is that of a container's port of the pod that receives, of whatever
/// protocol.
struct ClusterPolicyProtocol {
  std::optional<ClusterPolicyTransport> tcp;
  std::optional<ClusterPolicyTransport> udp;
  std::optional<ClusterPolicyTransport> sctp;
  std::string destinationNamedPort;
  bool operator==(const ClusterPolicyProtocol&) const = default;
};

/// Of either direction: `peers` is `from` or `to`. No protocols: every one, ICMP too.
struct ClusterPolicyRule {
  std::string name;
  ClusterPolicyAction action = ClusterPolicyAction::Deny;
  std::vector<ClusterPolicyPeer> peers;
  std::vector<ClusterPolicyProtocol> protocols;
  bool operator==(const ClusterPolicyRule&) const = default;
};

/// A rule with `from`.
struct ClusterPolicyIngressRule : ClusterPolicyRule {
  bool operator==(const ClusterPolicyIngressRule&) const = default;
};
/// A rule with `to`.
struct ClusterPolicyEgressRule : ClusterPolicyRule {
  bool operator==(const ClusterPolicyEgressRule&) const = default;
};

struct ClusterPodNetworkPolicySpec {
  std::vector<std::string> podNetworkNames;  ///< 1 to 16, as a PodNetworkPolicy's
  ClusterPolicyTier tier = ClusterPolicyTier::Admin;
  std::int32_t priority = 0;  ///< 0 to 1000, the lowest first; of equals the first by name
  ClusterPolicySubject subject;
  std::vector<ClusterPolicyIngressRule> ingress;  ///< the first that matches counts
  std::vector<ClusterPolicyEgressRule> egress;    ///< likewise
  bool operator==(const ClusterPodNetworkPolicySpec&) const = default;
};

struct ClusterPodNetworkPolicy {
  k8s::ObjectMeta metadata;
  ClusterPodNetworkPolicySpec spec;
  PodNetworkPolicyStatus status;
  bool operator==(const ClusterPodNetworkPolicy&) const = default;
};

inline constexpr k8s::Kind kClusterPodNetworkPolicyKind{
    "multinet.dev", "v1alpha1", "clusterpodnetworkpolicies", "ClusterPodNetworkPolicy",
    k8s::Scope::Cluster};

}  // namespace multinet::api

template <>
struct multinet::k8s::KindTraits<multinet::api::ClusterPodNetworkPolicy>
    : multinet::k8s::KindNames<multinet::api::kClusterPodNetworkPolicyKind> {
  static Result<api::ClusterPodNetworkPolicy> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const api::ClusterPodNetworkPolicy& object);
};
