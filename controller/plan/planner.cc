#include "controller/plan/planner.h"

#include <algorithm>
#include <utility>

namespace multinet::controller {
namespace {

/// Of more the object is looked at as a whole.
constexpr std::size_t kMostParts = 256;

}  // namespace

Planner::Planner(std::vector<Reconciler> reconcilers) {
  for (auto& reconciler : reconcilers) queues_.push_back({std::move(reconciler), {}, {}, {}, 0});
}

void Planner::Asked::add(const Mark& mark) {
  if (whole) return;
  if (mark.about) parts.insert(*mark.about);
  whole = mark.whole || parts.size() > kMostParts;
  if (whole) parts.clear();
}

void Planner::Asked::add(Asked other) {
  if (whole) return;
  parts.merge(other.parts);
  whole = other.whole || parts.size() > kMostParts;
  if (whole) parts.clear();
}

void Planner::note(const World& world, std::span<const Change> changes) {
  Keys keys;
  for (const Change& change : changes) {
    for (Queue& queue : queues_) {
      keys.clear();
      queue.reconciler.concerned(world, change, keys);
      for (auto& one : keys) mark(queue, std::move(one));
    }
  }
}

void Planner::mark(Queue& queue, Mark mark) {
  if (queue.reconciler.reconcileParts == nullptr) mark.whole = true;
  const auto [place, isNew] = queue.marked.try_emplace(mark.key);
  if (isNew) queue.waiting.push_back(&place->first);
  place->second.add(mark);
}

void Planner::askAgain(const Origin& origin, BootTime time) {
  const auto [place, isNew] = dueAt_.try_emplace(origin, time);
  if (!isNew) {
    if (place->second <= time) return;
    due_.erase({place->second, origin});
    place->second = time;
  }
  due_.insert({time, origin});
}

void Planner::markDue(BootTime now) {
  while (!due_.empty() && due_.begin()->first <= now) {
    const Origin origin = due_.begin()->second;
    due_.erase(due_.begin());
    dueAt_.erase(origin);
    mark(queues_[origin.reconciler], Mark::itself(origin.key));
  }
}

Outcome Planner::look(Queue& queue, const World& world, const k8s::ObjectKey& key, Asked asked,
                      const Moment& now) {
  const Reconciler& reconciler = queue.reconciler;
  if (reconciler.reconcileParts == nullptr) return reconciler.reconcile(world, key, now);
  if (const auto found = queue.open.find(key); found != queue.open.end()) {
    asked.add(std::move(found->second));
    queue.open.erase(found);
  }
  auto outcome = asked.whole ? reconciler.reconcile(world, key, now)
                             : reconciler.reconcileParts(world, key, asked.parts, now);
  if (!outcome.writes.empty() && !asked.empty()) queue.open.emplace(key, std::move(asked));
  return outcome;
}

std::vector<PlannedWrite> Planner::plan(const World& world, const Moment& now, std::size_t most) {
  markDue(now.boot);
  std::vector<PlannedWrite> planned;
  for (bool any = true; any && planned.size() < most;) {
    any = false;
    for (std::size_t i = 0; i < queues_.size() && planned.size() < most; ++i) {
      Queue& queue = queues_[i];
      if (queue.waiting.empty()) continue;
      any = true;
      const Origin origin{i, *queue.waiting.front()};
      queue.waiting.pop_front();
      auto asked = std::move(queue.marked.extract(origin.key).mapped());
      ++queue.done;
      auto outcome = look(queue, world, origin.key, std::move(asked), now);
      if (outcome.again) askAgain(origin, now.boot + *outcome.again);
      for (auto& write : outcome.writes) planned.push_back({origin, std::move(write)});
    }
  }
  return planned;
}

std::optional<Duration> Planner::idle(BootTime now) const {
  if (std::ranges::any_of(queues_, [](const Queue& queue) { return !queue.waiting.empty(); })) {
    return Duration::zero();
  }
  if (due_.empty()) return std::nullopt;
  return std::max(Duration::zero(), due_.begin()->first - now);
}

std::vector<std::pair<std::string_view, std::uint64_t>> Planner::reconciled() const {
  std::vector<std::pair<std::string_view, std::uint64_t>> counts;
  counts.reserve(queues_.size());
  for (const Queue& queue : queues_) counts.emplace_back(queue.reconciler.name, queue.done);
  return counts;
}

}  // namespace multinet::controller
