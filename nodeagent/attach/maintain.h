// Keeps attached interfaces as they were planned: looks, puts right what differs, says what can't
// be. docs/decisions/0027-drift.md has the reasons.
#pragma once

#include "nodeagent/attach/apply.h"
#include "nodeagent/attach/ports.h"

namespace multinet::agent::attach {

/// One look at a pod. Writes nothing where all is as planned; a failure at one interface keeps no
/// other from being put right, and takes nothing back. See AttachEngine::maintain().
/// Rules of ports come first, and where they are refused no link is made anew.
[[nodiscard]] Result<Upkeep> maintainPod(HostSide host, Pod& pod, const Guards& guards,
                                         const Desired& desired, const AbortFlag& abort);

}  // namespace multinet::agent::attach
