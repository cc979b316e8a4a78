// Tells which lane has been at one task for too long: a lane that hangs is seen, not guessed.
#pragma once

#include <string>
#include <vector>

#include "lib/async/lane.h"

namespace multinet::async {

/// A lane that is late, and how long its task has been running.
struct Stall {
  std::string lane;
  Duration busy{};
};

/// Watches lanes that outlive it. Built once, then read from any thread.
class Watchdog {
 public:
  void watch(const Lane& lane, Duration limit) { watched_.push_back({&lane, limit}); }
  [[nodiscard]] std::vector<Stall> stalls() const;

 private:
  struct Watched {
    const Lane* lane;
    Duration limit;
  };
  std::vector<Watched> watched_;
};

}  // namespace multinet::async
