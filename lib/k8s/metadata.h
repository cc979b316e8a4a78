// ObjectMeta: the fields of an object's metadata that this project reads or writes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/k8s/seldom.h"

namespace multinet::k8s {

using StringMap = std::map<std::string, std::string>;

struct OwnerReference {
  std::string apiVersion;
  std::string kind;
  std::string name;
  std::string uid;
  std::optional<bool> controller;
  std::optional<bool> blockOwnerDeletion;
  bool operator==(const OwnerReference&) const = default;
};

/// Caches hold hundreds of thousands of these, so what few objects have, or few readers keep, is
/// Seldom.
struct ObjectMeta {
  std::string name;
  Seldom<std::string> generateName;  ///< of a pod in admission the name may still be empty
  std::string nameSpace;             ///< empty for cluster-scoped kinds
  std::string uid;
  std::string resourceVersion;
  std::int64_t generation = 0;
  std::optional<WallTime> creationTimestamp;
  std::optional<WallTime> deletionTimestamp;  ///< set: the object is being deleted
  std::optional<std::int64_t> deletionGracePeriodSeconds;
  Seldom<StringMap> labels;
  Seldom<StringMap> annotations;
  Seldom<std::vector<OwnerReference>> ownerReferences;
  Seldom<std::vector<std::string>> finalizers;
  bool operator==(const ObjectMeta&) const = default;

  [[nodiscard]] bool deleting() const { return deletionTimestamp.has_value(); }
  [[nodiscard]] bool hasFinalizer(std::string_view finalizer) const;
  /// Null where there is none.
  [[nodiscard]] const std::string* annotation(const std::string& key) const;
  /// The reference with `controller: true`; null where there is none.
  [[nodiscard]] const OwnerReference* controllerRef() const;
};

}  // namespace multinet::k8s
