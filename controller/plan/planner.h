// Which objects are to be looked at, by which reconciler, and when: each once, however much
// changed.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// Whose wish a write is.
struct Origin {
  std::size_t reconciler = 0;
  k8s::ObjectKey key;
  auto operator<=>(const Origin&) const = default;
};
struct PlannedWrite {
  Origin origin;
  Write write;
  BootTime since{};  ///< when the first change was noticed that it answers
};

/// One thread.
class Planner {
 public:
  /// A reconciler that has `ahead` writes under way waits for one of them to end, and for none of
  /// another's.
  explicit Planner(std::vector<Reconciler> reconcilers,
                   std::size_t ahead = std::numeric_limits<std::size_t>::max());

  /// Marks what the changes concern, the first of which was noticed at `since`.
  void note(const World& world, std::span<const Change> changes, BootTime since = {});
  /// Looks at what is marked or due. What it returns is under way from then on, and an object is
  /// looked at again only when all its writes have ended.
  [[nodiscard]] std::vector<PlannedWrite> plan(const World& world, const Moment& now);
  /// What has come up since the last call that people are to hear.
  [[nodiscard]] std::vector<Notice> notices() { return std::exchange(notices_, {}); }
  /// A write of it has ended: once for each that was planned.
  void ended(const Origin& origin);
  /// Looks at it at `time` at the latest.
  void askAgain(const Origin& origin, BootTime time);
  /// How long nothing is to be done, if nothing changes and no write ends; nothing: for ever.
  [[nodiscard]] std::optional<Duration> idle(BootTime now) const;
  /// Something is to be looked at as soon as a write has ended.
  [[nodiscard]] bool awaitsWrites() const;
  /// Objects that were looked at since the start, by reconciler.
  [[nodiscard]] std::vector<std::pair<std::string_view, std::uint64_t>> reconciled() const;

 private:
  /// What of an object is to be looked at.
  struct Asked {
    bool whole = false;
    Parts parts;
    BootTime since{};  ///< when the first of it was noticed
    void add(const Mark& mark);
    void add(Asked other);
    [[nodiscard]] bool empty() const { return !whole && parts.empty(); }
  };
  struct Queue {
    Reconciler reconciler;
    std::unordered_map<k8s::ObjectKey, Asked> marked;
    /// Of the marked those with no write under way, first come first served.
    std::deque<const k8s::ObjectKey*> waiting;
    std::unordered_map<k8s::ObjectKey, std::size_t> writing;  ///< with how many writes
    std::size_t underWay = 0;                                 ///< of all of them
    /// What was looked at and answered with writes: seen again until it is as it should be.
    std::unordered_map<k8s::ObjectKey, Asked> open;
    std::uint64_t done = 0;
  };
  void mark(Queue& queue, const Mark& mark, BootTime since);
  void markDue(BootTime now);
  [[nodiscard]] static Outcome look(Queue& queue, const World& world, const k8s::ObjectKey& key,
                                    Asked asked, const Moment& now);

  [[nodiscard]] bool mayLook(const Queue& queue) const {
    return !queue.waiting.empty() && queue.underWay < ahead_;
  }

  const std::size_t ahead_;
  std::vector<Queue> queues_;
  std::vector<Notice> notices_;
  std::map<Origin, BootTime> dueAt_;
  std::set<std::pair<BootTime, Origin>> due_;
};

}  // namespace multinet::controller
