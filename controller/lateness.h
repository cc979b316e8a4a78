// Since when what changed waits to be written: since a watch told of it.
#pragma once

#include <mutex>
#include <optional>
#include <utility>

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
  /// When the first change was noticed that nobody has taken; now, where there is none.
  [[nodiscard]] BootTime take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(noticed_, std::nullopt).value_or(clock_.now());
  }

 private:
  const Clock& clock_;
  std::mutex mutex_;
  std::optional<BootTime> noticed_;
};

}  // namespace multinet::controller
