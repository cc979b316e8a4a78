// A kind of which only some fields are read: what a cache of many objects holds. It is the kind's
// own struct with the other members at their defaults, read by the kind's own description, so
// whatever takes the struct takes the projection. It is never written back.
//
//   inline const Fields kPodFields{"", {{"metadata", {{"name"}, {"uid"}}}, {"spec",
//   {{"nodeName"}}}}}; using SlimPod = Projection<Pod, kPodFields>;
//
// One unit includes projection_decode.h and the description, and says
// `template struct KindTraits<SlimPod>;`.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/k8s/describe.h"
#include "lib/k8s/kind.h"
#include "lib/k8s/seldom.h"

namespace multinet::k8s {

template <class T, const Fields& F>
struct Projection : T {
  Projection() = default;
  explicit Projection(T object) : T(std::move(object)) {}

  /// Why only its metadata could be read; empty where all that is asked for was. It is there all
  /// the same: who took it for gone would delete what it protects.
  Seldom<std::string> undecodable;
  bool operator==(const Projection&) const = default;
};

template <class T, const Fields& F>
struct KindTraits<Projection<T, F>> {
  static constexpr Kind kKind = KindTraits<T>::kKind;
  /// InvalidArgument where name or UID is missing, or where it is of another kind.
  static Result<Projection<T, F>> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const Projection<T, F>& /*object*/) {
    return nlohmann::json::object();
  }
};

/// Paths of `fields` that the struct's outline doesn't have; for tests.
[[nodiscard]] std::vector<std::string> strangers(const Fields& fields,
                                                 const std::vector<Property>& outline);

}  // namespace multinet::k8s
