// The service PodNetworks: what pods got, for whoever asks on the agent's socket. Today's kubelet
// doesn't read our fields in the runtime's answers; this is where a reader finds the same data.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>

#include "nodeagent/sandbox/sandboxes.h"

namespace multinet::agent::cri {

/// How many Watch calls may be open; one more gets ResourceExhausted.
inline constexpr int kMostWatches = 64;

/// Answers from the published snapshot, so it never waits for the owner. Until the journal has been
/// compared with the runtime Get and List are Unavailable, and a Watch says nothing: half a list
/// would read as pods that are gone.
class PodNetworksService {
 public:
  /// `sandboxes` outlives it; it outlives its server.
  explicit PodNetworksService(const sandbox::Sandboxes& sandboxes);
  ~PodNetworksService();
  PodNetworksService(const PodNetworksService&) = delete;
  PodNetworksService& operator=(const PodNetworksService&) = delete;

  /// What a server registers.
  [[nodiscard]] grpc::Service& service();
  /// Open watches, and new ones, end with Unavailable within a look (250 ms). Any thread.
  void endWatches();

 private:
  class Calls;
  std::unique_ptr<Calls> calls_;
};

}  // namespace multinet::agent::cri
