// A named thread that does one thing after the other. A mutable state has one owner; a lane is
// where that owner runs.
//
// Who answers the owner needn't wake it: while the lane has nothing to do, it takes a guest, which
// runs its task on its own thread. There is one at a time on a lane, its own thread or a guest.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>

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
  /// Runs it before the call returns, on the caller's thread, where the lane has nothing to do;
  /// else in its turn. The caller holds no lock that the task may want. Any thread; false as of
  /// post().
  bool dispatch(Task task);
  /// Runs once `delay` has passed.
  bool postAfter(Duration delay, Task task);
  /// Runs what was posted before, drops what waits for its time, ends the thread. Not from a task,
  /// and not from two threads at once.
  void stop();
  /// Within a task of the lane, also within a guest's.
  [[nodiscard]] bool onThread() const { return std::this_thread::get_id() == turn_.load(); }
  [[nodiscard]] LaneHealth health() const;
  [[nodiscard]] const std::string& name() const { return runner_.name(); }

 private:
  struct Posted {
    Task task;
    BootTime at;
  };
  [[nodiscard]] Task next();
  /// Wakes the thread, or has the guest do it when it leaves. Under the lock.
  void knock();

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Posted> tasks_;
  std::multimap<BootTime, Task> timed_;
  bool stopping_ = false;
  std::atomic<std::thread::id> turn_{};  ///< whose it is to run a task; changed under the lock
  bool hasGuest_ = false;
  bool knocked_ = false;      ///< while a guest was there
  BootTime guestSince_{};     ///< while a guest is there
  Duration longestGuest_{};   ///< of those that have left
  std::uint64_t guests_ = 0;  ///< that have left
  Runner runner_;             // last: it uses all of the above
};

}  // namespace multinet::async
