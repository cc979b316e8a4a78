// Ends of pods' links on the node, as the kernel has them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "lib/base/fd.h"
#include "lib/base/ids.h"
#include "lib/base/result.h"

namespace multinet::agent::policing {

/// One that is there.
struct NodeEnd {
  std::string name;
  std::string bridge{};  ///< of the switch, of which it is a port; empty: of none
};
/// By intent and the interface's name.
using Ends = std::map<std::pair<IntentId, std::string>, NodeEnd>;

/// Of the ports of the switch's bridges, the bridges, by the port's name. `switchNetns`: where they
/// are; nullopt: in the caller's namespace.
[[nodiscard]] Result<std::map<std::string, std::string>> bridgesOfPorts(
    const std::optional<Fd>& switchNetns);

}  // namespace multinet::agent::policing
