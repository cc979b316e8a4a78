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

/// A call's deadline on the agent's clock; a call without one gets the four minutes that the
/// kubelet gives RunPodSandbox.
[[nodiscard]] BootTime bootDeadline(const Clock& clock,
                                    std::chrono::system_clock::time_point deadline);

}  // namespace multinet::agent::cri
