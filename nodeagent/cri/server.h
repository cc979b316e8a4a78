// The agent as the kubelet sees it: every method of every service, on one socket.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "lib/async/runner.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "nodeagent/cri/interceptor.h"

namespace multinet::agent::cri {

class PodNetworksService;
class Relay;

/// The call's metadata, put together for those who ask.
using MetadataOf = std::function<std::multimap<std::string, std::string>()>;

/// Makes the interceptor of a call of this method (`/runtime.v1.RuntimeService/Status`); null where
/// bytes pass as they are.
using InterceptorOf =
    std::function<std::unique_ptr<Interceptor>(std::string_view method, const MetadataOf& metadata,
                                               std::chrono::system_clock::time_point deadline)>;

/// Told of each relayed call when its status is decided, with its method and gRPC's code. On the
/// relay's thread, which it must not block.
using CallObserver = std::function<void(std::string_view method, int code)>;

struct ServerOptions {
  std::string runtime;                        ///< `unix:///run/containerd/containerd.sock`
  InterceptorOf interceptorOf;                ///< empty: a plain relay
  PodNetworksService* podNetworks = nullptr;  ///< served beside the relay; outlives the server
  CallObserver called{};                      ///< empty: nobody counts
  const Clock* clock = &kSystemClock;         ///< measures its thread; outlives the server
};

/// Never listens by itself: connections come from a Listener. Any thread.
class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Takes over a connection.
  void add(Fd connection);
  /// How many callers have a connection now.
  [[nodiscard]] std::size_t callers() const;
  /// Waits, `limit` at most, for a moment when no call is under way; streams without an end don't
  /// count. Goes on serving meanwhile, new calls too, since there is no successor yet.
  void awaitQuiet(std::chrono::milliseconds limit);
  /// Ends: takes no new calls, ends streams with Unavailable, gives what is under way until `drain`
  /// and cancels it then. What still runs a moment later is left to `_exit`.
  void stop(std::chrono::milliseconds drain);
  /// Of its thread, which every call of the kubelet's needs.
  [[nodiscard]] async::LaneHealth health() const;

 private:
  class OwnService;
  PodNetworksService* podNetworks_;
  std::unique_ptr<OwnService> own_;
  std::unique_ptr<Relay> relay_;
};

}  // namespace multinet::agent::cri
