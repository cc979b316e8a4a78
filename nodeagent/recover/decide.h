// What should become of an intent that an earlier process left. Pure.
#pragma once

#include <string>
#include <vector>

#include "nodeagent/journal/record.h"
#include "nodeagent/sandbox/look.h"
#include "nodeagent/sandbox/owner.h"

namespace multinet::agent::recover {

/// What is known besides the journal.
struct Facts {
  std::vector<sandbox::RuntimeSandbox> sandboxes;  ///< all that the runtime has
  std::string bootId;                              ///< of this boot
  sandbox::Seen seen{};                            ///< what the kernel shows of suspects()
};

/// Sandboxes of which the journal alone says too little: not attached for certain, in doubt, or
/// unknown to it.
[[nodiscard]] std::vector<SandboxId> suspects(const std::vector<journal::Record>& records,
                                              const Facts& facts);

/// The recovery action for one record, with the sandbox that belongs to it filled in where only the
/// runtime knew it. One whose links are all there is attached, whatever stood in the record.
/// Absence alone never ends an attached one: the owner looks again later.
[[nodiscard]] sandbox::Restored decide(journal::Record record, const Facts& facts);

/// Sandboxes that run, ask for networks, and stand in no record: the journal is lost or an older
/// copy, or they were made without us. A record of the same pod and attempt isn't theirs where the
/// kernel shows another intent's links in them.
[[nodiscard]] std::vector<sandbox::RuntimeSandbox> unknownSandboxes(
    const std::vector<journal::Record>& records, const Facts& facts);

/// Addresses that the records hold or that rest; see journal::quarantineLeft().
[[nodiscard]] std::vector<addresses::Holding> holdings(const std::vector<journal::Record>& records,
                                                       const std::string& bootId, BootTime now,
                                                       Duration quarantine);

}  // namespace multinet::agent::recover
