// PodNetworkAttachment: how pods of its namespace attach to one PodNetwork; written by a user.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_network.h"

namespace multinet::api {

enum class DefaultGateway : std::uint8_t { None, IPv4, IPv6, Dual };
[[nodiscard]] std::string_view name(DefaultGateway gateway);

struct PodNetworkAttachmentSpec {
  std::string podNetworkName;
  /// Pods of the namespace that get it by their labels when they are created (selection.h); an
  /// empty selector: all of them. Absent: who asks for it by name.
  k8s::Seldom<std::optional<k8s::LabelSelector>> podSelector;
  k8s::Seldom<std::string> interfaceName;  ///< empty: net1, net2, ... by the place in the request
  std::optional<std::int32_t> mtu;
  k8s::Seldom<std::vector<Route>> routes;
  DefaultGateway defaultGateway = DefaultGateway::None;
  bool operator==(const PodNetworkAttachmentSpec&) const = default;
};

struct PodNetworkAttachmentStatus {
  k8s::Conditions conditions;  ///< Ready
  std::optional<std::int32_t> attachedPods;
  bool operator==(const PodNetworkAttachmentStatus&) const = default;
};

struct PodNetworkAttachment {
  k8s::ObjectMeta metadata;
  PodNetworkAttachmentSpec spec;
  PodNetworkAttachmentStatus status;
  bool operator==(const PodNetworkAttachment&) const = default;
};

inline constexpr k8s::Kind kPodNetworkAttachmentKind{
    "multinet.dev", "v1alpha1", "podnetworkattachments", "PodNetworkAttachment",
    k8s::Scope::Namespaced};

}  // namespace multinet::api

template <>
struct multinet::k8s::KindTraits<multinet::api::PodNetworkAttachment>
    : multinet::k8s::KindNames<multinet::api::kPodNetworkAttachmentKind> {
  static Result<api::PodNetworkAttachment> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const api::PodNetworkAttachment& object);
};
