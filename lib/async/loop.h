// A lane that does one thing when told to, when it asked to, or after a failure with backoff.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "lib/base/result.h"

namespace multinet::async {

struct LoopOptions {
  std::string name;
  Duration spacing = std::chrono::milliseconds(200);  ///< from one turn's end to the next's begin
  Duration firstBackoff = std::chrono::seconds(1);
  Duration mostBackoff = std::chrono::seconds(30);
};

/// Owns a lane from `start` to `stop`. Whatever a turn waits for besides wake(), it asks for by a
/// time: nobody wakes it for what the clock alone changes.
class Loop {
 public:
  /// Returns when it wants its next turn at the latest; nothing: not before it is woken.
  using Turn = std::function<Result<std::optional<Duration>>()>;

  /// `clock` outlives it.
  Loop(LoopOptions options, const Clock& clock, Turn turn)
      : options_(std::move(options)), clock_(clock), turn_(std::move(turn)) {}
  ~Loop() { stop(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Once. The first turn needs no wake().
  void start();
  /// Returns after the turn that is under way. For good.
  void stop();
  /// Asks for a turn. Thread-safe, never blocks for long; many calls are one turn.
  void wake();
  /// When the last turn that succeeded has ended; nothing before the first.
  [[nodiscard]] std::optional<WallTime> lastTurn() const;
  [[nodiscard]] const std::string& name() const { return options_.name; }
  /// Of its lane, once it was started.
  [[nodiscard]] LaneHealth health() const { return lane_->health(); }

 private:
  /// When `timer` has come.
  void turn(BootTime timer);
  /// Under the lock: the next turn is no later than `at`, and not before the spacing is over.
  void schedule(BootTime at);
  /// Under the lock: some timer comes no later than due_.
  void setTimer();

  const LoopOptions options_;
  const Clock& clock_;
  const Turn turn_;
  Duration backoff_{};  // of the lane
  mutable std::mutex mutex_;
  bool running_ = false;
  bool woken_ = false;  ///< while it ran
  std::optional<BootTime> due_;
  /// That the lane keeps. One that comes too early sets the next, so that turns which come sooner
  /// than was said don't leave one each.
  std::set<BootTime> timers_;
  BootTime notBefore_ = BootTime::min();
  std::optional<WallTime> lastTurn_;
  std::unique_ptr<Lane> lane_;  // last: it uses all of the above
};

}  // namespace multinet::async
