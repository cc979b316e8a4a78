// PodInterfaceSet: what one pod got, one entry an interface; written by the pod's node. Every other
// view is derived from it. No status subresource: its fields stand at the top, as in EndpointSlice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_network_attachment.h"

namespace multinet::api {

enum class LinkState : std::uint8_t { Up, Down, Unknown };
enum class AddressFamily : std::uint8_t { IPv4, IPv6 };
/// Where policies hold an interface: nowhere, at the node's end of it, in the pod.
enum class PolicyPlace : std::uint8_t { None, Node, Pod };

struct PodReference {
  std::string name;
  std::string uid;
  bool operator==(const PodReference&) const = default;
};

struct PodInterfaceAddress {
  std::string address;  ///< with the subnet's length: 10.20.0.5/16
  std::string gateway;  ///< of the subnet; empty: none
  AddressFamily family = AddressFamily::IPv4;
  bool operator==(const PodInterfaceAddress&) const = default;
};

/// What a Service's health check of this interface found, said when it becomes another. What isn't
/// here wasn't found out yet. Written by the pod's node for Services with kHealthCheckAnnotation
/// (service.h) that select the pod; the controller leaves the endpoint out of that Service alone.
struct InterfaceHealth {
  std::string service;     ///< of the pod's namespace
  std::string serviceUID;  ///< of the core Service; tells it from one made again under its name
  bool healthy = false;
  std::string reason;   ///< CamelCase: Answered, Refused, TimedOut, ...
  std::string message;  ///< what was asked and what came back
  bool operator==(const InterfaceHealth&) const = default;
};
/// More Services with a check aren't looked at for one interface.
inline constexpr std::size_t kMostHealth = 64;

/// Whether policies, and the network's default, hold for an interface. Said once they say anything
/// of it; doubt is never enforced.
struct InterfacePolicy {
  bool enforced = false;
  PolicyPlace where = PolicyPlace::None;
  std::string reason;   ///< CamelCase: Enforced, PeersPending, CommitFailed, KernelLacks, ...
  std::string message;  ///< what is missing and what mends it
  bool operator==(const InterfacePolicy&) const = default;
};

struct PodInterface {
  std::string name;
  std::string podNetworkName;
  std::string podNetworkUID;   ///< tells a network from one made again under its name; may be empty
  std::string attachmentName;  ///< empty: the pod named the network itself
  NetworkType type = NetworkType::Bridge;
  std::string mac;
  std::int32_t mtu = 0;
  LinkState linkState = LinkState::Unknown;
  std::vector<PodInterfaceAddress> ips;
  k8s::Seldom<std::vector<Route>> routes;
  DefaultGateway defaultGateway = DefaultGateway::None;
  k8s::Conditions conditions;  ///< Attached, Ready
  std::optional<WallTime> attachedAt;
  k8s::Seldom<std::vector<InterfaceHealth>> health;  ///< by service
  k8s::Seldom<InterfacePolicy> policy;               ///< empty: none says anything of it
  bool operator==(const PodInterface&) const = default;
};

struct PodInterfaceSet {
  k8s::ObjectMeta metadata;
  PodReference pod;
  std::string nodeName;
  k8s::Seldom<std::string> sandboxID;
  std::vector<PodInterface> interfaces;
  bool operator==(const PodInterfaceSet&) const = default;
};

inline constexpr k8s::Kind kPodInterfaceSetKind{"multinet.dev", "v1alpha1", "podinterfacesets",
                                                "PodInterfaceSet", k8s::Scope::Namespaced};

}  // namespace multinet::api

template <>
struct multinet::k8s::KindTraits<multinet::api::PodInterfaceSet>
    : multinet::k8s::KindNames<multinet::api::kPodInterfaceSetKind> {
  static Result<api::PodInterfaceSet> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const api::PodInterfaceSet& object);
};
