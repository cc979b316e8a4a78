// Threads that take keys from a work queue and reconcile them.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/log.h"
#include "lib/base/result.h"
#include "lib/kube/work_queue.h"

namespace multinet::kube {

/// What a reconcile asks for: nothing more, or a look again after a time. An Error is a failure and
/// backs off.
struct Outcome {
  std::optional<Duration> again;
};

/// Runs `reconcile` for each key on `threads` threads until it is stopped. `queue` outlives it.
template <class Key>
class Workers {
 public:
  using Reconcile = std::function<Result<Outcome>(const Key&)>;

  Workers(std::string name, WorkQueue<Key>& queue, Reconcile reconcile)
      : name_(std::move(name)), queue_(queue), reconcile_(std::move(reconcile)) {}
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void start(int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this](const std::stop_token& stop) {
        while (const auto key = queue_.get(stop)) one(*key);
      });
    }
  }
  /// Ends after the keys that are in hands. The queue stays usable.
  void stop() {
    for (auto& thread : threads_) thread.request_stop();
    threads_.clear();
  }
  /// Works one key; what each thread does, for tests without threads.
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

 private:
  const std::string name_;
  WorkQueue<Key>& queue_;
  const Reconcile reconcile_;
  std::vector<std::jthread> threads_;
};

}  // namespace multinet::kube
