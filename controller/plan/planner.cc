#include "controller/plan/planner.h"

#include <algorithm>
#include <utility>

namespace multinet::controller {

Planner::Planner(std::vector<Reconciler> reconcilers) {
  for (auto& reconciler : reconcilers) queues_.push_back({std::move(reconciler), {}, {}, 0});
}

void Planner::note(const World& world, std::span<const Change> changes) {
  Keys keys;
  for (const Change& change : changes) {
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      keys.clear();
      queues_[i].reconciler.concerned(world, change, keys);
      for (auto& key : keys) mark({i, std::move(key)});
    }
  }
}

void Planner::mark(const Origin& origin) {
  Queue& queue = queues_[origin.reconciler];
  const auto [place, isNew] = queue.marked.insert(origin.key);
  if (isNew) queue.waiting.push_back(&*place);
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
    mark(origin);
  }
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
      queue.marked.erase(origin.key);
      ++queue.done;
      auto outcome = queue.reconciler.reconcile(world, origin.key, now);
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
