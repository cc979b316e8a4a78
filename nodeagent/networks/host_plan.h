// From the networks that shall be and the host as it is to the steps between. Pure.
//
// Level-driven in passes: a step may need what an earlier one makes (an ifindex), so whoever
// applies observes and plans again until nothing is left to do. Desired is compared with actual;
// nothing is flushed and written anew.
#pragma once

#include <vector>

#include "nodeagent/drivers/network.h"
#include "nodeagent/networks/host.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

using drivers::Guard;
using drivers::HostStep;
using drivers::Place;

struct HostPlan {
  std::vector<HostStep> steps;
  std::vector<Orphan> orphans;
};

/// `served` is judged (see lifelines.h). Links that an earlier version made in the node's namespace
/// move into the switch, as far as links can be moved: pods' ends are, with their bridge made anew;
/// those on a bridge of somebody else's stay there until they end.
[[nodiscard]] HostPlan planHost(const std::vector<DesiredNetwork>& served, const Host& host,
                                Guard guard, const NetworksOptions& options);

}  // namespace multinet::agent::networks
