// A named thread that does one thing after the other. A mutable state has one owner; a lane is
// where that owner runs.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "lib/base/clock.h"

namespace multinet::async {

using Task = std::function<void()>;

/// How a lane does: for a watchdog, for metrics.
struct LaneHealth {
  std::string name;
  std::size_t depth = 0;   ///< tasks whose turn hasn't come; those that wait for a time don't count
  Duration age{};          ///< since the oldest of them was posted
  Duration busy{};         ///< how long the running task has been at it; zero while idle
  Duration longest{};      ///< of all tasks that have ended, the longest
  std::uint64_t done = 0;  ///< tasks that have ended
  std::uint64_t refused = 0;  ///< full, or waited too long: see Intake
};

/// Tasks run in the order in which they were posted; those with a time when it has come. A task
/// must not throw. post() and postAfter() may be called from any thread, also from a task.
class Lane {
 public:
  /// `name` is the thread's (at most 15 bytes are shown by the kernel).
  explicit Lane(std::string name);
  ~Lane() { stop(); }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  /// False after stop(): the task was dropped.
  bool post(Task task);
  /// Runs after `delay`, measured by the steady clock.
  bool postAfter(Duration delay, Task task);
  /// Runs what was posted before, drops what waits for its time, ends the thread. Not from a task,
  /// and not from two threads at once.
  void stop();
  [[nodiscard]] bool onThread() const { return std::this_thread::get_id() == thread_.get_id(); }
  [[nodiscard]] LaneHealth health() const;
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Posted {
    Task task;
    Time at;
  };
  void run();
  [[nodiscard]] Task next(std::unique_lock<std::mutex>& lock);

  std::string name_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Posted> tasks_;
  std::multimap<Time, Task> timed_;
  std::optional<Time> busySince_;
  Duration longest_{};
  std::uint64_t done_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace multinet::async
