// Which networks lost their last pod of a namespace of late, and when. What policies of the cluster
// are told by there is kept a while for the next pod: a job of every minute isn't a ledger, heads
// and slices each time.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/ids.h"

namespace multinet::controller {

/// So long it is kept.
inline constexpr Duration kVacancyKept = std::chrono::minutes(5);

/// One thread. Knows those of the last kVacancyKept before the last of them, and no more.
class Vacancies {
 public:
  void left(const std::string& nameSpace, const NetworkName& network, BootTime time) {
    while (!byTime_.empty() && byTime_.begin()->first + kVacancyKept <= time) {
      left_.erase(byTime_.begin()->second);
      byTime_.erase(byTime_.begin());
    }
    const Place place{nameSpace, network};
    const auto [found, isNew] = left_.try_emplace(place, time);
    if (!isNew) byTime_.erase({std::exchange(found->second, time), place});
    byTime_.insert({time, place});
  }
  /// Nothing: not of late. Whether a pod has come meanwhile it doesn't know.
  [[nodiscard]] std::optional<BootTime> leftAt(const std::string& nameSpace,
                                               const NetworkName& network) const {
    const auto found = left_.find({nameSpace, network});
    return found == left_.end() ? std::nullopt : std::optional(found->second);
  }
  [[nodiscard]] std::size_t size() const { return left_.size(); }

 private:
  using Place = std::pair<std::string, NetworkName>;
  std::map<Place, BootTime> left_;
  std::set<std::pair<BootTime, Place>> byTime_;
};

}  // namespace multinet::controller
