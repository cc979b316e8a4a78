// How often a watch lists all again. Inside this room.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/base/clock.h"

namespace multinet::kube {

/// What comparing may cost the API server a second, in the mean, for each watch: of 5,000 nodes
/// that follow two large kinds each that is 10 MB.
inline constexpr std::uint64_t kCompareBytes = 1U << 10U;

/// How long a list of so many bytes is to last, before jitter.
[[nodiscard]] inline Duration compareAfter(Duration every, std::uint64_t bytes) {
  return std::max<Duration>(every, std::chrono::seconds(bytes / kCompareBytes));
}

}  // namespace multinet::kube
