// Whether what the API says of policies is old: nothing was heard of it for as long as makes a
// cache old. A watch that works is heard at least each minute.
#pragma once

#include <chrono>
#include <optional>

#include "lib/base/clock.h"
#include "lib/kube/watch.h"
#include "nodeagent/watch/caches.h"

namespace multinet::agent::policing {

struct FreshnessOptions {
  /// Silence of so long is old.
  Duration oldest = kube::kOldCache;
  /// The API server is there if it said anything, of whatever, in so long.
  Duration present = std::chrono::minutes(2);
  /// After an outage one watch is there earlier than another. So long that means nothing; it is
  /// four times the longest that a watch waits before it tries again.
  Duration alone = std::chrono::minutes(2);
  /// How often it is looked whether what was old is so any more.
  Duration lookAgain = std::chrono::seconds(10);
};

/// Pure; one thread.
class Freshness {
 public:
  explicit Freshness(FreshnessOptions options = {}) : options_(options) {}

  /// `isNeeded`: whether any pod here could be subject to a policy. Where none is, nothing is old.
  void look(const watch::Caches::Heard& heard, bool isNeeded, BootTime now);
  /// Since when nothing was heard, where that is too long.
  [[nodiscard]] std::optional<BootTime> oldSince() const;
  /// Whether it is, while the API server answers all the same: that passes by no outage's end.
  [[nodiscard]] bool isSilentAlone() const { return isSilentAlone_; }
  /// When to look again; nothing: when a pod comes.
  [[nodiscard]] std::optional<BootTime> next() const { return next_; }

 private:
  FreshnessOptions options_;
  std::optional<BootTime> silentSince_;  ///< nothing: not needed
  std::optional<BootTime> aloneSince_;
  std::optional<BootTime> next_;
  bool isOld_ = false;
  bool isSilentAlone_ = false;
};

}  // namespace multinet::agent::policing
