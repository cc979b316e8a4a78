// Takes from a node what its networks have there, for good.
#pragma once

#include <optional>
#include <vector>

#include "lib/base/fd.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// Bridges, tunnels, segments and the firewall's table; what pods are still on stays and is
/// returned. The calling thread's namespace is the node's, and nobody else works on its networks
/// meanwhile. `switchNetns`: nullopt where there is none, or it is the node's own. Safe to repeat.
/// Interfaces of a VLAN device in other namespaces aren't seen from here: the caller knows that no
/// pod has one.
[[nodiscard]] Result<std::vector<Orphan>> clearNode(std::optional<Fd> switchNetns);

}  // namespace multinet::agent::networks
