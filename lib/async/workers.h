// Threads that take keys from a work queue and reconcile them.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/async/runner.h"
#include "lib/async/work_queue.h"
#include "lib/base/log.h"
#include "lib/base/result.h"

namespace multinet::async {

/// What a reconcile asks for: nothing more, or a look again after a time. An Error is a failure and
/// backs off.
struct Outcome {
  std::optional<Duration> again;
};

/// Runs `reconcile` for each key of its queue.
template <class Key>
class Workers {
 public:
  using Reconcile = std::function<Result<Outcome>(const Key&)>;

  /// `name` is the threads' and the log's; `clock` outlives it.
  Workers(std::string name, const Clock& clock, BackoffOptions backoff, Reconcile reconcile)
      : name_(std::move(name)),
        clock_(clock),
        queue_(clock, backoff),
        reconcile_(std::move(reconcile)) {}
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void start(int threads) {
    for (int i = 0; i < threads; ++i) {
      runners_.push_back(std::make_unique<Runner>(name_, clock_, [this]() -> Task {
        const auto key = queue_.get();
        if (!key) return nullptr;
        return [this, key = *key] { one(key); };
      }));
    }
  }
  /// Ends after the keys that are in hands; those that wait are dropped. For good.
  void stop() {
    queue_.shutDown();
    runners_.clear();
  }
  void add(const Key& key) { queue_.add(key); }
  /// Not before `delay` has passed; the earlier of two wishes counts.
  void addAfter(const Key& key, Duration delay) { queue_.addAfter(key, delay); }

  /// Works a key that is ready, if there is one: what each thread does, for tests without threads.
  bool workOne() {
    const auto key = queue_.tryGet();
    if (key) one(*key);
    return key.has_value();
  }
  [[nodiscard]] QueueStats stats() const { return queue_.stats(); }
  [[nodiscard]] int failures(const Key& key) const { return queue_.failures(key); }
  /// Of all threads: the longest that one is at its key, the sum of what they did.
  [[nodiscard]] LaneHealth health() const {
    const QueueStats stats = queue_.stats();
    LaneHealth health{.name = name_, .depth = stats.depth, .age = stats.oldestAge};
    for (const auto& runner : runners_) {
      const LaneHealth one = runner->health();
      health.busy = std::max(health.busy, one.busy);
      health.longest = std::max(health.longest, one.longest);
      health.done += one.done;
    }
    return health;
  }

 private:
  void one(const Key& key) {
    const auto outcome = reconcile_(key);
    if (outcome.has_value()) {
      queue_.forget(key);
      if (outcome->again) queue_.addAfter(key, *outcome->again);
    } else {
      log::warn("reconcile failed", {{"reconciler", name_},
                                     {"attempt", queue_.failures(key) + 1},
                                     {"error", outcome.error()}});
      queue_.addFailed(key);
    }
    queue_.done(key);
  }

  const std::string name_;
  const Clock& clock_;
  WorkQueue<Key> queue_;
  const Reconcile reconcile_;
  std::vector<std::unique_ptr<Runner>> runners_;  // last: they use all of the above
};

}  // namespace multinet::async
