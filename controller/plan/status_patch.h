// The difference between two statuses, for who includes the kind's description
// (lib/api/describe.h).
#pragma once

#include "lib/k8s/describe.h"
#include "lib/k8s/merge_patch.h"

namespace multinet::controller {

/// The merge patch of an object that makes its status `after`; empty where nothing differs.
template <class Status>
[[nodiscard]] nlohmann::json statusPatch(const Status& before, const Status& after) {
  if (before == after) return nlohmann::json::object();
  return {{"status", k8s::mergePatch(k8s::Encoder::value(before), k8s::Encoder::value(after))}};
}

}  // namespace multinet::controller
