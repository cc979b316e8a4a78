// ListPodSandbox with the verdicts applied: items are left out or get another state, and only then
// does the caller's filter by state count.
#pragma once

#include <optional>
#include <string>

#include "nodeagent/sandbox/sandboxes.h"

namespace multinet::agent::cri {

enum class SandboxState { Ready = 0, NotReady = 1 };

/// True where some sandbox isn't shown as the runtime shows it.
[[nodiscard]] bool hasVerdicts(const sandbox::Snapshot& snapshot);

struct ListQuery {
  std::optional<std::string> rewritten;  ///< the request without its filter by state
  std::optional<SandboxState> wanted;    ///< that filter
};

/// While verdicts stand the runtime must not filter by state, since it doesn't know them.
[[nodiscard]] Result<ListQuery> listQuery(const std::string& request,
                                          const sandbox::Snapshot& snapshot);

/// Judges the items of a ListPodSandboxResponse. Those that are left out go, those that become
/// NOTREADY get that state appended (the last occurrence counts); every other byte stays as it was.
[[nodiscard]] Result<std::string> judgeList(const std::string& reply,
                                            const sandbox::Snapshot& snapshot,
                                            std::optional<SandboxState> wanted);

}  // namespace multinet::agent::cri
