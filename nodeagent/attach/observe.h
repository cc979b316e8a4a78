// Reads from the kernel what planning and recovery need to know.
#pragma once

#include "nodeagent/attach/apply.h"
#include "nodeagent/attach/parents.h"

namespace multinet::agent::attach {

/// One request a veth and none a macvlan once its parent is known, and a dump of the pod's links,
/// where nothing of ours is in the pod yet; addresses, routes and rules besides where something is
/// or a default route moves.
[[nodiscard]] Result<Observed> observePod(HostSide host, Parents& parents, Pod& pod,
                                          const Desired& desired);

/// All that differs from a plan can be seen here: also addresses, routes, rules, sysctls and host
/// ends wherever on the host they are. A dump of each in the pod, two requests an interface on the
/// host, one dump there where a link is missing.
[[nodiscard]] Result<Observed> observeAttached(HostSide host, Pod& pod, const Desired& desired);

/// What stands in the pod, compared with the plan: Internal/NotAsPlanned names the difference.
/// Links that were seen as they were applied aren't looked at again.
[[nodiscard]] Result<std::vector<InterfaceStatus>> readBack(Pod& pod, const Desired& desired,
                                                            const Applier& applied, WallTime now);

/// Links with an alias of ours, in the socket's namespace, with their addresses.
[[nodiscard]] Result<std::vector<ObservedInterface>> findMarked(netlink::Socket& socket);

}  // namespace multinet::agent::attach
