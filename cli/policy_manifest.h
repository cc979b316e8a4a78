// Policies that aren't applied yet, as a manifest has them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/api/cluster_pod_network_policy.h"
#include "lib/base/result.h"

namespace multinet::cli {

struct PolicyManifest {
  std::vector<api::PodNetworkPolicy> policies;
  std::vector<api::ClusterPodNetworkPolicy> clusterPolicies;
};

/// All policies of a YAML or JSON text with any number of documents and Lists; `nameSpace` is for
/// those that name none. InvalidArgument: not YAML, none in it, a field that the kind doesn't have
/// (a misspelt `from` would mean everybody), one that breaks a rule, one name twice.
[[nodiscard]] Result<PolicyManifest> readPolicies(std::string_view text,
                                                  const std::string& nameSpace);

}  // namespace multinet::cli
