#include "nodeagent/sandbox/gate.h"

#include <utility>

namespace multinet::agent::sandbox {
namespace {

std::shared_ptr<const Snapshot> shut(const Error& reason) {
  Snapshot snapshot;
  snapshot.waitsFor = reason;
  return std::make_shared<const Snapshot>(std::move(snapshot));
}

}  // namespace

Gate::Gate(async::Lane& timers, Duration patience)
    : timers_(timers),
      patience_(patience),
      closed_(shut({Code::Unavailable, "Starting", "the agent is starting; try again"})) {}

void Gate::open(Sandboxes& owner) {
  {
    const std::lock_guard lock(mutex_);
    owner_ = &owner;
  }
  for (Held& held : take()) {
    owner.run(std::move(held.request), std::move(held.done));
  }
}

void Gate::close(const Error& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (owner_ != nullptr) return;
    starting_ = false;
    closed_ = shut(reason);
  }
  for (const Held& held : take()) {
    held.done(fail(attachError(held.request.pod, reason)));
  }
}

void Gate::run(RunRequest request, async::Answer<RunResult> done) {
  std::unique_lock lock(mutex_);
  if (owner_ != nullptr) {
    Sandboxes& owner = *owner_;
    lock.unlock();
    return owner.run(std::move(request), std::move(done));
  }
  if (!starting_) {
    const Error reason = closed_->waitsFor;
    lock.unlock();
    return done(fail(attachError(request.pod, reason)));
  }
  const std::uint64_t turn = ++turns_;
  held_.emplace(turn, Held{std::move(request), std::move(done)});
  lock.unlock();
  timers_.postAfter(patience_, [this, turn] { expire(turn); });
}

void Gate::expire(std::uint64_t turn) {
  std::unique_lock lock(mutex_);
  const auto late = held_.extract(turn);
  const Error reason = closed_->waitsFor;
  lock.unlock();
  if (!late.empty()) late.mapped().done(fail(attachError(late.mapped().request.pod, reason)));
}

std::vector<Gate::Held> Gate::take() {
  const std::lock_guard lock(mutex_);
  std::vector<Held> taken;
  for (auto& [turn, held] : std::exchange(held_, {})) taken.push_back(std::move(held));
  return taken;
}

Sandboxes* Gate::owner() const {
  const std::lock_guard lock(mutex_);
  return owner_;
}

void Gate::beforeStop(const SandboxId& id, async::Answer<void> done) {
  if (Sandboxes* open = owner()) return open->beforeStop(id, std::move(done));
  done({});
}

void Gate::afterStop(const SandboxId& id, async::Answer<void> done) {
  if (Sandboxes* open = owner()) return open->afterStop(id, std::move(done));
  done({});
}

void Gate::afterRemove(const SandboxId& id) {
  if (Sandboxes* open = owner()) open->afterRemove(id);
}

Status Gate::mayCreateContainer(const SandboxId& id, const RunRequest& config) const {
  if (Sandboxes* open = owner()) return open->mayCreateContainer(id, config);
  if (!asksForNetworks(config)) return {};
  return fail(snapshot()->waitsFor.within("create container in sandbox " + id.str()));
}

std::shared_ptr<const Snapshot> Gate::snapshot() const {
  if (const Sandboxes* open = owner()) return open->snapshot();
  const std::lock_guard lock(mutex_);
  return closed_;
}

Status Gate::ready() const {
  if (const Sandboxes* open = owner()) return open->ready();
  return fail(snapshot()->waitsFor);
}

}  // namespace multinet::agent::sandbox
