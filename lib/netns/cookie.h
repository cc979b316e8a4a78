// The number by which the kernel, and programs in it, know a network namespace.
#pragma once

#include <cstdint>

#include "lib/netns/netns.h"

namespace multinet::netns {

/// No other namespace gets it until the next boot. Enters the namespace for it, from `home`, where
/// the thread is. Linux 5.14 and later.
[[nodiscard]] Result<std::uint64_t> cookie(const Fd& netns, const Home& home);

}  // namespace multinet::netns
