#include "nodeagent/watch/namespaces.h"

#include <algorithm>
#include <utility>

namespace multinet::agent::watch {

Namespaces::Namespaces(NamespaceOptions options, const Clock& clock, Fetch fetch)
    : options_(options),
      clock_(clock),
      fetch_(std::move(fetch)),
      workers_("namespaces", clock, {},
               [this](const std::string& name) {
                 this->fetch(name);
                 return Result<async::Outcome>();  // whoever still wants it asks again
               }),
      timers_("namespaces", clock) {
  workers_.start(options_.workers);
}

void Namespaces::stop() {
  workers_.stop();
  timers_.stop();
}

std::optional<k8s::StringMap> Namespaces::labels(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(name);
  if (found == known_.end()) return std::nullopt;
  return found->second.labels;
}

void Namespaces::need(const std::string& name, std::function<void(Status)> done) {
  std::uint64_t id = 0;
  bool isKnown = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(name);
    isKnown = found != known_.end();
    const bool isFresh = isKnown && clock_.now() - found->second.fetched < options_.fresh;
    if (!isFresh) {
      id = ++waiters_;
      waiting_[name].push_back({id, done});
    }
  }
  if (id == 0) return done({});
  workers_.add(name);
  if (isKnown) timers_.postAfter(options_.patience, [this, name, id] { answer(name, id); });
}

void Namespaces::answer(const std::string& name, std::uint64_t id) {
  std::function<void(Status)> done;
  {
    const std::lock_guard lock(mutex_);
    const auto all = waiting_.find(name);
    if (all == waiting_.end()) return;
    const auto one = std::find_if(all->second.begin(), all->second.end(),
                                  [id](const Waiter& waiter) { return waiter.id == id; });
    if (one == all->second.end()) return;
    done = std::move(one->done);
    all->second.erase(one);
    if (all->second.empty()) waiting_.erase(all);
  }
  done({});
}

void Namespaces::fetch(const std::string& name) {
  auto fetched = fetch_(name);
  Status outcome;
  std::vector<Waiter> waiters;
  {
    const std::lock_guard lock(mutex_);
    const bool isKnown = known_.contains(name);
    if (fetched.has_value()) {
      known_.insert_or_assign(name, Known{std::move(*fetched), clock_.now()});
    } else {
      const bool isGone = fetched.error().code == Code::NotFound;
      if (isGone) known_.erase(name);
      if (isGone || !isKnown) outcome = fail(std::move(fetched).error());
    }
    waiters.swap(waiting_[name]);
    waiting_.erase(name);
  }
  for (Waiter& waiter : waiters) waiter.done(outcome);
}

}  // namespace multinet::agent::watch
