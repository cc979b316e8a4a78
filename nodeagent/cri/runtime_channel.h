// The agent's own calls to the runtime: unary, over a connection beside the relay's.
//
// The caller's thread writes its call to the socket itself, and one thread reads all replies: a
// call wakes one thread, once. gRPC's client did the same with far more code to run through, cold
// each time that a pod comes (docs/decisions/0062).
#pragma once

#include <sys/epoll.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lib/async/runner.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/result.h"

namespace multinet::agent::cri {

struct RuntimeCall {
  std::string method;   ///< of the RuntimeService
  std::string message;  ///< the serialized request
  BootTime deadline{};
  /// The kubelet's, of which what belongs to its own connection stays behind.
  std::multimap<std::string, std::string> metadata;
};

struct RuntimeReply {
  /// The serialized response. An error has the runtime's own code and words; Unavailable at once
  /// where nobody listens or the connection breaks, DeadlineExceeded where its time is over.
  Result<std::string> message;
  std::string details;  ///< of an error, as bytes: `grpc-status-details-bin`
};

/// Messages and headers of any size. Nothing is tried twice, since RunPodSandbox isn't idempotent;
/// the next call connects again.
class RuntimeChannel {
 public:
  /// `endpoint`: `unix:///run/containerd/containerd.sock`. `clock` outlives it.
  RuntimeChannel(std::string endpoint, const Clock& clock);
  /// What is under way is answered with Unavailable. Not from a call's `done`.
  ~RuntimeChannel();
  RuntimeChannel(const RuntimeChannel&) = delete;
  RuntimeChannel& operator=(const RuntimeChannel&) = delete;

  /// Any thread; never blocks. `done` is called once, on the channel's thread.
  void call(const RuntimeCall& call, std::function<void(RuntimeReply)> done);
  /// Of its thread.
  [[nodiscard]] async::LaneHealth health() const { return runner_.health(); }

 private:
  class Wire;
  struct Pending;
  struct Ended {
    std::function<void(RuntimeReply)> done;
    RuntimeReply reply;
  };
  static constexpr int kEvents = 16;

  [[nodiscard]] async::Task next();
  void turn(int events);
  // Under the lock:
  [[nodiscard]] Result<Wire*> wire();
  void end(Pending pending, RuntimeReply reply);
  void wake() const;
  void flush();
  /// The timer rings with the earliest deadline, or never.
  void armFor(BootTime deadline);
  void expire();

  const std::string endpoint_;
  const Clock& clock_;
  const Fd poll_;
  const Fd wake_;
  const Fd timer_;
  std::array<epoll_event, kEvents> events_{};  ///< of its thread
  std::string buffer_;                         ///< of its thread

  std::mutex mutex_;  // guards what follows
  std::vector<std::unique_ptr<Wire>>
      wires_;                         ///< the newest takes calls; they go on its thread only
  std::vector<Ended> ended_;          ///< to be told on its thread
  BootTime rings_ = BootTime::max();  ///< when the timer does
  bool stopping_ = false;

  async::Runner runner_;  // last: it uses all of the above
};

}  // namespace multinet::agent::cri
