// What is read of the kubelet's requests. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "lib/base/clock.h"
#include "nodeagent/sandbox/runtime.h"

namespace multinet::agent::cri {

/// Without metadata and deadline. InvalidArgument for what is no message.
[[nodiscard]] Result<sandbox::RunRequest> decodeRun(std::string bytes);
[[nodiscard]] Result<sandbox::RunRequest> decodeRestore(std::string bytes);

struct CreateRequest {
  SandboxId id;
  std::string container;  ///< its name in the pod
  sandbox::RunRequest config;
};
[[nodiscard]] Result<CreateRequest> decodeCreate(const std::string& bytes);

struct StopRequest {
  std::string container;  ///< its ID
  std::chrono::seconds grace{};
};
/// Nothing of what is no such message: it is the runtime's to judge.
[[nodiscard]] std::optional<StopRequest> decodeStop(const std::string& bytes);
/// The same request once `held` of its time is over; what is left is at least 2 s, as the kubelet
/// itself leaves.
[[nodiscard]] std::string stopLater(const std::string& bytes, Duration held);

/// A call's deadline on the agent's clock, however long the kubelet's runtimeRequestTimeout makes
/// it; a call without one (or with more than a day) gets the four minutes that a kubelet gives
/// RunPodSandbox unless it is configured otherwise.
[[nodiscard]] BootTime bootDeadline(const Clock& clock,
                                    std::chrono::system_clock::time_point deadline);

}  // namespace multinet::agent::cri
