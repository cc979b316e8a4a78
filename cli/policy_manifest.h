// Policies that aren't applied yet, as a manifest has them.
#pragma once

#include <string>
#include <vector>

#include "cli/manifest.h"
#include "lib/api/cluster_pod_network_policy.h"
#include "lib/base/result.h"

namespace multinet::cli {

struct PolicyManifest {
  std::vector<api::PodNetworkPolicy> policies;
  std::vector<api::ClusterPodNetworkPolicy> clusterPolicies;
};

/// All policies among a manifest's objects; `nameSpace` is for those that name none.
/// InvalidArgument: none is there, a field that the kind doesn't have (a misspelt `from` would mean
/// everybody), one that breaks a rule, one name twice.
[[nodiscard]] Result<PolicyManifest> policiesIn(const std::vector<Written>& objects,
                                                const std::string& nameSpace);

}  // namespace multinet::cli
