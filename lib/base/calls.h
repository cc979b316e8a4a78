// Calls to the kernel, told to whoever counts them. One observer a process, as there is one log:
// the sockets are opened in many places, some of them for one pod, and none of these knows of
// metrics.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

#include "lib/base/clock.h"
#include "lib/base/result.h"

namespace multinet::calls {

/// A call that ended. Both words are the program's own, never a caller's.
struct Call {
  const char* door = "";  ///< `netlink`, `nft`
  const char* call = "";  ///< `change`, `dump`
  Code code = Code::Ok;
  Duration took{};
};
/// Any thread; must not block.
using Observer = std::function<void(const Call&)>;

/// Once, at start. It is called until the process ends.
void observe(Observer observer);

namespace internal {
extern std::atomic<const Observer*> observer;
}  // namespace internal

/// The Result or Status of `work`, timed where somebody observes.
template <class Work>
auto timed(const char* door, const char* call, const Work& work) -> decltype(work()) {
  const Observer* observer = internal::observer.load(std::memory_order_acquire);
  if (observer == nullptr) return work();
  const auto begin = std::chrono::steady_clock::now();
  auto result = work();
  (*observer)({door, call, result ? Code::Ok : result.error().code,
               std::chrono::steady_clock::now() - begin});
  return result;
}

}  // namespace multinet::calls
