// Which endpoints a service on a network has: of its pods on that network, with their addresses
// there, as the EndpointSlice API means ready, serving and terminating.
#pragma once

#include <string>
#include <vector>

#include "lib/api/pod_network_service.h"
#include "lib/k8s/core.h"

namespace multinet::controller {

/// A pod that the service selects, its interface on the service's network, and its node; they
/// outlive it.
struct PodOnNetwork {
  const k8s::Pod* pod = nullptr;
  const api::PodInterface* interface = nullptr;
  const k8s::Node* node = nullptr;  ///< null: not there
};

struct WantedEndpoint {
  std::string addressType;               ///< IPv4 or IPv6
  std::vector<k8s::EndpointPort> ports;  ///< one slice has one list of them
  k8s::Endpoint endpoint;
  bool operator==(const WantedEndpoint&) const = default;
};

/// Pure. In the order of the pods; of each its first address of each family. A pod whose
/// containers don't run again has none. A port by a name that a pod's containers don't have is left
/// out for that pod, as core does it. `standing` is the Service as it stands. By its
/// spec.trafficDistribution endpoints that are ready are hinted for their zone, with PreferSameNode
/// for their node, too (k8s.io/endpointslice/trafficdist). Where the service has a health check,
/// one serves if its node says that it is healthy, by the name and UID of `standing`; the last word
/// counts, however old: an agent that is away takes no endpoint out.
[[nodiscard]] std::vector<WantedEndpoint> endpointsOf(
    const api::PodNetworkServiceSpec& service, const std::vector<api::AddressFamily>& families,
    const std::vector<PodOnNetwork>& pods, const k8s::Service& standing);

}  // namespace multinet::controller
