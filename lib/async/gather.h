// What many ask for in a burst, done once.
#pragma once

#include <atomic>
#include <utility>

#include "lib/async/lane.h"

namespace multinet::async {

/// Does its work on a lane a moment after it was first asked to; who asks meanwhile is served by
/// that. Outlives the lane's end.
class Gather {
 public:
  /// `lane` outlives the last ask().
  Gather(Lane& lane, Duration wait, Task work) : lane_(lane), wait_(wait), work_(std::move(work)) {}
  Gather(const Gather&) = delete;
  Gather& operator=(const Gather&) = delete;
  ~Gather() = default;

  /// Any thread; returns at once. Whatever was true before the call is seen by the work.
  void ask() {
    if (asked_.exchange(true)) return;
    lane_.postAfter(wait_, [this] {
      asked_ = false;
      work_();
    });
  }

 private:
  Lane& lane_;
  const Duration wait_;
  const Task work_;
  std::atomic<bool> asked_{false};
};

}  // namespace multinet::async
