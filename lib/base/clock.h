// Time as an argument, so that tests own it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include "lib/base/result.h"

namespace multinet {

using Duration = std::chrono::nanoseconds;
/// Time since boot, suspend counted (CLOCK_BOOTTIME): for deadlines and confirmed-until times.
using BootTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
/// Wall clock, only for what people and the API read.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

/// A source of time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual BootTime now() const = 0;
  [[nodiscard]] virtual WallTime wall() const = 0;
  /// Waits until `wake` is notified or `at` has come, perhaps shorter: the caller looks again.
  virtual void waitUntil(std::condition_variable_any& wake, std::unique_lock<std::mutex>& lock,
                         BootTime at) const = 0;
};

/// The kernel's clocks.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] BootTime now() const override;
  [[nodiscard]] WallTime wall() const override;
  void waitUntil(std::condition_variable_any& wake, std::unique_lock<std::mutex>& lock,
                 BootTime at) const override;
};

/// For whoever is given no other.
inline const SystemClock kSystemClock{};

/// RFC 3339 in UTC with whole seconds, as Kubernetes writes `metav1.Time`.
[[nodiscard]] std::string formatTime(WallTime time);
/// RFC 3339 in UTC with microseconds, as Kubernetes writes `metav1.MicroTime`.
[[nodiscard]] std::string formatMicroTime(WallTime time);
/// Reads both forms.
[[nodiscard]] Result<WallTime> parseTime(std::string_view text);

}  // namespace multinet
