// A thread that does one thing when told to, when it asked to, or after a failure with backoff.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "lib/base/clock.h"
#include "lib/base/result.h"

namespace multinet::controller {

struct LoopOptions {
  std::string name;
  Duration spacing = std::chrono::milliseconds(200);  ///< from one turn's end to the next's begin
  Duration firstBackoff = std::chrono::seconds(1);
  Duration mostBackoff = std::chrono::seconds(30);
};

/// Owns one thread from `start` to `stop`.
class Loop {
 public:
  /// Returns when it wants its next turn at the latest; nothing: not before it is woken.
  using Turn = std::function<Result<std::optional<Duration>>()>;

  Loop(LoopOptions options, Turn turn) : options_(std::move(options)), turn_(std::move(turn)) {}
  ~Loop() { stop(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void start();
  /// Returns after the turn that is under way.
  void stop();
  /// Asks for a turn. Thread-safe, never blocks for long; many calls are one turn.
  void wake();

 private:
  void run(const std::stop_token& stop);

  LoopOptions options_;
  Turn turn_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool woken_ = true;  // the first turn needs no call
  std::jthread thread_;
};

}  // namespace multinet::controller
