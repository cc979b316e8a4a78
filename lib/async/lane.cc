#include "lib/async/lane.h"

#include <utility>

namespace multinet::async {

Lane::Lane(std::string name, const Clock& clock)
    : clock_(clock), runner_(std::move(name), clock, [this] { return next(); }) {}

bool Lane::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    tasks_.push_back({std::move(task), clock_.now()});
  }
  wake_.notify_one();
  return true;
}

bool Lane::postAfter(Duration delay, Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    timed_.emplace(clock_.now() + delay, std::move(task));
  }
  wake_.notify_one();
  return true;
}

void Lane::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
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
  health.depth = tasks_.size();
  if (!tasks_.empty()) health.age = clock_.now() - tasks_.front().at;
  return health;
}

Task Lane::next() {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto due = timed_.begin();
    if (!stopping_ && due != timed_.end() && due->first <= clock_.now()) {
      Task task = std::move(due->second);
      timed_.erase(due);
      return task;
    }
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front().task);
      tasks_.pop_front();
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
