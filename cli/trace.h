// What befell one pod on its way to its networks, in order of time. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/output.h"

namespace multinet::cli {

struct Traces {
  nlohmann::json pod;                                        // null where it is gone
  nlohmann::json events;                                     // of the pod
  nlohmann::json sets;                                       // of the pod
  nlohmann::json nodeSets;                                   // of its node; may be empty
  nlohmann::json policies = nlohmann::json::array();         // of its namespace; null: unseen
  nlohmann::json clusterPolicies = nlohmann::json::array();  // all of them; likewise
  nlohmann::json nameSpace = {};  // the pod's; null where it may not be read
};

/// A row a step: time, since the pod was created, who says so, what, why. What has no time stands
/// at the end: it holds now.
[[nodiscard]] Table traceTable(const Traces& all);

}  // namespace multinet::cli
