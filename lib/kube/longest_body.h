// Inside this room.
#pragma once

#include <cstddef>

namespace multinet::kube {

/// Of an answer, whichever connection it comes by: a page of 500 of the largest objects that etcd
/// keeps is far above it, and a server that sends more is broken.
inline constexpr std::size_t kLongestBody = 256U << 20U;

}  // namespace multinet::kube
