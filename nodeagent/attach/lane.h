// A bounded queue and the thread that works it off.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace multinet::agent::attach {

/// Hands tasks to one thread, at most `batch` at a time. Thread-safe. `stop()` lets the running
/// batch end, then gives back what was still waiting.
template <class Task>
class Lane {
 public:
  struct Options {
    std::string name;  ///< of the thread, at most 15 bytes
    std::size_t capacity = 1;
    std::size_t batch = 1;
  };

  Lane(Options options, std::function<void(std::vector<Task>)> work)
      : options_(std::move(options)), work_(std::move(work)), thread_([this] { run(); }) {
    pthread_setname_np(thread_.native_handle(), options_.name.c_str());
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane() { static_cast<void>(stop()); }

  enum class Push { Taken, Full, Stopped };
  /// Moves `task` away only where it is taken.
  [[nodiscard]] Push push(Task& task) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return Push::Stopped;
      if (tasks_.size() >= options_.capacity) return Push::Full;
      tasks_.push_back(std::move(task));
    }
    ready_.notify_one();
    return Push::Taken;
  }

  /// For what must not be refused; whoever calls bounds it. Before stop() only.
  void force(Task task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    ready_.notify_one();
  }

  /// Idempotent; not from the lane's own thread.
  [[nodiscard]] std::deque<Task> stop() {
    std::deque<Task> left;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      left.swap(tasks_);
    }
    ready_.notify_one();
    if (thread_.joinable()) thread_.join();
    return left;
  }

 private:
  void run() {
    while (true) {
      std::vector<Task> batch;
      {
        std::unique_lock lock(mutex_);
        ready_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        while (!tasks_.empty() && batch.size() < options_.batch) {
          batch.push_back(std::move(tasks_.front()));
          tasks_.pop_front();
        }
      }
      work_(std::move(batch));
    }
  }

  Options options_;
  std::function<void(std::vector<Task>)> work_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace multinet::agent::attach
