// What is read of the kubelet's requests. Pure.
#pragma once

#include <chrono>
#include <string>

#include "lib/base/clock.h"
#include "nodeagent/sandbox/runtime.h"

namespace multinet::agent::cri {

/// Without metadata and deadline. InvalidArgument for what is no message.
[[nodiscard]] Result<sandbox::RunRequest> decodeRun(std::string bytes);
[[nodiscard]] Result<sandbox::RunRequest> decodeRestore(std::string bytes);

struct CreateRequest {
  SandboxId id;
  sandbox::RunRequest config;
};
[[nodiscard]] Result<CreateRequest> decodeCreate(const std::string& bytes);

/// A call's deadline on the agent's clock, however long the kubelet's runtimeRequestTimeout makes
/// it; a call without one (or with more than a day) gets the four minutes that a kubelet gives
/// RunPodSandbox unless it is configured otherwise.
[[nodiscard]] BootTime bootDeadline(const Clock& clock,
                                    std::chrono::system_clock::time_point deadline);

}  // namespace multinet::agent::cri
