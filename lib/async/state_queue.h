// Level-driven: of each key only the newest value counts. Feeds caches and reports; never refuses.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "lib/async/lane.h"

namespace multinet::async {

/// Hands values to `consume` on the lane, one a task, so that nothing else on the lane starves. Its
/// memory is bounded by the number of keys. The lane must be stopped before the queue is destroyed.
template <class Key, class Value>
class StateQueue {
 public:
  StateQueue(Lane& lane, std::function<void(const Key&, Value)> consume)
      : lane_(lane), consume_(std::move(consume)) {}

  /// Replaces a value of the same key that is still waiting; its place in the line stays.
  void put(Key key, Value value) {
    {
      const std::lock_guard lock(mutex_);
      const auto [place, isNew] = waiting_.insert_or_assign(key, std::move(value));
      if (!isNew) return;
      order_.push_back(std::move(key));
    }
    lane_.post([this] { consumeOne(); });
  }

  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }

 private:
  void consumeOne() {
    std::unique_lock lock(mutex_);
    if (order_.empty()) return;
    auto node = waiting_.extract(order_.front());
    order_.pop_front();
    lock.unlock();
    consume_(node.key(), std::move(node.mapped()));
  }

  Lane& lane_;
  std::function<void(const Key&, Value)> consume_;
  mutable std::mutex mutex_;
  std::map<Key, Value> waiting_;
  std::deque<Key> order_;
};

}  // namespace multinet::async
