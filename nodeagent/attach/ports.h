// Interfaces as ports of the switch: what isolation is asked to hold against them.
#pragma once

#include <string>
#include <vector>

#include "nodeagent/attach/plan.h"
#include "nodeagent/isolation/port_guard.h"

namespace multinet::agent::attach {

/// The port of one interface; nullopt where no end of its link stays on the node. `steps` are those
/// that lead to it: a link that they make has its name there already. Pure.
[[nodiscard]] std::optional<isolation::Port> portOf(const Desired& desired,
                                                    const Observed& observed,
                                                    const std::vector<drivers::Op>& steps,
                                                    const InterfacePlan& interface);

/// How interfaces are secured, in the order of the plans, and the ports that weren't before.
struct SecuredInterfaces {
  std::vector<PortSecured> told;
  std::vector<std::string> added;
};
/// Before the steps are done: the rules of all of them, in one transaction. Without a guard nothing
/// is told.
[[nodiscard]] Result<SecuredInterfaces> secureInterfaces(isolation::PortGuard* guard,
                                                         const Desired& desired,
                                                         const Observed& observed,
                                                         const std::vector<drivers::Op>& steps);

}  // namespace multinet::agent::attach
