// A clock that stands still until a test moves it.
#pragma once

#include <algorithm>
#include <vector>

#include "lib/base/clock.h"

namespace multinet {

class FakeClock final : public Clock {
 public:
  [[nodiscard]] BootTime now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  [[nodiscard]] WallTime wall() const override {
    return WallTime(std::chrono::seconds(1767225600) + now().time_since_epoch());  // 2026-01-01
  }
  void waitUntil(std::condition_variable_any& wake, std::unique_lock<std::mutex>& lock,
                 BootTime at) const override {
    // Held until `wake` waits, so that no advance() comes in between.
    Both both{lock, mutex_};
    mutex_.lock();
    if (now_ < at) {
      waiting_.push_back(&wake);
      wake.wait(both);
      waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &wake));
    }
    mutex_.unlock();
  }
  /// Wakes all who wait for a time.
  void advance(Duration by) {
    const std::lock_guard lock(mutex_);
    now_ += by;
    for (std::condition_variable_any* wake : waiting_) wake->notify_all();
  }

 private:
  struct Both {
    std::unique_lock<std::mutex>& outer;
    std::mutex& inner;
    void lock() {
      outer.lock();
      inner.lock();
    }
    void unlock() {
      inner.unlock();
      outer.unlock();
    }
  };

  mutable std::mutex mutex_;
  mutable std::vector<std::condition_variable_any*> waiting_;
  BootTime now_{std::chrono::seconds(1)};
};

}  // namespace multinet
