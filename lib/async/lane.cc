#include "lib/async/lane.h"

#include <algorithm>
#include <utility>

namespace multinet::async {

Lane::Lane(std::string name, const Clock& clock)
    : clock_(clock), runner_(std::move(name), clock, [this] { return next(); }) {}

bool Lane::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    tasks_.push_back({std::move(task), clock_.now()});
    knock();
  }
  return true;
}

bool Lane::dispatch(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    if (turn_.load() != std::thread::id() || !tasks_.empty()) {
      tasks_.push_back({std::move(task), clock_.now()});
      knock();
      return true;
    }
    turn_ = std::this_thread::get_id();
    hasGuest_ = true;
    guestSince_ = clock_.now();
  }
  task();
  task = nullptr;  // what it holds goes before the next one's turn
  const std::lock_guard lock(mutex_);
  longestGuest_ = std::max(longestGuest_, Duration(clock_.now() - guestSince_));
  ++guests_;
  hasGuest_ = false;
  turn_ = std::thread::id();
  if (std::exchange(knocked_, false)) wake_.notify_one();
  return true;
}

void Lane::knock() {
  if (hasGuest_) {
    knocked_ = true;
  } else {
    wake_.notify_one();
  }
}

bool Lane::postAfter(Duration delay, Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    const auto added = timed_.emplace(clock_.now() + delay, std::move(task));
    if (added == timed_.begin()) knock();
  }
  return true;
}

void Lane::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    knock();
  }
  runner_.join();
  // Now, since what the tasks hold may answer and so come back to post(); and unlocked for that.
  std::multimap<BootTime, Task> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(timed_);
  }
}

LaneHealth Lane::health() const {
  LaneHealth health = runner_.health();
  const std::lock_guard lock(mutex_);
  if (hasGuest_) health.busy = std::max(Duration{}, Duration(clock_.now() - guestSince_));
  health.longest = std::max(health.longest, longestGuest_);
  health.done += guests_;
  health.depth = tasks_.size();
  if (!tasks_.empty()) health.age = clock_.now() - tasks_.front().at;
  return health;
}

Task Lane::next() {
  std::unique_lock lock(mutex_);
  turn_ = std::thread::id();
  while (true) {
    if (hasGuest_) {
      knocked_ = true;
      wake_.wait(lock);
      continue;
    }
    const auto due = timed_.begin();
    if (!stopping_ && due != timed_.end() && due->first <= clock_.now()) {
      Task task = std::move(due->second);
      timed_.erase(due);
      turn_ = std::this_thread::get_id();
      return task;
    }
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front().task);
      tasks_.pop_front();
      turn_ = std::this_thread::get_id();
      return task;
    }
    if (stopping_) return nullptr;
    if (due == timed_.end()) {
      wake_.wait(lock);
    } else {
      clock_.waitUntil(wake_, lock, BootTime(due->first));
    }
  }
}

}  // namespace multinet::async
