// A network namespace belongs to one sandbox: two with the same one would take each other's
// interfaces for their own.
#pragma once

#include "nodeagent/sandbox/shared.h"

namespace multinet::agent::sandbox {

/// Remembers which namespace the entry's sandbox has. On the lane.
void noteNetns(Entry& entry, const Fd& netns);

/// FailedPrecondition/NetnsShared where another attached sandbox has that namespace; else it is
/// noted as the entry's. The other's is looked up again before that is believed: the kernel gives
/// the number of a namespace that is gone to the next one. `done` on the lane.
void checkNetns(const Shared& shared, const EntryPtr& entry, const Fd& netns,
                std::function<void(Status)> done);

}  // namespace multinet::agent::sandbox
