#include "lib/async/loop.h"

#include <algorithm>

#include "lib/base/log.h"

namespace multinet::async {

void Loop::start() {
  const std::lock_guard lock(mutex_);
  lane_ = std::make_unique<Lane>(options_.name, clock_);
  schedule(clock_.now());
}

void Loop::stop() {
  if (lane_ != nullptr) lane_->stop();
}

void Loop::wake() {
  const std::lock_guard lock(mutex_);
  if (running_) {
    woken_ = true;
  } else {
    schedule(clock_.now());
  }
}

std::optional<WallTime> Loop::lastTurn() const {
  const std::lock_guard lock(mutex_);
  return lastTurn_;
}

void Loop::schedule(BootTime at) {
  if (lane_ == nullptr) return;  // start() does
  at = std::max(at, notBefore_);
  if (due_ && *due_ <= at) return;
  due_ = at;
  setTimer();
}

void Loop::setTimer() {
  if (!timers_.empty() && *timers_.begin() <= *due_) return;
  timers_.insert(*due_);
  lane_->postAfter(*due_ - clock_.now(), [this, at = *due_] { turn(at); });
}

void Loop::turn(BootTime timer) {
  {
    const std::lock_guard lock(mutex_);
    timers_.erase(timer);
    if (!due_) return;
    if (*due_ > clock_.now()) return setTimer();
    due_.reset();
    running_ = true;
    woken_ = false;
  }
  const auto outcome = turn_();
  if (outcome.has_value()) {
    backoff_ = {};
  } else {
    backoff_ = std::clamp(backoff_ * 2, options_.firstBackoff, options_.mostBackoff);
    log::warn("turn failed", {{"loop", options_.name}, {"error", outcome.error()}});
  }
  const std::lock_guard lock(mutex_);
  const BootTime now = clock_.now();
  running_ = false;
  if (outcome.has_value()) lastTurn_ = clock_.wall();
  notBefore_ = now + (outcome.has_value() ? options_.spacing : backoff_);
  if (woken_ || !outcome.has_value()) {
    schedule(now);
  } else if (*outcome) {
    schedule(now + **outcome);
  }
}

}  // namespace multinet::async
