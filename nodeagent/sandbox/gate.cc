#include "nodeagent/sandbox/gate.h"

#include <utility>

namespace multinet::agent::sandbox {
namespace {

std::shared_ptr<const Snapshot> shut(const Error& reason) {
  Snapshot snapshot;
  snapshot.waitsFor = reason;
  return std::make_shared<const Snapshot>(std::move(snapshot));
}

Result<RunResult> refusal(const Error& reason, const PodRef& pod) {
  return fail(reason.within("attach networks of pod " + pod.str()));
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
  for (Held& held : take([](const PodRef&) { return true; })) {
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
  for (const Held& held : take([](const PodRef&) { return true; })) {
    held.done(refusal(reason, held.request.pod));
  }
}

void Gate::run(RunRequest request, Callback<RunResult> done) {
  std::unique_lock lock(mutex_);
  if (owner_ != nullptr) {
    Sandboxes& owner = *owner_;
    lock.unlock();
    return owner.run(std::move(request), std::move(done));
  }
  if (!starting_) {
    const Error reason = closed_->waitsFor;
    lock.unlock();
    return done(refusal(reason, request.pod));
  }
  const std::uint64_t call = ++calls_;
  held_.emplace(call, Held{std::move(request), std::move(done)});
  lock.unlock();
  timers_.postAfter(patience_, [this, call] { expire(call); });
}

void Gate::expire(std::uint64_t call) {
  std::unique_lock lock(mutex_);
  const auto late = held_.extract(call);
  const Error reason = closed_->waitsFor;
  lock.unlock();
  if (!late.empty()) late.mapped().done(refusal(reason, late.mapped().request.pod));
}

std::vector<Gate::Held> Gate::take(const std::function<bool(const PodRef&)>& fits) {
  const std::lock_guard lock(mutex_);
  std::vector<Held> taken;
  for (auto held = held_.begin(); held != held_.end();) {
    if (!fits(held->second.request.pod)) {
      ++held;
      continue;
    }
    taken.push_back(std::move(held->second));
    held = held_.erase(held);
  }
  return taken;
}

Sandboxes* Gate::owner() const {
  const std::lock_guard lock(mutex_);
  return owner_;
}

void Gate::abort(const PodRef& pod) {
  if (Sandboxes* open = owner()) open->abort(pod);
  for (const Held& held : take([&pod](const PodRef& one) { return one == pod; })) {
    held.done(refusal({Code::Cancelled, "Aborted", "the call was cancelled"}, pod));
  }
}

void Gate::beforeStop(const SandboxId& id, StatusCallback done) {
  if (Sandboxes* open = owner()) return open->beforeStop(id, std::move(done));
  done({});
}

void Gate::afterStop(const SandboxId& id, StatusCallback done) {
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
