// Keeps attached interfaces as they were planned: looks, puts right what differs, says what can't
// be. docs/decisions/0027-drift.md has the reasons.
#pragma once

#include "nodeagent/attach/apply.h"
#include "nodeagent/isolation/port_guard.h"

namespace multinet::agent::attach {

/// One look at a pod. Writes nothing where all is as planned; a failure at one interface keeps no
/// other from being put right, and takes nothing back. See AttachEngine::maintain().
/// Rules of ports come first, and where they are refused no link is made anew. `guard` may be null.
[[nodiscard]] Result<Upkeep> maintainPod(HostSide host, Pod& pod, isolation::PortGuard* guard,
                                         const Desired& desired, const AbortFlag& abort);

}  // namespace multinet::agent::attach
