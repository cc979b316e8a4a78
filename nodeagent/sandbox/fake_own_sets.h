// Sets of the API in memory.
#pragma once

#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "nodeagent/sandbox/testimony.h"

namespace multinet::agent::sandbox {

/// Answers on the caller's thread. Thread-safe.
class FakeOwnSets {
 public:
  /// It outlives whoever has that.
  [[nodiscard]] OwnSets door() {
    return [this](async::Answer<std::vector<KnownSet>> done) { list(done); };
  }
  void list(const async::Answer<std::vector<KnownSet>>& done) {
    std::optional<Error> error;
    std::vector<KnownSet> sets;
    {
      const std::lock_guard lock(mutex_);
      ++asked_;
      error = error_;
      sets = sets_;
    }
    if (error.has_value()) return done(fail(*error));
    done(std::move(sets));
  }

  void put(KnownSet set) {
    const std::lock_guard lock(mutex_);
    sets_.push_back(std::move(set));
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    sets_.clear();
  }
  void failWith(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  [[nodiscard]] int asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<KnownSet> sets_;
  std::optional<Error> error_;
  int asked_ = 0;
};

}  // namespace multinet::agent::sandbox
