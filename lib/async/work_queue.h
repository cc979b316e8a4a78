// Keys that wait for work: each once, none in two hands, later again after a failure.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>

#include "lib/base/clock.h"

namespace multinet::async {

struct BackoffOptions {
  Duration first = std::chrono::milliseconds(100);
  Duration most = std::chrono::minutes(1);
};

struct QueueStats {
  std::size_t depth = 0;       ///< ready now
  std::size_t delayed = 0;     ///< waiting for their time
  std::size_t processing = 0;  ///< in hands
  Duration oldestAge{};        ///< how long the first of the ready ones has waited
  std::uint64_t added = 0;
  std::uint64_t retries = 0;
};

/// First in, first out. A key that is added while it waits is not added again; one that is added
/// while it is worked on comes again after `done`, so that no change is lost and no key is ever in
/// two hands. Thread-safe. `Key` is copyable, ordered.
template <class Key>
class WorkQueue {
 public:
  /// `clock` outlives it.
  explicit WorkQueue(const Clock& clock, BackoffOptions backoff = {})
      : clock_(clock), backoff_(backoff), random_(std::random_device{}()) {}

  void add(const Key& key);
  /// Not before `delay` has passed; the earlier of two wishes counts.
  void addAfter(const Key& key, Duration delay);
  /// After a delay that doubles with each failure since `forget`, jittered to 50 to 100 % of it.
  void addFailed(const Key& key);
  /// The key worked: its next failure begins with the first delay.
  void forget(const Key& key);
  [[nodiscard]] int failures(const Key& key) const;

  /// Waits for a key. Empty once shut down.
  [[nodiscard]] std::optional<Key> get();
  /// A key that is ready now, without waiting.
  [[nodiscard]] std::optional<Key> tryGet();
  /// Every key that was got is given back exactly once.
  void done(const Key& key);

  /// No further key is accepted or handed out.
  void shutDown();
  [[nodiscard]] QueueStats stats() const;

 private:
  struct Waiting {
    Key key;
    BootTime since;
  };

  void enqueue(const Key& key);
  void schedule(const Key& key, BootTime due);
  void promoteDue();
  std::optional<Key> take();

  const Clock& clock_;
  const BackoffOptions backoff_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Waiting> ready_;
  std::set<Key> dirty_;  ///< in ready_, or to be put there by done()
  std::set<Key> processing_;
  std::map<Key, BootTime> dueOf_;
  std::set<std::pair<BootTime, Key>> delayed_;
  std::map<Key, int> failures_;
  std::mt19937_64 random_;
  std::uint64_t added_ = 0;
  std::uint64_t retries_ = 0;
  bool down_ = false;
};

}  // namespace multinet::async

#include "lib/async/work_queue_inl.h"
