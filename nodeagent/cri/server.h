// The agent as the kubelet sees it: every method of every service, on one socket.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/fd.h"
#include "nodeagent/cri/interceptor.h"

namespace grpc {
class Channel;
class Service;
}  // namespace grpc

namespace multinet::agent::cri {

/// A connection to the runtime at `endpoint` (`unix:///run/containerd/containerd.sock`): messages
/// of any size, the authority that runtimes expect, no retries (RunPodSandbox isn't idempotent),
/// and a short wait before connecting again. Connects with the first call; a call while the runtime
/// is away fails with Unavailable at once, as the kubelet would see it.
[[nodiscard]] std::shared_ptr<grpc::Channel> runtimeChannel(const std::string& endpoint);

/// Makes the interceptor of a call of this method (`/runtime.v1.RuntimeService/Status`); null where
/// bytes pass as they are.
using InterceptorOf = std::function<std::unique_ptr<Interceptor>(
    std::string_view method, std::multimap<std::string, std::string> metadata,
    std::chrono::system_clock::time_point deadline)>;

/// Told of each relayed call when its status is decided, with its method and gRPC's code. On gRPC's
/// threads, which it must not block.
using CallObserver = std::function<void(std::string_view method, int code)>;

struct ServerOptions {
  std::shared_ptr<grpc::Channel> runtime;
  InterceptorOf interceptorOf;           ///< empty: a plain relay
  grpc::Service* podNetworks = nullptr;  ///< served beside the relay; outlives the server
  CallObserver called{};                 ///< empty: nobody counts
};

class Server {
 public:
  virtual ~Server() = default;
  /// Takes over a connection.
  virtual void add(Fd connection) = 0;
  /// Calls under way may end until then; after that they are cancelled. What still runs a moment
  /// later is left to `_exit`.
  virtual void stop(std::chrono::milliseconds drain) = 0;
};

/// Never listens by itself: connections come from a Listener.
[[nodiscard]] std::unique_ptr<Server> makeServer(ServerOptions options);

}  // namespace multinet::agent::cri
