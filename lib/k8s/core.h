// The few fields that we read of Kubernetes' own kinds. Never write one of these back: what isn't
// read here would be lost; change them by patch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/k8s/conditions.h"
#include "lib/k8s/int_or_string.h"
#include "lib/k8s/kind_names.h"
#include "lib/k8s/metadata.h"

namespace multinet::k8s {

struct PodReadinessGate {
  std::string conditionType;
  bool operator==(const PodReadinessGate&) const = default;
};

struct ContainerPort {
  std::string name;
  std::int32_t containerPort = 0;
  std::string protocol;  ///< TCP where the server filled it in
  bool operator==(const ContainerPort&) const = default;
};

struct Capabilities {
  std::vector<std::string> add;  ///< without `CAP_`; ALL: all of them
  bool operator==(const Capabilities&) const = default;
};

struct SecurityContext {
  bool privileged = false;
  Capabilities capabilities;
  bool operator==(const SecurityContext&) const = default;
};

struct Container {
  std::vector<ContainerPort> ports;
  std::string restartPolicy;  ///< of an init container: Always makes it a sidecar
  Seldom<std::string> name{};
  Seldom<SecurityContext> securityContext{};
  bool operator==(const Container&) const = default;
};

struct PodSpec {
  std::string nodeName;  ///< empty: not scheduled
  bool hostNetwork = false;
  Seldom<std::string> serviceAccountName;
  Seldom<std::vector<PodReadinessGate>> readinessGates;
  Seldom<std::string> hostname;  ///< empty: the pod's name
  std::vector<Container> containers;
  Seldom<std::vector<Container>> initContainers;
  Seldom<std::vector<Container>> ephemeralContainers;  ///< added to a pod that runs
  bool operator==(const PodSpec&) const = default;
};

struct PodIp {
  std::string ip;
  bool operator==(const PodIp&) const = default;
};

struct PodStatus {
  std::string phase;  ///< Pending, Running, Succeeded, Failed, Unknown
  Seldom<std::string> podIP;
  Seldom<std::vector<PodIp>> podIPs;
  Conditions conditions;
  bool operator==(const PodStatus&) const = default;
};

struct Pod {
  ObjectMeta metadata;
  PodSpec spec;
  PodStatus status;
  bool operator==(const Pod&) const = default;

