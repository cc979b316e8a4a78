// The relay: one thread, one poll, the kubelet's connections on one side and the runtime's on the
// other. HTTP/2 is spoken here and not by gRPC, since a call that is only passed on should cost two
// wake-ups and no message put together (see docs/decisions).
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/async/runner.h"
#include "lib/base/result.h"
#include "nodeagent/cri/inbox.h"
#include "nodeagent/cri/peer.h"
#include "nodeagent/cri/server.h"

namespace multinet::agent::cri {

struct RelayOptions {
  std::string runtime;  ///< `unix:///path`
  InterceptorOf interceptorOf;
  CallObserver called;
  /// Calls of this service (`/package.Service/`) go to the socket that `connectOwn` gives. Empty:
  /// there is none.
  std::string ownService;
  std::function<Result<Fd>()> connectOwn;
  const Clock* clock = &kSystemClock;  ///< measures the thread; outlives the relay
};

class Relay {
 public:
  explicit Relay(RelayOptions options);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Any thread:

  /// Takes over a connection of a kubelet.
  void add(Fd connection);
  /// Connections of kubelets.
  [[nodiscard]] std::size_t callers() const { return callers_; }
  /// Waits for a moment when no call is under way that ends by itself.
  void awaitQuiet(std::chrono::milliseconds limit);
  /// Ends endless calls, takes no new ones, gives what is under way until `drain`. Once.
  void stop(std::chrono::milliseconds drain);
  /// Of its thread: a task is all that one poll has found to do. Costs no lock.
  [[nodiscard]] async::LaneHealth health() const { return runner_.health(); }

  // The relay's own:

  [[nodiscard]] const RelayOptions& options() const { return options_; }
  [[nodiscard]] const std::shared_ptr<Inbox>& inbox() const { return inbox_; }
  /// A connection for a call of that method. Unavailable where nobody listens.
  [[nodiscard]] Result<Peer*> peerFor(std::string_view method);
  void began(const Exchange& call);
  void ended(const Exchange& call, std::string_view method, int code);

 private:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr int kEvents = 64;

  /// Polls.
  [[nodiscard]] async::Task next();
  /// What the poll has found.
  void turn(int events);
  void end();
  /// Until no connection has anything to write that its socket takes.
  void writeAll();
  void dropGone();
  void countCallers();
  Peer& adopt(Fd socket, http2::Connection::Role role);
  void beginStop(Time until);
  /// Whether all has been said.
  [[nodiscard]] bool drained();

  const RelayOptions options_;
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  Fd poll_;
  std::array<epoll_event, kEvents> events_{};
  std::string buffer_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::atomic<std::size_t> callers_{0};  ///< of peers_, those that are kubelets'
  Peer* runtime_ = nullptr;  ///< the newest connection to it; older ones end their calls
  Peer* own_ = nullptr;
  std::optional<Time> stopsAt_;
  std::optional<Time> drainedAt_;
  bool ended_ = false;

  std::mutex mutex_;
  std::condition_variable quiet_;
  std::size_t finite_ = 0;  ///< guarded by mutex_

  bool stopped_ = false;  ///< of whoever stops it
  async::Runner runner_;  // last: it uses all of the above
};

}  // namespace multinet::agent::cri
