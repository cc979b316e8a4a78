// Leaving a node: what the agent made there goes, as soon as no pod needs it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/fd.h"
#include "lib/base/result.h"
#include "nodeagent/wiring.h"

namespace multinet::agent {

/// Where the switch is mounted; empty: it is in the node's own namespace.
[[nodiscard]] std::string switchPathOf(const Settings& settings);

/// Where the journal's notes are, until a disk has them.
[[nodiscard]] std::string notesPathOf(const Settings& settings);

/// Where what translates services is kept.
[[nodiscard]] std::string bpfPathOf(const Settings& settings);

/// Where gateways' namespaces are kept.
[[nodiscard]] std::string gatewayPathOf(const Settings& settings);

/// Links, rules, gateways, what translates services, and the switch itself. What pods are still on
/// stays, with the switch around it: FailedPrecondition/InUse then. Nobody works on the node's
/// networks any more.
[[nodiscard]] Status clearKernel(const Settings& settings);

/// What becomes of rules that hold pods which still run.
enum class Rules : std::uint8_t {
  Stay,  ///< as they are; nobody follows what policies say
  Go,    ///< see openPods()
};
/// All that agents of before left on this node: the above, and the journal. Nothing else is
/// touched, and the names of pods (`default/web-0`) are returned, while the journal knows of pods
/// whose sandbox still exists. Unavailable/JournalLocked while an agent runs.
[[nodiscard]] Result<std::vector<std::string>> cleanUp(const Settings& settings,
                                                       Rules rules = Rules::Stay);

}  // namespace multinet::agent
