// The service PodNetworks: what pods got, for whoever asks on the agent's socket. Today's kubelet
// doesn't read our fields in the runtime's answers; this is where a reader finds the same data.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>

#include "nodeagent/sandbox/sandboxes.h"

namespace multinet::agent::cri {

/// How many Watch calls may be open; one more gets ResourceExhausted.
inline constexpr int kMostWatches = 64;

class PodNetworksService {
 public:
  virtual ~PodNetworksService() = default;
  /// What a server registers.
  [[nodiscard]] virtual grpc::Service& service() = 0;
  /// Open watches, and new ones, end with Unavailable within a look (250 ms). Any thread.
  virtual void endWatches() = 0;
};

/// Answers from the published snapshot, so it never waits for the owner. Until the journal has been
/// compared with the runtime Get and List are Unavailable, and a Watch says nothing: half a list
/// would read as pods that are gone. `sandboxes` outlives it; it outlives its server.
[[nodiscard]] std::unique_ptr<PodNetworksService> makePodNetworks(
    const sandbox::Sandboxes& sandboxes);

}  // namespace multinet::agent::cri
