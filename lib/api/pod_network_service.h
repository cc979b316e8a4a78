// PodNetworkService: a Service on one PodNetwork; written by a user. The controller makes a core
// Service without a selector of it, and EndpointSlices with addresses of that network alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_interface_set.h"
#include "lib/k8s/int_or_string.h"

namespace multinet::api {

/// The words of core that work so far. ExternalName: a name for another name; no pods.
enum class ServiceType : std::uint8_t { ClusterIP, ExternalName };
/// Of how many families the Service is, as core means it.
enum class FamilyPolicy : std::uint8_t { SingleStack, PreferDualStack, RequireDualStack };
/// Whose endpoints a client is given by a ClusterIP: all, or those of its own node.
enum class TrafficPolicy : std::uint8_t { Cluster, Local };
/// Whether a client that connects again gets the endpoint that it had.
enum class SessionAffinity : std::uint8_t { None, ClientIP };
/// Which endpoints a client is rather given. PreferClose is core's older word for PreferSameZone.
enum class TrafficDistribution : std::uint8_t { PreferClose, PreferSameZone, PreferSameNode };
enum class Protocol : std::uint8_t { TCP, UDP, SCTP };
/// Whether containers of a pod that is deleted are told to stop only once it has left the service.
enum class TerminationHold : std::uint8_t { Auto, Off };

struct PodNetworkServicePort {
  std::string name;  ///< may be empty where it is the only one
  Protocol protocol = Protocol::TCP;
  std::int32_t port = 0;
  k8s::IntOrString targetPort;  ///< a name is that of a container's port; absent: `port`
  std::string appProtocol;
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
  std::optional<PodNetworkServiceTermination> termination;
  bool operator==(const PodNetworkServiceSpec&) const = default;

  [[nodiscard]] bool isHeadless() const { return clusterIP == "None"; }
  [[nodiscard]] bool isExternalName() const { return type == ServiceType::ExternalName; }
};

/// As the EndpointSlices say it; one endpoint is one pod in one family.
struct EndpointCounts {
  std::int32_t ready = 0;
  std::int32_t serving = 0;
  std::int32_t terminating = 0;
  bool operator==(const EndpointCounts&) const = default;
};

struct PodNetworkServiceStatus {
  k8s::Conditions conditions;  ///< Ready, Endpoints
  std::vector<std::string> clusterIPs;
  std::optional<EndpointCounts> endpoints;
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
