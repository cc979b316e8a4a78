// Tells which lane has been at one task for too long: a lane that hangs is seen, not guessed.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "lib/async/lane.h"

namespace multinet::async {

/// A lane that is late, and how long its task has been running.
struct Stall {
  std::string lane;
  Duration busy{};
};

/// Watches lanes that outlive it. Any thread.
class Watchdog {
 public:
  using Look = std::function<LaneHealth()>;

  void watch(const Lane& lane, Duration limit) {
    watch([&lane] { return lane.health(); }, limit);
  }
  void watch(Look look, Duration limit) {
    const std::lock_guard lock(mutex_);
    watched_.push_back({std::move(look), limit});
  }
  [[nodiscard]] std::vector<Stall> stalls() const;
  [[nodiscard]] std::vector<LaneHealth> healths() const;
  /// Unavailable/LaneStuck names the first lane that hangs.
  [[nodiscard]] Status ready() const;
  /// Logs once that a lane hangs, and once that none does any more. For one thread that calls it
  /// again and again.
  void tell();

 private:
  struct Watched {
    Look look;
    Duration limit;
  };
  mutable std::mutex mutex_;
  std::vector<Watched> watched_;
  bool told_ = false;  ///< of the thread that tells
};

}  // namespace multinet::async
