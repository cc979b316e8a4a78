// PodNetworkPolicySlice: what nodes are told of one policy; written by the controller alone. To a
// PodNetworkPolicy what EndpointSlice is to a Service. No status subresource.
//
// The head of a policy carries its spec and says how many addresses its peers have; the other
// slices carry these. The head is written last, so whoever has all that it counts has all of it. A
// head without a spec is a network's default SameNamespace, in one namespace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_network_policy.h"

namespace multinet::api {

/// On each slice: its namespace, by which nodes select those that concern their pods.
inline constexpr const char* kPolicyNamespaceLabel = "multinet.dev/policy-namespace";
inline constexpr std::size_t kMaxSliceEntries = 200;

/// A peer on one network, whose addresses stand in slices of their own.
struct PolicyHeadPeer {
  std::string podNetworkName;
  std::string peer;          ///< policy::peerHash
  std::int32_t slices = 0;   ///< how many carry it; none: nobody is that peer now
  std::int32_t members = 0;  ///< how many entries these have together
  bool operator==(const PolicyHeadPeer&) const = default;
};

struct PolicyHead {
  std::int64_t policyGeneration = 0;         ///< the policy's; of a default the network's
  std::optional<PodNetworkPolicySpec> spec;  ///< the policy's; a default has none
  std::string podNetworkName;                ///< of a default alone: whose it is
  std::vector<PolicyHeadPeer> peers;         ///< all that need resolving, in order
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

struct PodNetworkPolicySlice {
  k8s::ObjectMeta metadata;
  std::string policyName;  ///< empty: of a network's default
  std::string policyUID;   ///< tells it from one made again; of a default the network's
  std::optional<PolicyHead> head;
  std::optional<PolicyMembers> members;  ///< of a slice that isn't the head
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
