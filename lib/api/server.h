// The API server that our kinds need.
#pragma once

namespace multinet::api {

/// Kubernetes 1.N is the oldest API server that our kinds and policies work on,
inline constexpr int kOldestMinor = 31;
/// since it
inline constexpr const char* kWhyOldest =
    "has what Multinet's kinds need (selectable fields, CEL's cidr())";

}  // namespace multinet::api
