// How long what changed waits until it is written: from when a watch told of it.
#pragma once

#include <mutex>
#include <optional>

#include "lib/base/clock.h"

namespace multinet::controller {

/// Any thread.
class Lateness {
 public:
  /// `clock` outlives it.
  explicit Lateness(const Clock& clock) : clock_(clock) {}

  /// Something changed.
  void noticed() {
    const std::lock_guard lock(mutex_);
    if (!noticed_) noticed_ = clock_.now();
  }
  enum class LeftOver : bool { No, Yes };
  /// A turn takes all that was noticed. What the turn before left over is as old as it was.
  void begin(LeftOver leftOver) {
    const std::lock_guard lock(mutex_);
    const BootTime first = noticed_.value_or(clock_.now());
    noticed_.reset();
    if (leftOver == LeftOver::No || first < begun_) begun_ = first;
  }
  /// Since the first change that this turn is about.
  [[nodiscard]] Duration now() const {
    const std::lock_guard lock(mutex_);
    return clock_.now() - begun_;
  }

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::optional<BootTime> noticed_;  ///< the first that no turn has taken
  BootTime begun_;
};

}  // namespace multinet::controller
