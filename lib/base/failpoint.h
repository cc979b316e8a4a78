// Named places where a test can stop, delay, fail or kill the process.
//
// Always compiled in, since what is tested is what ships; one relaxed load while nothing is armed.
// Armed only by the environment variable MULTINET_FAILPOINTS, read once at start:
//
//   sandbox.intent.committed=kill      SIGKILL at that place
//   sandbox.*@7=kill                   at the 7th place passed whose name starts with `sandbox.`
//   journal.commit=error               the place returns Internal/Failpoint
//   journal.commit=delay:500           milliseconds
//   a=kill;b=error                     several
//
// One that kills or stops says so on standard error: `failpoint sandbox.intent.before: kill`.
// Every place is listed in docs/failpoints.md.
#pragma once

#include <atomic>
#include <string_view>

#include "lib/base/result.h"

namespace multinet::failpoint {

/// Reads the environment. An entry that can't be understood is an error, not a silence.
[[nodiscard]] Status arm(std::string_view specification);

namespace internal {
extern std::atomic<bool> armed;
[[nodiscard]] Status hit(std::string_view name);
}  // namespace internal

/// True where this process is told to fail: that it dies is no news.
[[nodiscard]] inline bool anyArmed() {
  return internal::armed.load(std::memory_order_relaxed);
}

/// A place that can fail.
[[nodiscard]] inline Status check(std::string_view name) {
  if (!internal::armed.load(std::memory_order_relaxed)) return {};
  return internal::hit(name);
}

/// A place that can only stop, delay or kill.
inline void pass(std::string_view name) {
  if (internal::armed.load(std::memory_order_relaxed)) static_cast<void>(internal::hit(name));
}

}  // namespace multinet::failpoint
