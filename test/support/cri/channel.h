// A connection to a CRI socket as a kubelet has it.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace multinet::support {

/// To `endpoint` (`unix:///run/containerd/containerd.sock`): messages of any size, metadata of
/// 16 MiB, the authority that runtimes expect, no retries, no keepalive, 20 s for the other end's
/// first words and a short wait before connecting again. Connects with the first call; a call while
/// nobody listens fails with Unavailable at once, one to an end that is slow waits for its own
/// deadline.
[[nodiscard]] std::shared_ptr<grpc::Channel> criChannel(const std::string& endpoint);

}  // namespace multinet::support
