// In which zone a node is.
#pragma once

#include <string>

#include "lib/k8s/core.h"

namespace multinet::k8s {

inline constexpr const char* kZoneLabel = "topology.kubernetes.io/zone";

/// Empty where its labels name none.
[[nodiscard]] inline std::string zoneOf(const Node& node) {
  const StringMap& labels = *node.metadata.labels;
  const auto found = labels.find(kZoneLabel);
  return found == labels.end() ? std::string() : found->second;
}

}  // namespace multinet::k8s