  /// Succeeded or Failed: its containers will not run again.
  [[nodiscard]] bool finished() const;
  /// The kubelet's picture of a static pod (annotation `kubernetes.io/config.mirror`).
  [[nodiscard]] bool isMirror() const;
  [[nodiscard]] bool hasReadinessGate(std::string_view conditionType) const;
};

struct NodeAddress {
  std::string type;  ///< InternalIP, Hostname, ...
  std::string address;
  bool operator==(const NodeAddress&) const = default;
};

struct Taint {
  std::string key;
  std::string value;
  std::string effect;
  bool operator==(const Taint&) const = default;
};

struct NodeSpec {
  bool unschedulable = false;
  std::vector<std::string> podCIDRs;  ///< one of each family; empty where nobody allocates them
  std::vector<Taint> taints;
  bool operator==(const NodeSpec&) const = default;
};

struct NodeStatus {
  std::vector<NodeAddress> addresses;
  Conditions conditions;
  bool operator==(const NodeStatus&) const = default;
};

struct Node {
  ObjectMeta metadata;
  NodeSpec spec;
  NodeStatus status;
  bool operator==(const Node&) const = default;
};

struct NamespaceStatus {
  std::string phase;  ///< Active or Terminating
  bool operator==(const NamespaceStatus&) const = default;
};

struct Namespace {
  ObjectMeta metadata;
  NamespaceStatus status;
  bool operator==(const Namespace&) const = default;
};

struct ServiceCidrSpec {
  std::vector<std::string> cidrs;  ///< one of each family
  bool operator==(const ServiceCidrSpec&) const = default;
};

/// A range of the Services' addresses; its objects say all of them. Kubernetes 1.33 and later.
struct ServiceCidr {
  ObjectMeta metadata;
  ServiceCidrSpec spec;
  bool operator==(const ServiceCidr&) const = default;
};

struct ServicePort {
  std::string name;
  std::string protocol;
  std::int32_t port = 0;
  IntOrString targetPort;
  std::string appProtocol;
  std::int32_t nodePort = 0;  ///< 0: none
  bool operator==(const ServicePort&) const = default;
};

struct ClientIpConfig {
  std::optional<std::int32_t> timeoutSeconds;
  bool operator==(const ClientIpConfig&) const = default;
};

struct SessionAffinityConfig {
  std::optional<ClientIpConfig> clientIP;
  bool operator==(const SessionAffinityConfig&) const = default;
};

struct ServiceSpec {
  std::string type;
  std::string clusterIP;  ///< `None`: headless
  std::vector<std::string> clusterIPs;
  std::vector<std::string> ipFamilies;
  std::string ipFamilyPolicy;
  StringMap selector;
  std::vector<ServicePort> ports;
  bool publishNotReadyAddresses = false;
  Seldom<std::string> sessionAffinity;                         ///< None or ClientIP
  std::optional<SessionAffinityConfig> sessionAffinityConfig;  ///< with ClientIP alone
  std::string internalTrafficPolicy;                           ///< Cluster or Local
  Seldom<std::string> trafficDistribution;    ///< PreferSameZone, ...; empty: it doesn't matter
  std::string externalName;                   ///< of type ExternalName
  Seldom<std::string> externalTrafficPolicy;  ///< of NodePort and LoadBalancer: Cluster or Local
  std::int32_t healthCheckNodePort = 0;       ///< of LoadBalancer with Local alone
  Seldom<std::string> loadBalancerClass;
  Seldom<std::vector<std::string>> loadBalancerSourceRanges;
  std::optional<bool> allocateLoadBalancerNodePorts;  ///< of LoadBalancer alone
  bool operator==(const ServiceSpec&) const = default;
};

struct LoadBalancerPort {
  std::int32_t port = 0;
  std::string protocol;
  std::string error;  ///< empty: it works
  bool operator==(const LoadBalancerPort&) const = default;
};

struct LoadBalancerIngress {
  std::string ip;
  std::string hostname;  ///< where the load balancer has a name instead
  std::string ipMode;    ///< VIP: frames arrive with this address; Proxy: with a node's
  std::vector<LoadBalancerPort> ports;
  bool operator==(const LoadBalancerIngress&) const = default;
};

/// Written by load balancer controllers.
struct LoadBalancerStatus {
  std::vector<LoadBalancerIngress> ingress;
  bool operator==(const LoadBalancerStatus&) const = default;
};

struct ServiceStatus {
  LoadBalancerStatus loadBalancer;
  bool operator==(const ServiceStatus&) const = default;
};

struct Service {
  ObjectMeta metadata;
  ServiceSpec spec;
  Seldom<ServiceStatus> status;
  bool operator==(const Service&) const = default;
};

/// Absent is not the same as false to all readers, so all three are written.
struct EndpointConditions {
  std::optional<bool> ready;
  std::optional<bool> serving;
  std::optional<bool> terminating;
  bool operator==(const EndpointConditions&) const = default;
};

struct ObjectReference {
  std::string kind;
  std::string nameSpace;
  std::string name;
  std::string uid;
  bool operator==(const ObjectReference&) const = default;
};

/// For which zone or node an endpoint is.
struct HintedFor {
  std::string name;
  bool operator==(const HintedFor&) const = default;
};

struct EndpointHints {
  std::vector<HintedFor> forZones;
  std::vector<HintedFor> forNodes;
  bool operator==(const EndpointHints&) const = default;
};

struct Endpoint {
  std::vector<std::string> addresses;
  EndpointConditions conditions;
  std::string hostname;
  std::string nodeName;
  Seldom<std::string> zone;  ///< of its node
  Seldom<EndpointHints> hints;
  std::optional<ObjectReference> targetRef;
  bool operator==(const Endpoint&) const = default;
};

struct EndpointPort {
  std::string name;
  std::string protocol;
  std::optional<std::int32_t> port;
  std::string appProtocol;
  auto operator<=>(const EndpointPort&) const = default;
};

/// At most 100 endpoints of one family that have the same ports. What is made here is ours whole,
/// so it may be written whole.
struct EndpointSlice {
  ObjectMeta metadata;
  std::string addressType;  ///< IPv4 or IPv6; never changes
  std::vector<Endpoint> endpoints;
  std::vector<EndpointPort> ports;
  bool operator==(const EndpointSlice&) const = default;
};

inline constexpr Kind kPodKind{"", "v1", "pods", "Pod", Scope::Namespaced};
template <>
struct KindTraits<Pod> : KindNames<kPodKind> {
  static Result<Pod> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const Pod& object);
};
inline constexpr Kind kNodeKind{"", "v1", "nodes", "Node", Scope::Cluster};
template <>
struct KindTraits<Node> : KindNames<kNodeKind> {
  static Result<Node> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const Node& object);
};
inline constexpr Kind kNamespaceKind{"", "v1", "namespaces", "Namespace", Scope::Cluster};
template <>
struct KindTraits<Namespace> : KindNames<kNamespaceKind> {
  static Result<Namespace> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const Namespace& object);
};
inline constexpr Kind kServiceKind{"", "v1", "services", "Service", Scope::Namespaced};
template <>
struct KindTraits<Service> : KindNames<kServiceKind> {
  static Result<Service> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const Service& object);
};
inline constexpr Kind kEndpointSliceKind{"discovery.k8s.io", "v1", "endpointslices",
                                         "EndpointSlice", Scope::Namespaced};
template <>
struct KindTraits<EndpointSlice> : KindNames<kEndpointSliceKind> {
  static Result<EndpointSlice> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const EndpointSlice& object);
};
inline constexpr Kind kServiceCidrKind{"networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR",
                                       Scope::Cluster};
template <>
struct KindTraits<ServiceCidr> : KindNames<kServiceCidrKind> {
  static Result<ServiceCidr> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const ServiceCidr& object);
};

}  // namespace multinet::k8s
