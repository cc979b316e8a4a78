#include "controller/plan/planner.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace multinet::controller {
namespace {

/// Of more the object is looked at as a whole.
constexpr std::size_t kMostParts = 256;

}  // namespace

Planner::Planner(std::vector<Reconciler> reconcilers, std::size_t ahead) : ahead_(ahead) {
  for (auto& reconciler : reconcilers) queues_.emplace_back().reconciler = std::move(reconciler);
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

void Planner::note(const World& world, std::span<const Change> changes, BootTime since) {
  Keys keys;
  for (const Change& change : changes) {
    for (Queue& queue : queues_) {
      keys.clear();
      queue.reconciler.concerned(world, change, keys);
      for (const auto& one : keys) mark(queue, one, since);
    }
  }
}

void Planner::mark(Queue& queue, const Mark& mark, BootTime since) {
  const auto [place, isNew] = queue.marked.try_emplace(mark.key);
  Asked& asked = place->second;
  if (isNew) {
    asked.since = since;
    if (!queue.writing.contains(mark.key)) queue.waiting.push_back(&place->first);
  }
  if (queue.reconciler.reconcileParts == nullptr) asked.whole = true;
  asked.add(mark);
}

void Planner::ended(const Origin& origin) {
  Queue& queue = queues_[origin.reconciler];
  const auto place = queue.writing.find(origin.key);
  --queue.underWay;
  if (--place->second > 0) return;
  queue.writing.erase(place);
  const auto marked = queue.marked.find(origin.key);
  if (marked != queue.marked.end()) queue.waiting.push_back(&marked->first);
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
    mark(queues_[origin.reconciler], Mark::itself(origin.key), now);
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

std::vector<PlannedWrite> Planner::plan(const World& world, const Moment& now) {
  markDue(now.boot);
  std::vector<PlannedWrite> planned;
  // In turns, so that what is written first is of all of them.
  for (bool any = true; any;) {
    any = false;
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      Queue& queue = queues_[i];
      if (!mayLook(queue)) continue;
      any = true;
      const Origin origin{i, *queue.waiting.front()};
      queue.waiting.pop_front();
      auto asked = std::move(queue.marked.extract(origin.key).mapped());
      const BootTime since = asked.since;
      ++queue.done;
      auto outcome = look(queue, world, origin.key, std::move(asked), now);
      if (outcome.again) askAgain(origin, now.boot + *outcome.again);
      std::ranges::move(outcome.notices, std::back_inserter(notices_));
      if (outcome.writes.empty()) continue;
      queue.writing[origin.key] = outcome.writes.size();
      queue.underWay += outcome.writes.size();
      for (auto& write : outcome.writes) planned.push_back({origin, std::move(write), since});
    }
  }
  return planned;
}

std::optional<Duration> Planner::idle(BootTime now) const {
  if (std::ranges::any_of(queues_, [this](const Queue& queue) { return mayLook(queue); })) {
    return Duration::zero();
  }
  if (due_.empty()) return std::nullopt;
  return std::max(Duration::zero(), due_.begin()->first - now);
}

bool Planner::awaitsWrites() const {
  return std::ranges::any_of(
      queues_, [](const Queue& queue) { return queue.underWay > 0 && !queue.marked.empty(); });
}

std::vector<std::pair<std::string_view, std::uint64_t>> Planner::reconciled() const {
  std::vector<std::pair<std::string_view, std::uint64_t>> counts;
  counts.reserve(queues_.size());
  for (const Queue& queue : queues_) counts.emplace_back(queue.reconciler.name, queue.done);
  return counts;
}

}  // namespace multinet::controller
