// Several interfaces at once: the agent's engine, and Multus with the plugins that it delegates to.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/attach_contenders.h"

namespace multinet::bench {

/// 1, 4 and 16 macvlans, each number by both: `engine 4`, `multus 4`. Multus is told its networks
/// in its configuration, so it asks no API server for them: what is left is its own work.
[[nodiscard]] Result<std::vector<std::unique_ptr<Contender>>> makeMany(const std::string& multus,
                                                                       const std::string& plugins,
                                                                       const std::string& leases);

}  // namespace multinet::bench
