// What is wanted, and what was until a while ago: what comes and goes with pods isn't ended and
// begun anew with each of them.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "lib/base/clock.h"

namespace multinet::agent::watch {

/// Pure; one thread.
class Lingering {
 public:
  explicit Lingering(Duration after) : after_(after) {}

  /// Wanted at this moment.
  void touch(const std::string& name, BootTime now) { until_[name] = now + after_; }
  /// All that is wanted now; returns that, and what lingers.
  [[nodiscard]] std::set<std::string> update(const std::set<std::string>& wanted, BootTime now) {
    for (const std::string& name : wanted) touch(name, now);
    std::set<std::string> kept = wanted;
    std::erase_if(until_, [now](const auto& one) { return one.second <= now; });
    for (const auto& [name, until] : until_) kept.insert(name);
    return kept;
  }
  /// When something ends that nobody wants by then; nothing: never.
  [[nodiscard]] std::optional<BootTime> next() const {
    std::optional<BootTime> first;
    for (const auto& [name, until] : until_) first = first ? std::min(*first, until) : until;
    return first;
  }

 private:
  Duration after_;
  std::map<std::string, BootTime> until_;
};

}  // namespace multinet::agent::watch
