// Conditions: a list that is a map by type (metav1.Condition), and the rules of its times.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"

namespace multinet::k8s {

enum class ConditionStatus : std::uint8_t { True, False, Unknown };

struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::Unknown;
  std::int64_t observedGeneration = 0;  ///< metadata.generation that this speaks of; 0: not told
  std::optional<WallTime> lastTransitionTime;
  std::string reason;
  std::string message;
  bool operator==(const Condition&) const = default;
};

/// At most one condition a type, in the order in which they were first set.
struct Conditions {
  std::vector<Condition> items;
  bool operator==(const Conditions&) const = default;

  /// Null where there is none of that type.
  [[nodiscard]] const Condition* find(std::string_view type) const;
  [[nodiscard]] bool isTrue(std::string_view type) const;
  /// True, and said of this generation of the object: an older verdict speaks of another spec.
  [[nodiscard]] bool isTrueAt(std::string_view type, std::int64_t generation) const;
  /// Puts a condition in place of the one of its type. lastTransitionTime becomes `now` only where
  /// the status changes, whatever the caller filled in. True where anything changed, so that a
  /// caller writes only differences.
  bool set(Condition condition, WallTime now);
  /// True where there was one.
  bool remove(std::string_view type);
};

}  // namespace multinet::k8s
