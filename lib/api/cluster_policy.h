// The rules for policies of the cluster on networks. Whoever reads one from outside calls the same.
#pragma once

#include "lib/api/catalog.h"
#include "lib/api/cluster_pod_network_policy.h"
#include "lib/api/violation.h"

namespace multinet::api {

inline constexpr std::int32_t kMaxClusterPolicyPriority = 1000;
inline constexpr std::size_t kMaxClusterPolicyRules = 25;      ///< of each direction
inline constexpr std::size_t kMaxClusterPolicyPeers = 25;      ///< of a rule
inline constexpr std::size_t kMaxClusterPolicyProtocols = 25;  ///< of a rule
inline constexpr std::size_t kMaxClusterPolicyBlocks = 25;     ///< of a peer
inline constexpr std::size_t kMaxClusterPolicyRuleName = 100;  ///< characters

/// A policy by itself. Warning: one without rules.
[[nodiscard]] Report validate(const ClusterPodNetworkPolicy& policy);
/// As above, with warnings of its networks; see PodNetworkPolicy's.
[[nodiscard]] Report validate(const ClusterPodNetworkPolicy& policy, const Catalog& catalog);

}  // namespace multinet::api
