// Which kind and which object, as values: what calls that know no types are told.
#pragma once

#include <simdjson.h>
#include <compare>
#include <concepts>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/k8s/kind.h"

namespace multinet::kube {

using Json = nlohmann::json;
using k8s::KindTraits;

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

/// A struct for which lib/k8s/kind.h's traits are specialised.
template <class T>
concept HasKind = requires(const T& object, const simdjson::dom::element& json) {
  { KindTraits<T>::namespaced } -> std::convertible_to<bool>;
  { KindTraits<T>::decode(json) } -> std::same_as<Result<T>>;
  { KindTraits<T>::encode(object) } -> std::same_as<Json>;
};

template <HasKind T>
[[nodiscard]] constexpr Kind kindOf() {
  return {KindTraits<T>::group, KindTraits<T>::version, KindTraits<T>::plural, KindTraits<T>::kind,
          KindTraits<T>::namespaced ? Scope::Namespaced : Scope::Cluster};
}

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

}  // namespace multinet::kube

template <>
struct std::hash<multinet::kube::ObjectKey> {
  std::size_t operator()(const multinet::kube::ObjectKey& key) const {
    return std::hash<std::string>()(key.nameSpace) * 31U + std::hash<std::string>()(key.name);
  }
};
