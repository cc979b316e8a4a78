// Asks the kernel about several sandboxes at once.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "nodeagent/sandbox/shared.h"
#include "nodeagent/sandbox/testimony.h"

namespace multinet::agent::sandbox {

/// What was seen in each namespace, or why nobody could look.
using Seen = std::map<SandboxId, Result<Links>>;

/// Blocks `lane` for 1 to 2 ms a sandbox, each as its namespace is found; `done` comes there too,
/// by `deadline` at the latest as far as the runtime keeps to it. The dependencies outlive the
/// lane.
void lookInto(const Dependencies& dependencies, async::Lane& lane,
              const std::vector<SandboxId>& sandboxes, BootTime deadline,
              std::function<void(Seen)> done);

}  // namespace multinet::agent::sandbox
