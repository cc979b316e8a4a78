// Our own messages, made of the agent's words.
#pragma once

#include <string>
#include <vector>

#include "nodeagent/model/interface.h"
#include "proto/cri-multinet/v1alpha1/pod_networks.pb.h"

namespace multinet::agent::cri {

namespace wire = multinet::cri::v1alpha1;

/// The schema that this agent writes and the newest that it reads.
inline constexpr unsigned kSchemaVersion = 1;

[[nodiscard]] wire::PodNetworksConfig configOf(const std::vector<InterfacePlan>& interfaces);
[[nodiscard]] wire::PodNetworksStatus statusOf(const std::vector<InterfaceStatus>& interfaces,
                                               const std::string& bootId);
[[nodiscard]] wire::MultiNetworkFeatures features();

}  // namespace multinet::agent::cri
