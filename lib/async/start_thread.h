// Starting threads while the system may have none left: pids.max, RLIMIT_NPROC, memory.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "lib/base/log.h"

namespace multinet::async {

/// What std::thread's constructor throws, thrown where the failpoint `thread.NAME` is armed with
/// `error`. Before each thread that is made.
void threadDoor(const std::string& name);

/// Makes what needs a thread, and where the system gives none says so once and waits until it does,
/// since a watch or a recorder can do nothing better and an exception would end the process. For
/// what is made late, on a thread that may wait; what is made at a start lets the error go up to
/// who can tell it.
template <class Make>
[[nodiscard]] auto patiently(const std::string& name, Make make) {
  constexpr std::chrono::milliseconds kPause(500);
  for (bool told = false;; told = true) {
    try {
      return make();
    } catch (const std::system_error& error) {
      if (!told)
        log::error("can't start a thread yet", {{"thread", name}, {"error", error.what()}});
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace multinet::async
