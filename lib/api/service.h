// The rules for services on networks, and what absent fields of them mean. Webhook, controller and
// CLI call the same ones.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/catalog.h"
#include "lib/api/cluster_ranges.h"
#include "lib/api/pod_network_service.h"
#include "lib/api/violation.h"

namespace multinet::api {

inline constexpr std::size_t kMaxServicePorts = 100;
inline constexpr std::size_t kMaxSelectorPairs = 16;
inline constexpr std::size_t kMaxSourceRanges = 64;
/// Of status.loadBalancer; more are cut off.
inline constexpr std::size_t kMaxIngress = 64;

/// Whose a Service or an EndpointSlice is: kube-proxy passes over a Service that carries it (label
/// kServiceProxyLabel), the core controllers over a slice (label kManagedByLabel).
inline constexpr const char* kServiceManager = "multinet.dev";
inline constexpr const char* kServiceProxyLabel = "service.kubernetes.io/service-proxy-name";
inline constexpr const char* kManagedByLabel = "endpointslice.kubernetes.io/managed-by";
inline constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";
/// Keeps a slice out of every kube-proxy.
inline constexpr const char* kHeadlessLabel = "service.kubernetes.io/headless";
/// Annotation of a Service: which of its labels are the PodNetworkService's, so that one that is
/// taken away there goes here too, and somebody else's stays.
inline constexpr const char* kLabelsOfAnnotation = "multinet.dev/labels";
/// And which of its annotations.
inline constexpr const char* kAnnotationsOfAnnotation = "multinet.dev/annotations";
/// Which network's addresses are in it.
inline constexpr const char* kNetworkLabel = "multinet.dev/network";
/// Label of a Service: spec.termination in seconds, 0 to 30, for the nodes, which read no kind of
/// ours here. Absent: kHold or kHoldByName.
inline constexpr const char* kHoldLabel = "multinet.dev/hold";

/// Condition of an interface in its pod's set while all containers of the pod are told to stop,
/// though it isn't deleted: its endpoints are terminating. Written by the pod's node.
inline constexpr const char* kDraining = "Draining";

/// Label of a Service: spec.reach where it is Cluster (`Cluster`), absent otherwise.
inline constexpr const char* kReachLabel = "multinet.dev/reach";

/// Without a word of the service's, how long clients may take to hear that an endpoint goes: nodes
/// by their watch of the slices; by a name they first use up what they know of it, 5 s from
/// CoreDNS.
inline constexpr std::chrono::seconds kHold(3);
inline constexpr std::chrono::seconds kHoldByName(6);
inline constexpr std::int32_t kMostHoldSeconds = 30;

/// How long a client keeps its endpoint after its last connection, without a word of the
/// service's; and the most that it may say. As core has both.
inline constexpr std::int32_t kAffinitySeconds = 10800;
inline constexpr std::int32_t kMostAffinitySeconds = 86400;

/// A service by itself: its name, labels, annotations, selector, ports, families.
[[nodiscard]] Report validate(const PodNetworkService& service);
/// As above, with warnings of the network: it isn't there, isn't open to the namespace, lacks a
/// family. None of them refuses, so that objects may be applied in any order.
[[nodiscard]] Report validate(const PodNetworkService& service, const Catalog& catalog);
/// As above, and the network, clusterIP and ipFamilies may not change, nor type to or from
/// ExternalName, nor a load balancer's class.
[[nodiscard]] Report validateUpdate(const PodNetworkService& before, const PodNetworkService& after,
                                    const Catalog& catalog);

/// What kHoldLabel has for it; nothing where the service leaves it to us.
[[nodiscard]] std::optional<std::string> holdLabelOf(const PodNetworkServiceSpec& service);
/// How long a pod's containers are kept from hearing that they stop, once the slices have said that
/// it goes; zero: not at all. `label` is kHoldLabel's, null where there is none.
[[nodiscard]] std::chrono::seconds holdOf(const std::string* label, bool isHeadless);

/// For how long a client keeps its endpoint, in seconds; 0: not at all.
[[nodiscard]] std::int32_t affinitySecondsOf(const PodNetworkServiceSpec& service);

/// An address of one's choice is one that the cluster's Services have. `ranges` without any of
/// Services: not known here, the API server will tell.
[[nodiscard]] Report checkClusterIP(const PodNetworkServiceSpec& spec,
                                    const std::vector<ClusterRange>& ranges);

/// Whether nodes without an endpoint of it need a gateway to its network: clients come in by any
/// node, or it reaches the cluster.
[[nodiscard]] bool needsGatewayOnEachNode(const PodNetworkServiceSpec& spec);
/// A warning where the network has too few addresses for a gateway on each of so many nodes beside
/// one pod. At most: exclusions and what others hold aren't counted.
[[nodiscard]] Violations warnOfRoom(const PodNetworkServiceSpec& spec, const PodNetwork& network,
                                    std::size_t nodes);

/// Whether a label is for Kubernetes or us to set, on Services and slices.
[[nodiscard]] bool isReservedLabel(std::string_view key);
/// Those of its annotations that go to the Service: all but kubectl's own note.
[[nodiscard]] k8s::StringMap sharedAnnotations(const k8s::StringMap& annotations);
/// A number from 1 to 65535, or a name that a container's port may have.
[[nodiscard]] bool isContainerPort(const k8s::IntOrString& port);
/// Families of the network's subnets, in their order.
[[nodiscard]] std::vector<AddressFamily> familiesOf(const PodNetwork& network);
/// In which families it has endpoints: its own, or the network's, the ClusterIP's first; as many as
/// ipFamilyPolicy says. None with ExternalName.
[[nodiscard]] std::vector<AddressFamily> familiesOf(const PodNetworkServiceSpec& service,
                                                    const PodNetwork& network);
/// The port with its targetPort filled in.
[[nodiscard]] PodNetworkServicePort withDefaults(PodNetworkServicePort port);

}  // namespace multinet::api
