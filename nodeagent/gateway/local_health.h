// Serves healthCheckNodePorts: a load balancer asks each node whether it has endpoints of a service
// with `externalTrafficPolicy: Local`. kube-proxy does so for services that are its own.
//
// One thread, which never waits for a client.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/async/runner.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"

namespace multinet::agent::gateway {

/// One port that is to be served.
struct LocalService {
  std::uint16_t port = 0;
  std::string nameSpace;
  std::string name;
  std::size_t endpoints = 0;  ///< of this node, that clients get
  bool operator==(const LocalService&) const = default;
};

/// What a client is answered, whatever it asked for: as kube-proxy says it (pkg/proxy/healthcheck,
/// 1.34), 200 where there are endpoints and 503 where there are none. Pure.
[[nodiscard]] std::string answerOf(const LocalService& service);

class LocalHealth {
 public:
  /// Starts the thread, which is in the node's namespace.
  explicit LocalHealth(const Clock& clock);
  ~LocalHealth() { stop(); }
  LocalHealth(const LocalHealth&) = delete;
  LocalHealth& operator=(const LocalHealth&) = delete;

  /// All that is to be served, on all addresses. Any thread; returns at once. A port that somebody
  /// else has is tried again every few seconds.
  void serve(std::vector<LocalService> services);
  void stop();
  [[nodiscard]] async::LaneHealth health() const { return runner_.health(); }

 private:
  struct Client {
    Fd socket;
    std::uint16_t port = 0;
    BootTime deadline{};
  };
  [[nodiscard]] async::Task wait();
  void turn();
  void takeServices();
  void listen();
  void accept(std::uint16_t port);

  const Clock& clock_;
  Fd wake_;
  std::mutex mutex_;  // of the next
  std::optional<std::vector<LocalService>> incoming_;
  std::atomic<bool> stopping_{false};
  // Of the thread:
  std::map<std::uint16_t, LocalService> services_;
  std::map<std::uint16_t, Fd> listening_;
  std::list<Client> clients_;
  bool lacks_ = false;  ///< a port that isn't listened at
  BootTime listenAt_{};
  std::vector<std::uint16_t> called_;  ///< ports where somebody waits
  std::vector<Client*> asking_;        ///< clients that have sent something
  async::Runner runner_;               // last: it uses all of the above
};

}  // namespace multinet::agent::gateway
