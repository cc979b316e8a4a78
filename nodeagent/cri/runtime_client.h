// The runtime as the owner of the sandboxes sees it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/async/lane.h"
#include "nodeagent/drain/drain.h"
#include "nodeagent/sandbox/runtime.h"

namespace multinet::agent::cri {

class RuntimeChannel;

/// The network namespace of a sandbox from its task bundle below containerd's state directory:
/// NotFound where bundle or namespace are gone, FailedPrecondition where the path is no network
/// namespace, the host's own, or not the one in which the sandbox's first process is (`init.pid`,
/// which the shims of runc and gVisor write; without it that isn't checked). Reads files below
/// /run, which is memory: 50 us.
[[nodiscard]] Result<Fd> netnsOfBundle(const std::string& stateDir, const SandboxId& id);

/// Opens a path as a network namespace, checked like that; `process` is the sandbox's first process
/// where it is known.
[[nodiscard]] Result<Fd> openNetns(const std::string& path, std::optional<pid_t> process = {});

/// The containers that run, of all pods.
void listRunningContainers(RuntimeChannel& channel, BootTime deadline,
                           async::Answer<std::vector<drain::Container>> done);

/// Calls `channel`; what a reply of the runtime names is opened on `files`. Both outlive it and its
/// calls.
[[nodiscard]] std::unique_ptr<sandbox::Runtime> makeRuntimeClient(RuntimeChannel& channel,
                                                                  async::Lane& files,
                                                                  std::string stateDir);

}  // namespace multinet::agent::cri
