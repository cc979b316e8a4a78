// How a struct says which Kubernetes kind it is, so that lib/kube moves objects without knowing
// any.
#pragma once

#include <compare>
#include <concepts>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace simdjson::dom {
class element;  // NOLINT(readability-identifier-naming)
}  // namespace simdjson::dom

namespace multinet::k8s {

enum class Scope { Cluster, Namespaced };

/// Where a kind stands in the API. `group` is empty for the core group.
struct Kind {
  std::string_view group;
  std::string_view version;
  std::string_view plural;
  std::string_view kind;
  Scope scope = Scope::Namespaced;

  /// `multinet.dev/v1alpha1`, or `v1` for the core group: what stands in `apiVersion`.
  [[nodiscard]] std::string apiVersion() const {
    return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
  }
};

/// Specialised once for each struct that is sent to or read from the API server:
///
///   template <> struct multinet::k8s::KindTraits<api::PodNetwork> {
///     static constexpr Kind kKind{"multinet.dev", "v1alpha1", "podnetworks", "PodNetwork",
///                                 Scope::Cluster};
///     static Result<api::PodNetwork> decode(const simdjson::dom::element& object);
///     static nlohmann::json encode(const api::PodNetwork& object);
///   };
///
/// `encode` writes metadata too; apiVersion and kind are added by the client where they are absent.
/// `decode` keeps only what is used; an object of a newer schema decodes.
template <class T>
struct KindTraits;

template <class T>
concept HasKind = requires(const T& object, const simdjson::dom::element& json) {
  { KindTraits<T>::kKind } -> std::convertible_to<Kind>;
  { KindTraits<T>::decode(json) } -> std::same_as<Result<T>>;
  { KindTraits<T>::encode(object) } -> std::same_as<nlohmann::json>;
};

/// Which object of a kind. `nameSpace` is empty for objects of the cluster.
struct ObjectKey {
  std::string nameSpace;
  std::string name;

  /// `namespace/name`, or `name` alone.
  [[nodiscard]] std::string str() const {
    return nameSpace.empty() ? name : nameSpace + "/" + name;
  }
  auto operator<=>(const ObjectKey&) const = default;
};

}  // namespace multinet::k8s

template <>
struct std::hash<multinet::k8s::ObjectKey> {
  std::size_t operator()(const multinet::k8s::ObjectKey& key) const {
    return std::hash<std::string>()(key.nameSpace) * 31U + std::hash<std::string>()(key.name);
  }
};
