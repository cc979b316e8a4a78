#include "nodeagent/cri/decode.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace multinet::agent::cri {
namespace {

namespace subset = multinet::cri::subset;

constexpr std::chrono::minutes kDefault(4);  // kubelet: twice its usual runtimeRequestTimeout
constexpr std::int64_t kLeast = 2;           // seconds; kubelet: minimumGracePeriodInSeconds
constexpr std::chrono::hours kNever(24);     // gRPC tells "no deadline" by a time far away

tl::unexpected<Error> malformed(const std::string& what) {
  return fail(Code::InvalidArgument, "Malformed", "decode " + what + ": it is no valid message");
}

sandbox::RunRequest requestOf(const subset::PodSandboxConfig& config) {
  sandbox::RunRequest request;
  const auto& metadata = config.metadata();
  request.pod = {PodUid(metadata.uid()), metadata.namespace_(), metadata.name(),
                 metadata.attempt()};
  request.labels.insert(config.labels().begin(), config.labels().end());
  request.annotations.insert(config.annotations().begin(), config.annotations().end());
  request.hostNetwork =
      config.linux().security_context().namespace_options().network() == subset::NODE;
  return request;
}

}  // namespace

Result<sandbox::RunRequest> decodeRun(std::string bytes) {
  subset::RunPodSandboxRequest decoded;
  if (!decoded.ParseFromString(bytes)) return malformed("RunPodSandboxRequest");
  auto request = requestOf(decoded.config());
  request.bytes = std::move(bytes);
  return request;
}

Result<sandbox::RunRequest> decodeRestore(std::string bytes) {
  subset::RestorePodRequest decoded;
  if (!decoded.ParseFromString(bytes)) return malformed("RestorePodRequest");
  auto request = requestOf(decoded.config());
  request.bytes = std::move(bytes);
  return request;
}

Result<CreateRequest> decodeCreate(const std::string& bytes) {
  subset::CreateContainerRequest decoded;
  if (!decoded.ParseFromString(bytes)) return malformed("CreateContainerRequest");
  return CreateRequest{SandboxId(decoded.pod_sandbox_id()), decoded.config().metadata().name(),
                       requestOf(decoded.sandbox_config())};
}

std::optional<StopRequest> decodeStop(const std::string& bytes) {
  subset::StopContainerRequest decoded;
  if (!decoded.ParseFromString(bytes)) return std::nullopt;
  // What no clock can count is no different from a day.
  const auto grace =
      std::clamp<std::int64_t>(decoded.timeout(), 0, kNever / std::chrono::seconds(1));
  return StopRequest{decoded.container_id(), std::chrono::seconds(grace)};
}

std::string stopLater(const std::string& bytes, Duration held) {
  subset::StopContainerRequest decoded;
  if (!decoded.ParseFromString(bytes)) return bytes;
  const auto over = std::chrono::floor<std::chrono::seconds>(held).count();
  if (over <= 0 || decoded.timeout() <= kLeast) return bytes;
  decoded.set_timeout(std::max<std::int64_t>(kLeast, decoded.timeout() - over));
  return decoded.SerializeAsString();
}

BootTime bootDeadline(const Clock& clock, std::chrono::system_clock::time_point deadline) {
  const auto now = std::chrono::system_clock::now();
  const Duration left = deadline > now + kNever ? Duration(kDefault) : Duration(deadline - now);
  return clock.now() + std::max(left, Duration::zero());
}

}  // namespace multinet::agent::cri
