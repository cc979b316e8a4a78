// Reads from the kernel what planning and recovery need to know.
#pragma once

#include "nodeagent/attach/apply.h"

namespace multinet::agent::attach {

/// Two requests a veth and one a macvlan, and a dump of the pod's links, where nothing of ours is
/// in the pod yet; addresses, routes and rules besides where something is or a default route moves.
[[nodiscard]] Result<Observed> observePod(netlink::Socket& host, Pod& pod, const Desired& desired);

/// What stands in the pod, compared with the plan: Internal/NotAsPlanned names the difference.
[[nodiscard]] Result<std::vector<InterfaceStatus>> readBack(Pod& pod, const Desired& desired,
                                                            WallTime now);

/// Links with an alias of ours, in the socket's namespace, with their addresses.
[[nodiscard]] Result<std::vector<ObservedInterface>> findMarked(netlink::Socket& socket);

}  // namespace multinet::agent::attach
