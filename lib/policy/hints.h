// What a policy likely says by mistake, where pods show it. Its own rules say the rest
// (lib/api/policy.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/api/violation.h"
#include "lib/policy/world.h"

namespace multinet::policy {

/// A port that a rule for ingress names: a selected pod is to have it.
struct WantedPort {
  std::string path;  ///< of the field: `spec.ingress[0].ports[1].port`
  std::string name;
  std::optional<api::Protocol> protocol;  ///< nothing: of whichever
  std::string so;                         ///< what the rule does where none has it
};
/// None of a policy that doesn't isolate on ingress. On egress names are of each peer's own ports,
/// of whom some may well have none.
[[nodiscard]] std::vector<WantedPort> wantedPorts(const api::PodNetworkPolicy& policy);
[[nodiscard]] std::vector<WantedPort> wantedPorts(const api::ClusterPodNetworkPolicy& policy);
[[nodiscard]] bool has(const k8s::Pod& pod, const WantedPort& port);
/// That no pod which the policy selects has it.
[[nodiscard]] api::Violation notFound(const WantedPort& port);

/// Names of ports that no selected pod has, where any is selected; selectors that match none but
/// `hostPods`, which are in their node's network (hostNetwork) and so on no other.
[[nodiscard]] api::Violations hintsOf(const api::PodNetworkPolicy& policy, const World& world,
                                      const std::vector<Pod>& hostPods);
[[nodiscard]] api::Violations hintsOf(const api::ClusterPodNetworkPolicy& policy,
                                      const World& world, const std::vector<Pod>& hostPods);

}  // namespace multinet::policy
