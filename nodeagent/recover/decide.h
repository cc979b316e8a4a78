// What should become of an intent that an earlier process left. Pure.
#pragma once

#include <string>
#include <vector>

#include "nodeagent/journal/record.h"
#include "nodeagent/sandbox/owner.h"

namespace multinet::agent::recover {

/// What is known besides the journal.
struct Facts {
  std::vector<sandbox::RuntimeSandbox> sandboxes;  ///< all that the runtime has
  std::string bootId;                              ///< of this boot
};

/// The fate of one record, with the sandbox that belongs to it filled in where only the runtime
/// knew it. Absence alone never ends an attached one: the owner looks again later.
[[nodiscard]] sandbox::Restored decide(journal::Record record, const Facts& facts);

/// Sandboxes that run, ask for networks, and stand in no record: with a journal that was lost they
/// may have been attached by us.
[[nodiscard]] std::vector<sandbox::RuntimeSandbox> unknownSandboxes(
    const std::vector<journal::Record>& records, const Facts& facts);

/// Addresses that the records hold or that rest; `now` against their quarantine, which is never
/// longer than `quarantine` however the wall clock was set.
[[nodiscard]] std::vector<addresses::Holding> holdings(const std::vector<journal::Record>& records,
                                                       WallTime now, Duration quarantine);

}  // namespace multinet::agent::recover
