// How other threads reach the relay's.
#pragma once

#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "lib/base/fd.h"

namespace multinet::agent::cri {

/// Outlives the relay with whoever still holds it.
class Inbox {
 public:
  Inbox();
  ~Inbox() = default;
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// Runs on the relay's thread; dropped, and false, once that has ended. Any thread.
  bool post(std::function<void()> task);
  [[nodiscard]] bool onThread() const { return thread_ == std::this_thread::get_id(); }

  // The relay's thread alone:

  /// Of the one that calls.
  void belong() { thread_ = std::this_thread::get_id(); }
  /// Readable while something waits.
  [[nodiscard]] int descriptor() const { return wake_.get(); }
  void runAll();
  void close();

 private:
  Fd wake_;
  std::thread::id thread_;
  std::mutex mutex_;
  bool closed_ = false;
  std::vector<std::function<void()>> tasks_;
};

}  // namespace multinet::agent::cri
