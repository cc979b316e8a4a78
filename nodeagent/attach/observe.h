// Reads from the kernel what planning and recovery need to know.
#pragma once

#include "nodeagent/attach/apply.h"

namespace multinet::agent::attach {

/// Two requests a veth and one a macvlan, and a dump of the pod's links, where nothing of ours is
/// in the pod yet; addresses, routes and rules besides where something is or a default route moves.
[[nodiscard]] Result<Observed> observePod(HostSide host, Pod& pod, const Desired& desired);

/// All that differs from a plan can be seen here: also addresses, routes, rules, sysctls and host
/// ends wherever on the host they are. A dump of each in the pod, two requests an interface on the
/// host, one dump there where a link is missing.
[[nodiscard]] Result<Observed> observeAttached(HostSide host, Pod& pod, const Desired& desired);

/// What stands in the pod, compared with the plan: Internal/NotAsPlanned names the difference.
[[nodiscard]] Result<std::vector<InterfaceStatus>> readBack(Pod& pod, const Desired& desired,
                                                            WallTime now);

/// Links with an alias of ours, in the socket's namespace, with their addresses.
[[nodiscard]] Result<std::vector<ObservedInterface>> findMarked(netlink::Socket& socket);

}  // namespace multinet::agent::attach
