// PodNetworkPolicy: who may speak to whom on named networks; written by a user. It is core's
// NetworkPolicy (networking.k8s.io/v1) with podNetworkNames, and each field means what core's does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_network_service.h"
#include "lib/k8s/conditions.h"
#include "lib/k8s/int_or_string.h"
#include "lib/k8s/kind_names.h"
#include "lib/k8s/metadata.h"
#include "lib/k8s/selector.h"

namespace multinet::api {

enum class PolicyType : std::uint8_t { Ingress, Egress };

struct PolicyPort {
  Protocol protocol = Protocol::TCP;
  /// A name is that of a container's port: of the selected pod on ingress, of each peer on egress.
  /// Absent: every port of the protocol. A written 0 is kept, for the rules to refuse.
  std::optional<k8s::IntOrString> port;
  std::optional<std::int32_t> endPort;  ///< with a number alone: `port` to `endPort`, both too
  bool operator==(const PolicyPort&) const = default;
};

struct PolicyIpBlock {
  std::string cidr;
  std::vector<std::string> except;  ///< taken from this block alone, never from another peer
  bool operator==(const PolicyIpBlock&) const = default;
};

/// An ipBlock, or selectors. With both selectors: pods that match, of namespaces that match;
/// podSelector alone: of the policy's namespace; namespaceSelector alone: all pods of these.
struct PolicyPeer {
  std::optional<k8s::LabelSelector> podSelector;
  std::optional<k8s::LabelSelector> namespaceSelector;
  std::optional<PolicyIpBlock> ipBlock;
  bool operator==(const PolicyPeer&) const = default;
};

/// Of either direction: `peers` is `from` or `to`. No peers: everybody. No ports: every protocol.
struct PolicyRule {
  std::vector<PolicyPeer> peers;
  std::vector<PolicyPort> ports;
  bool operator==(const PolicyRule&) const = default;
};

/// A rule with `from`.
struct PolicyIngressRule : PolicyRule {
  bool operator==(const PolicyIngressRule&) const = default;
};
/// A rule with `to`.
struct PolicyEgressRule : PolicyRule {
  bool operator==(const PolicyEgressRule&) const = default;
};

struct PodNetworkPolicySpec {
  std::vector<std::string> podNetworkNames;  ///< 1 to 16; its interfaces on other networks, and
                                             ///< eth0, are no business of the policy's
  k8s::LabelSelector podSelector;            ///< of its namespace; empty: every pod
  std::vector<PolicyType> policyTypes;       ///< empty: see isolates()
  std::vector<PolicyIngressRule> ingress;
  std::vector<PolicyEgressRule> egress;
  bool operator==(const PodNetworkPolicySpec&) const = default;

  /// Whether selected interfaces are isolated in a direction. Without policyTypes, as core has it:
  /// on ingress always, on egress where there is a rule for it.
  [[nodiscard]] bool isolates(PolicyType direction) const;
};

/// Interfaces of pods that haven't finished, on networks that the policy names.
struct PolicyInterfaceCounts {
  std::int32_t selected = 0;
  std::int32_t enforced = 0;  ///< of those: their nodes say that they hold them to it
  bool operator==(const PolicyInterfaceCounts&) const = default;
};

struct PodNetworkPolicyStatus {
  k8s::Conditions conditions;  ///< Accepted, PeersResolved, Enforced
  std::optional<PolicyInterfaceCounts> interfaces;
  /// Which aren't, at most kMaxNotEnforced: `pod shop/db-2 net1: PodMayChangeRules`.
  std::vector<std::string> notEnforced;
  bool operator==(const PodNetworkPolicyStatus&) const = default;
};
inline constexpr std::size_t kMaxNotEnforced = 10;

struct PodNetworkPolicy {
  k8s::ObjectMeta metadata;
  PodNetworkPolicySpec spec;
  PodNetworkPolicyStatus status;
  bool operator==(const PodNetworkPolicy&) const = default;
};

inline constexpr k8s::Kind kPodNetworkPolicyKind{"multinet.dev", "v1alpha1", "podnetworkpolicies",
                                                 "PodNetworkPolicy", k8s::Scope::Namespaced};

}  // namespace multinet::api

template <>
struct multinet::k8s::KindTraits<multinet::api::PodNetworkPolicy>
    : multinet::k8s::KindNames<multinet::api::kPodNetworkPolicyKind> {
  static Result<api::PodNetworkPolicy> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const api::PodNetworkPolicy& object);
};
