// What policies are judged by, as the cluster has it now.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "cli/policy.h"
#include "cli/policy_manifest.h"
#include "cli/service_trace.h"
#include "lib/kube/client.h"
#include "lib/policy/hints.h"

namespace multinet::cli {

struct Seen {
  policy::World world;
  std::vector<api::PodNetwork> networks;
  std::vector<policy::Pod> hostPods;  ///< in their node's network, which are no part of the world
  std::set<policy::PodKey> others;    ///< pods on no network of which anything is reported
};

/// Pods with their addresses, namespaces and networks; no policies.
[[nodiscard]] Result<Seen> look(kube::RawClient& client);

/// `text` is an address, or a pod as NAME, pod/NAME or NAMESPACE/NAME; `nameSpace` is of a NAME.
/// NotFound: no such pod, or none with an address on the network.
[[nodiscard]] Result<Endpoint> endpointOf(const std::string& text, const std::string& nameSpace,
                                          const Seen& seen, const std::string& network);

/// Policies that stand, of namespaces and of the cluster, but for those that `written` has anew.
[[nodiscard]] Status addPolicies(kube::RawClient& client, PolicyManifest written,
                                 policy::World& world);

/// Nothing but what is on one network.
[[nodiscard]] policy::World onNetwork(const std::string& network, policy::World world);

/// Of one network, as the API has it (null: it may not be read). Pods are asked for only where a
/// policy or the network's default is about them. What fails becomes `unseen`.
[[nodiscard]] PolicyView viewOf(kube::RawClient& client, const std::string& name,
                                const nlohmann::json& network);

}  // namespace multinet::cli
