// The one kind of thread that this project's loops run on: it has a name, it does one thing after
// the other, and it says how it does. Lanes, workers and loops of other shapes are made of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "lib/base/clock.h"

namespace multinet::async {

using Task = std::function<void()>;

/// How a thread does: for a watchdog, for metrics.
struct LaneHealth {
  std::string name;
  std::size_t depth = 0;   ///< tasks whose turn hasn't come; those that wait for a time don't count
  Duration age{};          ///< since the oldest of them was posted
  Duration busy{};         ///< how long the running task has been at it; zero while idle
  Duration longest{};      ///< of all tasks that have ended, the longest
  std::uint64_t done = 0;  ///< tasks that have ended
  std::uint64_t refused = 0;  ///< full, or waited too long: see Intake
};

/// Owns one thread from its construction to join(); the last member of who owns it, since the
/// thread asks at once.
class Runner {
 public:
  /// Waits for the next task, on the thread; an empty one ends it. A task must not throw.
  using Next = std::function<Task()>;

  /// `name` is the thread's (at most 15 bytes are shown by the kernel). `clock`, which outlives it,
  /// measures. Throws std::system_error where the system gives no thread: see start_thread.h.
  Runner(std::string name, const Clock& clock, Next next);
  ~Runner() { join(); }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Once `next` gives nothing any more. Not from the thread, and not from two at once.
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] bool onThread() const { return std::this_thread::get_id() == id_.load(); }
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Without depth and age, which whoever holds the tasks knows.
  [[nodiscard]] LaneHealth health() const;

 private:
  static constexpr BootTime kIdle = BootTime::min();
  void run();

  const std::string name_;
  const Clock& clock_;
  const Next next_;
  std::atomic<std::thread::id> id_;
  std::atomic<BootTime> busySince_ = kIdle;
  std::atomic<Duration> longest_ = Duration{};
  std::atomic<std::uint64_t> done_ = 0;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace multinet::async
