// How long to wait before trying again.
#pragma once

#include <cstdint>
#include <random>

#include "lib/base/clock.h"

namespace multinet::async {

/// Doubles from `first` to `cap`; each wait is drawn evenly from its upper half, so that many
/// clients that failed together don't come back together. Not thread-safe.
class Backoff {
 public:
  Backoff(Duration first, Duration cap, std::uint64_t seed = std::random_device{}());
  [[nodiscard]] Duration next();
  /// After a success.
  void reset() { wait_ = first_; }

 private:
  Duration first_;
  Duration cap_;
  Duration wait_;
  std::mt19937_64 random_;
};

}  // namespace multinet::async
