// PodNetworkService: a Service on one PodNetwork; written by a user. The controller makes a core
// Service without a selector of it, and EndpointSlices with addresses of that network alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/health_check.h"
#include "lib/api/pod_interface_set.h"
#include "lib/k8s/core.h"
#include "lib/k8s/int_or_string.h"

namespace multinet::api {

/// Core's. ExternalName: a name for another name; no pods.
enum class ServiceType : std::uint8_t { ClusterIP, NodePort, LoadBalancer, ExternalName };
/// Of how many families the Service is, as core means it.
enum class FamilyPolicy : std::uint8_t { SingleStack, PreferDualStack, RequireDualStack };
/// Whose endpoints a client is given: all, or those of its own node, from outside of the node that
/// it comes to.
enum class TrafficPolicy : std::uint8_t { Cluster, Local };
/// Whether a client that connects again gets the endpoint that it had.
enum class SessionAffinity : std::uint8_t { None, ClientIP };
/// Which endpoints a client is rather given. PreferClose is core's older word for PreferSameZone.
enum class TrafficDistribution : std::uint8_t { PreferClose, PreferSameZone, PreferSameNode };
/// Who reaches a ClusterIP: pods on the network, or all pods and nodes of the cluster.
enum class Reach : std::uint8_t { Network, Cluster };
enum class Protocol : std::uint8_t { TCP, UDP, SCTP };
/// Whether containers of a pod that is deleted are told to stop only once it has left the service.
enum class TerminationHold : std::uint8_t { Auto, Off };

struct PodNetworkServicePort {
  std::string name;  ///< may be empty where it is the only one
  Protocol protocol = Protocol::TCP;
  std::int32_t port = 0;
  k8s::IntOrString targetPort;  ///< a name is that of a container's port; absent: `port`
  std::string appProtocol;
  std::int32_t nodePort = 0;  ///< with NodePort and LoadBalancer alone; 0: one is allocated
  bool operator==(const PodNetworkServicePort&) const = default;
};

struct ClientIpAffinity {
  std::optional<std::int32_t> timeoutSeconds;  ///< 1 to 86400; absent: kAffinitySeconds, service.h
  bool operator==(const ClientIpAffinity&) const = default;
};
/// Shaped as core's.
struct SessionAffinityConfig {
  std::optional<ClientIpAffinity> clientIP;
  bool operator==(const SessionAffinityConfig&) const = default;
};

/// How long clients may take to hear that an endpoint goes, before its processes do.
struct PodNetworkServiceTermination {
  TerminationHold hold = TerminationHold::Auto;
  std::optional<std::int32_t> seconds;  ///< 1 to 30; absent: as the service is, see service.h
  bool operator==(const PodNetworkServiceTermination&) const = default;
};

struct PodNetworkServiceSpec {
  std::string podNetworkName;  ///< never changes
  k8s::StringMap selector;     ///< empty with ExternalName alone
  ServiceType type = ServiceType::ClusterIP;
  std::string externalName;               ///< with type ExternalName alone
  std::string clusterIP;                  ///< `None`: headless. Empty: allocated. Never changes
  std::vector<AddressFamily> ipFamilies;  ///< empty: those of the network. Never changes
  std::optional<FamilyPolicy> ipFamilyPolicy;  ///< absent: as many as there are families
  std::vector<PodNetworkServicePort> ports;
  bool publishNotReadyAddresses = false;
  SessionAffinity sessionAffinity = SessionAffinity::None;
  std::optional<SessionAffinityConfig> sessionAffinityConfig;  ///< with ClientIP alone
  TrafficPolicy internalTrafficPolicy = TrafficPolicy::Cluster;
  std::optional<TrafficDistribution> trafficDistribution;  ///< absent: it doesn't matter
  std::optional<TrafficPolicy> externalTrafficPolicy;      ///< where isExposed(); absent: Cluster
  std::string loadBalancerClass;                      ///< as the next two with LoadBalancer alone
  std::vector<std::string> loadBalancerSourceRanges;  ///< prefixes; empty: from everywhere
  std::optional<bool> allocateLoadBalancerNodePorts;  ///< absent: true
  Reach reach = Reach::Network;
  std::optional<PodNetworkServiceTermination> termination;
  std::optional<HealthCheck> healthCheck;  ///< absent: a pod that is Ready is healthy
  bool operator==(const PodNetworkServiceSpec&) const = default;

  [[nodiscard]] bool isHeadless() const { return clusterIP == "None"; }
  [[nodiscard]] bool isExternalName() const { return type == ServiceType::ExternalName; }
  [[nodiscard]] bool isLoadBalancer() const { return type == ServiceType::LoadBalancer; }
  /// To who isn't in the cluster.
  [[nodiscard]] bool isExposed() const { return type == ServiceType::NodePort || isLoadBalancer(); }
};

/// As the EndpointSlices say it; one endpoint is one pod in one family.
struct EndpointCounts {
  std::int32_t ready = 0;
  std::int32_t serving = 0;
  std::int32_t terminating = 0;
  bool operator==(const EndpointCounts&) const = default;
};

struct PodNetworkServiceStatus {
  k8s::Conditions conditions;  ///< Ready, Endpoints, LoadBalancer
  std::vector<std::string> clusterIPs;
  std::vector<std::int32_t> nodePorts;  ///< of spec.ports, in their order; 0: it has none
  std::optional<EndpointCounts> endpoints;
  k8s::Seldom<k8s::LoadBalancerStatus> loadBalancer;  ///< as the Service has it
  bool operator==(const PodNetworkServiceStatus&) const = default;
};

struct PodNetworkService {
  k8s::ObjectMeta metadata;
  PodNetworkServiceSpec spec;
  PodNetworkServiceStatus status;
  bool operator==(const PodNetworkService&) const = default;
};

inline constexpr k8s::Kind kPodNetworkServiceKind{"multinet.dev", "v1alpha1", "podnetworkservices",
                                                  "PodNetworkService", k8s::Scope::Namespaced};

}  // namespace multinet::api

template <>
struct multinet::k8s::KindTraits<multinet::api::PodNetworkService>
    : multinet::k8s::KindNames<multinet::api::kPodNetworkServiceKind> {
  static Result<api::PodNetworkService> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const api::PodNetworkService& object);
};
