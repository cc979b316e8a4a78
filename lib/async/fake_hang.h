// Holds answers back while what gives them is told to hang: a SIGSTOP for fakes.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace multinet::async {

/// Thread-safe.
class FakeHang {
 public:
  /// From now on nothing answers.
  void hang() {
    const std::lock_guard lock(mutex_);
    hanging_ = true;
  }
  /// Gives what was held back, in order, on the caller's thread.
  void release() {
    std::vector<std::function<void()>> held;
    {
      const std::lock_guard lock(mutex_);
      hanging_ = false;
      held.swap(held_);
    }
    for (const auto& answer : held) answer();
  }
  /// Runs `answer` now or at release().
  void pass(std::function<void()> answer) {
    {
      const std::lock_guard lock(mutex_);
      if (hanging_) {
        held_.push_back(std::move(answer));
        return;
      }
    }
    answer();
  }
  [[nodiscard]] std::size_t held() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }

 private:
  mutable std::mutex mutex_;
  bool hanging_ = false;
  std::vector<std::function<void()>> held_;
};

}  // namespace multinet::async
