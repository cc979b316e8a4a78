// What only the leader does.
#pragma once

#include "lib/async/loop.h"
#include "lib/kube/leader.h"

namespace multinet::controller {

/// A replica that doesn't lead looks again after this: leading ends and begins by the clock alone,
/// for which nobody wakes a loop.
inline constexpr Duration kLookAgain = std::chrono::seconds(2);

/// `turn` while `elector`, which outlives it, leads; else nothing but another look.
[[nodiscard]] async::Loop::Turn whileLeading(const kube::LeaderElector& elector,
                                             async::Loop::Turn turn);

}  // namespace multinet::controller
