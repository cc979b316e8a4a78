// Policies of the cluster as rules of a PodNetworkPolicy in order, each with what it does. So
// whoever finds out the addresses of one kind's peers finds those of the other's.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/api/cluster_pod_network_policy.h"
#include "lib/policy/world.h"

namespace multinet::policy {

/// In the order in which they are asked. One that decides ends it.
enum class Tier : std::uint8_t { Admin, Namespaced, Baseline, Default };

struct ClusterRule {
  std::size_t at = 0;  ///< its place in the policy
  std::string name;
  api::ClusterPolicyAction action = api::ClusterPolicyAction::Deny;
  api::PolicyRule rule;  ///< no peers: everybody, which only a rule that can't be read means
};

/// A peer's address in it is who a Source knows it by: it mustn't be moved while one compiles.
struct ClusterRules {
  Tier tier = Tier::Admin;
  std::int32_t priority = 0;
  api::ClusterPolicySubject subject;
  api::PodNetworkPolicy as;  ///< metadata, podNetworkNames: of no namespace, without rules
  std::vector<ClusterRule> ingress;
  std::vector<ClusterRule> egress;

  [[nodiscard]] const std::vector<ClusterRule>& of(api::PolicyType direction) const {
    return direction == api::PolicyType::Ingress ? ingress : egress;
  }
};

/// A rule that can't be read accepts nobody; one that denies or passes denies everybody. One that
/// denies pods is followed by another of its place, for addresses of a link, and on egress of many:
/// by these a pod is reached, and nobody is known.
[[nodiscard]] ClusterRules rulesOf(const api::ClusterPodNetworkPolicy& policy);

/// Whether it is asked before the other: by tier, priority, name.
[[nodiscard]] bool precedes(const ClusterRules& one, const ClusterRules& other);

/// Its pods as those of a rule's peer. Nothing where it can't be read: nobody.
[[nodiscard]] std::optional<api::PolicyPeer> podsOf(const api::ClusterPolicySubject& subject);
/// Whether it holds for any pods of a namespace; null: its labels aren't known. A subject that
/// can't be read holds for nobody.
[[nodiscard]] bool selectsNamespace(const api::ClusterPolicySubject& subject,
                                    const k8s::StringMap* namespaceLabels);
/// The same by the world's labels.
[[nodiscard]] bool selectsNamespace(const api::ClusterPolicySubject& subject, const World& world,
                                    std::string_view nameSpace);
/// Whether it holds for the pod's interface on the network, where it does for its namespace.
[[nodiscard]] bool selectsWithin(const ClusterRules& rules, const Pod& pod,
                                 std::string_view network);

/// All of a world's, in order.
[[nodiscard]] std::vector<ClusterRules> orderedRules(const World& world);

}  // namespace multinet::policy
