#include "controller/loop.h"

#include <algorithm>

#include "lib/base/log.h"

namespace multinet::controller {

void Loop::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void Loop::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void Loop::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

void Loop::run(const std::stop_token& stop) {
  std::optional<Duration> again;
  Duration backoff{};
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      const auto isWoken = [this] { return woken_; };
      if (again) {
        changed_.wait_for(lock, stop, *again, isWoken);
      } else {
        changed_.wait(lock, stop, isWoken);
      }
      if (stop.stop_requested()) return;
      woken_ = false;
    }
    const auto outcome = turn_();
    Duration pause = options_.spacing;
    if (outcome.has_value()) {
      backoff = {};
      again = *outcome;
    } else {
      backoff = std::clamp(backoff * 2, options_.firstBackoff, options_.mostBackoff);
      log::warn("turn failed", {{"loop", options_.name}, {"error", outcome.error()}});
      pause = backoff;
      again = Duration{};
    }
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, pause, [] { return false; });
  }
}

}  // namespace multinet::controller
