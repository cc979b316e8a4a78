// A named thread that does one thing after the other. A mutable state has one owner; a lane is
// where that owner runs.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "lib/async/runner.h"

namespace multinet::async {

/// Tasks run in the order in which they were posted; those with a time when it has come. A task
/// must not throw. post() and postAfter() may be called from any thread, also from a task.
class Lane {
 public:
  /// `name` is the thread's; `clock`, which outlives it, is what timers and health go by. Throws as
  /// Runner does.
  explicit Lane(std::string name, const Clock& clock = kSystemClock);
  ~Lane() { stop(); }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  /// False after stop(): the task was dropped.
  bool post(Task task);
  /// Runs once `delay` has passed.
  bool postAfter(Duration delay, Task task);
  /// Runs what was posted before, drops what waits for its time, ends the thread. Not from a task,
  /// and not from two threads at once.
  void stop();
  [[nodiscard]] bool onThread() const { return runner_.onThread(); }
  [[nodiscard]] LaneHealth health() const;
  [[nodiscard]] const std::string& name() const { return runner_.name(); }

 private:
  struct Posted {
    Task task;
    BootTime at;
  };
  [[nodiscard]] Task next();

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Posted> tasks_;
  std::multimap<BootTime, Task> timed_;
  bool stopping_ = false;
  Runner runner_;  // last: it uses all of the above
};

}  // namespace multinet::async
