#include "lib/base/clock.h"

#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

namespace multinet {
namespace {

Duration read(clockid_t id) {
  timespec spec{};
  ::clock_gettime(id, &spec);
  return std::chrono::seconds(spec.tv_sec) + std::chrono::nanoseconds(spec.tv_nsec);
}

std::tm utc(WallTime time) {
  const std::time_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return parts;
}

std::string format(const std::tm& parts) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace

BootTime SystemClock::now() const {
  return BootTime(read(CLOCK_BOOTTIME));
}

WallTime SystemClock::wall() const {
  return WallTime(read(CLOCK_REALTIME));
}

// The wait itself counts no suspend: it may end late by one, as all timers do.
void SystemClock::waitUntil(std::condition_variable_any& wake, std::unique_lock<std::mutex>& lock,
                            BootTime at) const {
  wake.wait_for(lock, at - now());
}

std::string formatTime(WallTime time) {
  return format(utc(time)) + "Z";
}

std::string formatMicroTime(WallTime time) {
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count() %
      1000000;
  return fmt::format("{}.{:06}Z", format(utc(time)), micros);
}

Result<WallTime> parseTime(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  const char* rest = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) {
    return fail(Code::InvalidArgument, "InvalidTime",
                "parse time \"" + copy + "\": not RFC 3339, such as 2026-01-31T12:00:00Z");
  }
  Duration fraction{0};
  if (*rest == '.') {
    Duration unit = std::chrono::milliseconds(100);
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) fraction += unit * (*rest - '0');
  }
  if (std::string_view(rest) != "Z") {
    return fail(Code::InvalidArgument, "InvalidTime",
                "parse time \"" + copy + "\": the zone must be Z, as Kubernetes writes it");
  }
  return WallTime(std::chrono::seconds(::timegm(&parts)) + fraction);
}

}  // namespace multinet
