#include "lib/async/watchdog.h"

#include "lib/base/log.h"

namespace multinet::async {

std::vector<Stall> Watchdog::stalls() const {
  std::vector<Stall> result;
  const std::lock_guard lock(mutex_);
  for (const auto& [look, limit] : watched_) {
    const LaneHealth health = look();
    if (health.busy > limit) result.push_back({health.name, health.busy});
  }
  return result;
}

std::vector<LaneHealth> Watchdog::healths() const {
  std::vector<LaneHealth> result;
  const std::lock_guard lock(mutex_);
  result.reserve(watched_.size());
  for (const auto& watched : watched_) result.push_back(watched.look());
  return result;
}

Status Watchdog::ready() const {
  const std::vector<Stall> stuck = stalls();
  if (stuck.empty()) return {};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(stuck.front().busy);
  return fail(Code::Unavailable, "LaneStuck",
              "thread \"" + stuck.front().lane + "\" of the agent has been at one task for " +
                  std::to_string(seconds.count()) +
                  " s: what it waits for hangs (see the kernel's log and the disk)");
}

void Watchdog::tell() {
  const Status lanes = ready();
  if (lanes.has_value() != told_) return;
  told_ = !told_;
  if (told_) {
    log::error("a thread hangs", {{"error", lanes.error()}});
  } else {
    log::info("no thread hangs any more", {});
  }
}

}  // namespace multinet::async
