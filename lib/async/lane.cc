#include "lib/async/lane.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "lib/async/start_thread.h"

namespace multinet::async {

// Throws std::system_error where the system gives no thread: a start tells that on, see
// start_thread.h.
Lane::Lane(std::string name) : name_(std::move(name)) {
  threadDoor(name_);
  thread_ = std::thread([this] { run(); });
}

bool Lane::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    tasks_.push_back({std::move(task), std::chrono::steady_clock::now()});
  }
  wake_.notify_one();
  return true;
}

bool Lane::postAfter(Duration delay, Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    timed_.emplace(std::chrono::steady_clock::now() + delay, std::move(task));
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
  if (thread_.joinable()) thread_.join();
  // Now, since what the tasks hold may answer and so come back to post(); and unlocked for that.
  std::multimap<Time, Task> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(timed_);
  }
}

LaneHealth Lane::health() const {
  const Time now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  LaneHealth health{name_, tasks_.size(), {}, {}, longest_, done_};
  if (!tasks_.empty()) health.age = now - tasks_.front().at;
  if (busySince_) health.busy = now - *busySince_;
  return health;
}

void Lane::run() {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  std::unique_lock lock(mutex_);
  while (Task task = next(lock)) {
    busySince_ = std::chrono::steady_clock::now();
    lock.unlock();
    task();
    task = nullptr;  // what it holds goes before the lane counts as idle, and unlocked
    lock.lock();
    longest_ = std::max(longest_, Duration(std::chrono::steady_clock::now() - *busySince_));
    busySince_.reset();
    ++done_;
  }
}

Task Lane::next(std::unique_lock<std::mutex>& lock) {
  while (true) {
    const auto due = timed_.begin();
    if (!stopping_ && due != timed_.end() && due->first <= std::chrono::steady_clock::now()) {
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
      wake_.wait_until(lock, Time(due->first));
    }
  }
}

}  // namespace multinet::async
