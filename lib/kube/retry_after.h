// What a server's Retry-After asks for.
#pragma once

#include <charconv>
#include <chrono>
#include <optional>
#include <string_view>
#include <system_error>

#include "lib/base/clock.h"

namespace multinet::kube {

/// The header's seconds; none where it is missing, a date or no number (RFC 9110, 10.2.3).
[[nodiscard]] inline std::optional<Duration> retryAfterOf(std::string_view text) {
  unsigned seconds = 0;
  const auto* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, seconds);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return std::chrono::seconds(seconds);
}

}  // namespace multinet::kube
