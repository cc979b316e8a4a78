#include "lib/async/watchdog.h"

namespace multinet::async {

std::vector<Stall> Watchdog::stalls() const {
  std::vector<Stall> result;
  const auto now = std::chrono::steady_clock::now();
  for (const auto& [lane, limit] : watched_) {
    const auto since = lane->busySince();
    if (since && now - *since > limit) result.push_back({lane->name(), now - *since});
  }
  return result;
}

}  // namespace multinet::async
