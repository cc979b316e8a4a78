// Definitions of WorkQueue; included by work_queue.h only.
#pragma once

#include <algorithm>

#include "lib/async/work_queue.h"

namespace multinet::async {

template <class Key>
void WorkQueue<Key>::enqueue(const Key& key) {
  if (down_ || !dirty_.insert(key).second) return;
  ++added_;
  // done() puts it into ready_ when it is in hands now.
  if (processing_.contains(key)) return;
  ready_.push_back({key, clock_.now()});
}

template <class Key>
void WorkQueue<Key>::schedule(const Key& key, BootTime due) {
  if (down_) return;
  const auto [place, isNew] = dueOf_.try_emplace(key, due);
  if (!isNew) {
    if (place->second <= due) return;
    delayed_.erase({place->second, key});
    place->second = due;
  }
  delayed_.insert({due, key});
}

template <class Key>
void WorkQueue<Key>::promoteDue() {
  const auto now = clock_.now();
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    const Key key = delayed_.begin()->second;
    delayed_.erase(delayed_.begin());
    dueOf_.erase(key);
    enqueue(key);
  }
}

template <class Key>
std::optional<Key> WorkQueue<Key>::take() {
  promoteDue();
  if (down_ || ready_.empty()) return std::nullopt;
  Key key = std::move(ready_.front().key);
  ready_.pop_front();
  dirty_.erase(key);
  processing_.insert(key);
  return key;
}

template <class Key>
void WorkQueue<Key>::add(const Key& key) {
  {
    const std::lock_guard lock(mutex_);
    enqueue(key);
  }
  wake_.notify_one();
}

template <class Key>
void WorkQueue<Key>::addAfter(const Key& key, Duration delay) {
  {
    const std::lock_guard lock(mutex_);
    schedule(key, clock_.now() + delay);
  }
  wake_.notify_one();
}

template <class Key>
void WorkQueue<Key>::addFailed(const Key& key) {
  {
    const std::lock_guard lock(mutex_);
    const int failed = failures_[key]++;
    auto delay = backoff_.most;
    if (failed < 30) delay = std::min(delay, backoff_.first * (std::int64_t{1} << failed));
    std::uniform_real_distribution<double> jitter(0.5, 1.0);
    delay =
        Duration(static_cast<Duration::rep>(static_cast<double>(delay.count()) * jitter(random_)));
    ++retries_;
    schedule(key, clock_.now() + delay);
  }
  wake_.notify_one();
}

template <class Key>
void WorkQueue<Key>::forget(const Key& key) {
  const std::lock_guard lock(mutex_);
  failures_.erase(key);
}

template <class Key>
int WorkQueue<Key>::failures(const Key& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

template <class Key>
std::optional<Key> WorkQueue<Key>::get() {
  std::unique_lock lock(mutex_);
  while (!down_) {
    if (auto key = take()) {
      // Whoever waits on sees to what is left: only one was woken.
      if (!ready_.empty() || !delayed_.empty()) wake_.notify_one();
      return key;
    }
    if (delayed_.empty()) {
      wake_.wait(lock);
    } else {
      clock_.waitUntil(wake_, lock, BootTime(delayed_.begin()->first));
    }
  }
  return std::nullopt;
}

template <class Key>
std::optional<Key> WorkQueue<Key>::tryGet() {
  const std::lock_guard lock(mutex_);
  return take();
}

template <class Key>
void WorkQueue<Key>::done(const Key& key) {
  {
    const std::lock_guard lock(mutex_);
    processing_.erase(key);
    if (dirty_.contains(key)) ready_.push_back({key, clock_.now()});
  }
  wake_.notify_one();
}

template <class Key>
void WorkQueue<Key>::shutDown() {
  {
    const std::lock_guard lock(mutex_);
    down_ = true;
  }
  wake_.notify_all();
}

template <class Key>
QueueStats WorkQueue<Key>::stats() const {
  const std::lock_guard lock(mutex_);
  QueueStats stats;
  stats.depth = ready_.size();
  stats.delayed = delayed_.size();
  stats.processing = processing_.size();
  if (!ready_.empty()) stats.oldestAge = clock_.now() - ready_.front().since;
  stats.added = added_;
  stats.retries = retries_;
  return stats;
}

}  // namespace multinet::async
