// Which objects are to be looked at, by which reconciler, and when: each once, however much
// changed.
#pragma once

#include <cstdint>
#include <deque>
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
};

/// One thread.
class Planner {
 public:
  explicit Planner(std::vector<Reconciler> reconcilers);

  /// Marks what the changes concern.
  void note(const World& world, std::span<const Change> changes);
  /// Looks at what is marked or due, until it has `most` writes or nothing is left. Reconcilers
  /// take turns, so that none waits for another's many.
  [[nodiscard]] std::vector<PlannedWrite> plan(const World& world, const Moment& now,
                                               std::size_t most);
  /// Looks at it at `time` at the latest.
  void askAgain(const Origin& origin, BootTime time);
  /// How long nothing is to be done, if nothing changes; nothing: for ever.
  [[nodiscard]] std::optional<Duration> idle(BootTime now) const;
  /// Objects that were looked at since the start, by reconciler.
  [[nodiscard]] std::vector<std::pair<std::string_view, std::uint64_t>> reconciled() const;

 private:
  /// What of an object is to be looked at.
  struct Asked {
    bool whole = false;
    Parts parts;
    void add(const Mark& mark);
    void add(Asked other);
    [[nodiscard]] bool empty() const { return !whole && parts.empty(); }
  };
  struct Queue {
    Reconciler reconciler;
    std::unordered_map<k8s::ObjectKey, Asked> marked;
    std::deque<const k8s::ObjectKey*> waiting;  ///< all that are marked, first come first served
    /// What was looked at and answered with writes: seen again until it is as it should be.
    std::unordered_map<k8s::ObjectKey, Asked> open;
    std::uint64_t done = 0;
  };
  void mark(Queue& queue, Mark mark);
  void markDue(BootTime now);
  [[nodiscard]] static Outcome look(Queue& queue, const World& world, const k8s::ObjectKey& key,
                                    Asked asked, const Moment& now);

  std::vector<Queue> queues_;
  std::map<Origin, BootTime> dueAt_;
  std::set<std::pair<BootTime, Origin>> due_;
};

}  // namespace multinet::controller
