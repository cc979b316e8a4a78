// The rules for policies on networks. Whoever reads a policy from outside calls the same ones.
#pragma once

#include "lib/api/catalog.h"
#include "lib/api/pod_network_policy.h"
#include "lib/api/violation.h"

namespace multinet::api {

inline constexpr std::size_t kMaxPolicyNetworks = 16;
inline constexpr std::size_t kMaxPolicyRules = 100;    ///< of each direction
inline constexpr std::size_t kMaxPolicyPeers = 100;    ///< of a rule
inline constexpr std::size_t kMaxPolicyPorts = 100;    ///< of a rule
inline constexpr std::size_t kMaxPolicyExcept = 100;   ///< of an ipBlock
inline constexpr std::size_t kMaxSelectorTerms = 16;   ///< labels of a selector, and expressions
inline constexpr std::size_t kMaxSelectorValues = 32;  ///< of an expression
/// Peers on all networks together that need resolving: as many as the head of its slices holds.
inline constexpr std::size_t kMaxPolicyResolved = 2000;
/// Addresses of its peers, those of each peer on each network added up: one peer may mean all of
/// 100,000 pods with two each. What more they are only pods tell, so no review refuses it.
inline constexpr std::size_t kMaxPolicyMembers = 200'000;
/// Of its spec in JSON: the head carries it beside its peers.
inline constexpr std::size_t kMaxPolicyBytes = std::size_t{256} * 1024;

/// A policy by itself: networks, types, selectors, blocks, ports. Warnings: rules of a direction
/// that policyTypes leaves out, and rules without peers, which mean everybody; core takes both too.
[[nodiscard]] Report validate(const PodNetworkPolicy& policy);
/// As above, with warnings of its networks: one isn't there or isn't open to the namespace, has no
/// addresses that a peer could be known by, or none of an ipBlock, is of a type whose interfaces
/// aren't held to policies, or lets addresses be forged. None of them refuses, so that objects may
/// be applied in any order.
[[nodiscard]] Report validate(const PodNetworkPolicy& policy, const Catalog& catalog);

/// Whether nodes hold interfaces on such a network to policies: at an end on the node or inside the
/// pod.
[[nodiscard]] bool isPoliced(const PodNetworkSpec& spec);
/// Whether rules of policies or port security stand inside the pod, where a container with
/// NET_ADMIN can undo them.
[[nodiscard]] bool isHeldInPod(const PodNetworkSpec& spec);

}  // namespace multinet::api
