// PodNetworkPolicySlice: what nodes are told of one policy; written by the controller alone. To a
// PodNetworkPolicy what EndpointSlice is to a Service. No status subresource.
//
// The head of a policy carries its spec and says how many addresses its peers have; the other
// slices carry these. The head is written last, so whoever has all that it counts has all of it. A
// head without a spec is a network's default SameNamespace, in one namespace.
//
// Of a ClusterPodNetworkPolicy there are a head and members in each namespace that its subject
// selects. Whether that is all of them a namespace's ledger says, which is written after the heads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/cluster_pod_network_policy.h"
#include "lib/api/pod_network_policy.h"

namespace multinet::api {

/// On each slice: its namespace, by which nodes select those that concern their pods.
inline constexpr const char* kPolicyNamespaceLabel = "multinet.dev/policy-namespace";
inline constexpr std::size_t kMaxSliceEntries = 200;
/// A namespace's ledger is called so.
inline constexpr const char* kPolicyLedgerName = "multinet-cluster-policies";
inline constexpr std::size_t kMaxLedgerEntries = 2000;

/// A peer on one network, whose addresses stand in slices of their own.
struct PolicyHeadPeer {
  std::string podNetworkName;
  std::string peer;          ///< policy::peerHash
  std::int32_t slices = 0;   ///< how many carry it; none: nobody is that peer now
  std::int32_t members = 0;  ///< how many entries these have together
  bool operator==(const PolicyHeadPeer&) const = default;
};

struct PolicyHead {
  /// The policy's; of a default the network's. 0: the head is about to go.
  std::int64_t policyGeneration = 0;
  std::optional<PodNetworkPolicySpec> spec;                ///< the policy's; a default has none
  std::optional<ClusterPodNetworkPolicySpec> clusterSpec;  ///< instead, of one of the cluster
  std::string podNetworkName;                              ///< of a default alone: whose it is
  std::vector<PolicyHeadPeer> peers;                       ///< all that need resolving, in order
  bool operator==(const PolicyHead&) const = default;
};

struct PolicyMember {
  std::string address;
  std::optional<std::int32_t> port;  ///< the number that the peer's port has here, where it has one
  bool operator==(const PolicyMember&) const = default;
};

struct PolicyMembers {
  std::string podNetworkName;
  std::string peer;  ///< policy::peerHash
  std::vector<PolicyMember> entries;
  bool operator==(const PolicyMembers&) const = default;
};

struct PolicyLedgerEntry {
  std::string name;
  std::string uid;
  std::int64_t generation = 0;
  bool operator==(const PolicyLedgerEntry&) const = default;
};

/// Of one namespace: it was looked whether these select it, and where one does its head stands
/// there, of that generation.
struct PolicyLedger {
  std::vector<PolicyLedgerEntry> clusterPolicies;  ///< by name
  bool operator==(const PolicyLedger&) const = default;
};

struct PodNetworkPolicySlice {
  k8s::ObjectMeta metadata;
  std::string policyName;         ///< empty: of one of the cluster, a network's default, a ledger
  std::string clusterPolicyName;  ///< instead, of a ClusterPodNetworkPolicy
  /// Tells it from one made again; of a default the network's, of a ledger the namespace's.
  std::string policyUID;
  std::optional<PolicyHead> head;
  std::optional<PolicyMembers> members;  ///< of a slice that isn't the head
  std::optional<PolicyLedger> ledger;    ///< of one that is neither
  bool operator==(const PodNetworkPolicySlice&) const = default;
};

inline constexpr k8s::Kind kPodNetworkPolicySliceKind{
    "multinet.dev", "v1alpha1", "podnetworkpolicyslices", "PodNetworkPolicySlice",
    k8s::Scope::Namespaced};

}  // namespace multinet::api

template <>
struct multinet::k8s::KindTraits<multinet::api::PodNetworkPolicySlice>
    : multinet::k8s::KindNames<multinet::api::kPodNetworkPolicySliceKind> {
  static Result<api::PodNetworkPolicySlice> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const api::PodNetworkPolicySlice& object);
};
