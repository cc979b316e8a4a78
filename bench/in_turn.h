// Contenders measured side by side: each round takes every one of them once, in another order, so
// that whatever else the machine does, and whatever one leaves behind, falls on all alike.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <optional>
#include <random>
#include <vector>

#include "lib/base/result.h"

namespace multinet::bench {

using Steady = std::chrono::steady_clock;

/// Whichever comes first ends a run, after a whole round.
struct Bounds {
  int rounds = 0;
  std::chrono::seconds limit{0};
  int warmUp = 0;  ///< rounds before them that don't count
};

[[nodiscard]] inline double milliseconds(Steady::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

/// Measures one contender; without a round it is for warming up.
using Measure = std::function<Status(std::size_t contender, std::optional<int> round)>;

/// The orders are drawn, the same ones in each run. The first failure ends it.
[[nodiscard]] inline Status inTurn(std::size_t contenders, const Bounds& bounds,
                                   const Measure& measure) {
  std::vector<std::size_t> order(contenders);
  std::iota(order.begin(), order.end(), 0U);
  std::mt19937 orders;  // NOLINT(cert-msc51-cpp): the same ones in each run
  std::optional<Steady::time_point> until;
  for (int round = -bounds.warmUp; round < bounds.rounds; ++round) {
    if (round == 0) until = Steady::now() + bounds.limit;
    if (until && Steady::now() >= *until) break;
    for (const std::size_t contender : order) {
      MULTINET_CHECK(measure(contender, round < 0 ? std::nullopt : std::optional(round)));
    }
    std::shuffle(order.begin(), order.end(), orders);
  }
  return {};
}

}  // namespace multinet::bench
