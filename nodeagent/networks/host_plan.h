// From the networks that shall be and the host as it is to the steps between. Pure.
//
// Level-driven in passes: a step may need what an earlier one makes (an ifindex), so whoever
// applies observes and plans again until nothing is left to do. Desired is compared with actual;
// nothing is flushed and written anew.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "nodeagent/networks/host.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// Whose socket a step needs. What is born in the switch with a foot in the node's namespace (a
/// tunnel, an uplink, a wire) is made from the node's.
enum class Place : std::uint8_t { Switch, Node };

/// Requests of one network that go to the kernel in one send, after the sysctls (key, value).
struct HostStep {
  NetworkUid network;
  Place place = Place::Switch;
  std::vector<std::pair<std::string, std::string>> sysctls;
  std::vector<netlink::Request> requests;
};

struct HostPlan {
  std::vector<HostStep> steps;
  std::vector<Leftover> leftovers;
};

/// Whether the rules around tunnels are in the kernel: without them no tunnel is made or brought
/// up.
enum class Guard : std::uint8_t { Refused, Committed };

/// `served` is judged (see lifelines.h). Links that an earlier version made in the node's namespace
/// move into the switch, as far as links can be moved: pods' ends are, with their bridge made anew;
/// those on a bridge of somebody else's stay there until they end.
[[nodiscard]] HostPlan planHost(const std::vector<DesiredNetwork>& served, const Host& host,
                                Guard guard, const NetworksOptions& options);

}  // namespace multinet::agent::networks
