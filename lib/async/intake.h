// A bounded queue for one worker: items of one kind, taken in batches on a lane of its own.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "lib/async/lane.h"

namespace multinet::async {

/// Thread-safe. Callbacks run on the lane.
template <class Item>
class Intake {
 public:
  struct Options {
    std::string name;  ///< of the thread, at most 15 bytes
    std::size_t capacity = 1;
    std::size_t batch = 1;
    /// Items that waited for longer aren't worked but told: whoever asked has given up, and those
    /// behind needn't wait for them. Without `tooOld` all are worked.
    Duration patience{};
    std::function<void(Item)> tooOld{};
    const Clock* clock = &kSystemClock;  ///< outlives the intake
  };

  Intake(Options options, std::function<void(std::vector<Item>)> work)
      : options_(std::move(options)),
        work_(std::move(work)),
        lane_(options_.name, *options_.clock) {}
  Intake(const Intake&) = delete;
  Intake& operator=(const Intake&) = delete;
  ~Intake() { static_cast<void>(stop()); }

  enum class Push { Taken, Full, Stopped };
  /// Moves `item` away only where it is taken.
  [[nodiscard]] Push push(Item& item) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return Push::Stopped;
      if (items_.size() >= options_.capacity) {
        ++refused_;
        return Push::Full;
      }
      items_.push_back({std::move(item), now()});
      if (std::exchange(scheduled_, true)) return Push::Taken;
    }
    lane_.post([this] { workOff(); });
    return Push::Taken;
  }

  /// For what must not be refused; whoever calls bounds it. Before stop() only.
  void force(Item item) {
    {
      const std::lock_guard lock(mutex_);
      items_.push_back({std::move(item), now()});
      if (std::exchange(scheduled_, true)) return;
    }
    lane_.post([this] { workOff(); });
  }

  /// Lets the running batch end and gives back what still waited. Idempotent; not from the lane.
  [[nodiscard]] std::deque<Item> stop() {
    std::deque<Item> left;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      for (Waiting& one : std::exchange(items_, {})) left.push_back(std::move(one.item));
    }
    lane_.stop();
    return left;
  }

  /// Depth and age are those of the items.
  [[nodiscard]] LaneHealth health() const {
    LaneHealth health = lane_.health();
    const std::lock_guard lock(mutex_);
    health.depth = items_.size();
    health.age = {};
    if (!items_.empty()) health.age = now() - items_.front().at;
    health.refused = refused_;
    return health;
  }

 private:
  struct Waiting {
    Item item;
    BootTime at;
  };

  [[nodiscard]] BootTime now() const { return options_.clock->now(); }

  void workOff() {
    std::vector<Item> batch;
    std::vector<Item> old;
    {
      const std::lock_guard lock(mutex_);
      const BootTime time = now();
      while (!items_.empty() && batch.size() < options_.batch) {
        Waiting one = std::move(items_.front());
        items_.pop_front();
        const bool isOld = options_.tooOld && time - one.at > options_.patience;
        (isOld ? old : batch).push_back(std::move(one.item));
      }
      refused_ += old.size();
    }
    for (Item& item : old) options_.tooOld(std::move(item));
    if (!batch.empty()) work_(std::move(batch));
    {
      const std::lock_guard lock(mutex_);
      scheduled_ = !items_.empty();
      if (!scheduled_) return;
    }
    lane_.post([this] { workOff(); });
  }

  const Options options_;
  const std::function<void(std::vector<Item>)> work_;
  mutable std::mutex mutex_;
  std::deque<Waiting> items_;
  std::uint64_t refused_ = 0;
  bool scheduled_ = false;  ///< workOff() is posted or runs
  bool stopping_ = false;
  Lane lane_;  // last: it uses all of the above
};

}  // namespace multinet::async
