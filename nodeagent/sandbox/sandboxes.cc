#include "nodeagent/sandbox/sandboxes.h"

#include <random>
#include <utility>

#include "lib/api/names.h"
#include "nodeagent/sandbox/owner.h"

namespace multinet::agent::sandbox {

IntentId newIntentId() {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::random_device random;
  std::string text;
  for (int word = 0; word < 2; ++word) {
    std::uint32_t value = random();
    for (int digit = 0; digit < 8; ++digit, value >>= 4U) text += kDigits[value & 0xfU];
  }
  return IntentId(text);
}

// version-traceid-parentid-flags, all of fixed length.
std::string traceId(const CallMetadata& metadata) {
  constexpr std::size_t kBegin = 3;
  constexpr std::size_t kLength = 32;
  const auto parent = metadata.find("traceparent");
  if (parent == metadata.end() || parent->second.size() < kBegin + kLength) return "";
  return parent->second.substr(kBegin, kLength);
}

Error attachError(const PodRef& pod, const Error& why) {
  return why.within("attach networks of pod " + pod.str());
}

bool asksForNetworks(const RunRequest& request) {
  return request.annotations.contains(api::kNetworksAnnotation);
}

bool asksForNetworks(const RuntimeSandbox& sandbox) {
  return sandbox.annotations.contains(api::kNetworksAnnotation);
}

// By what is known of the sandbox as well as by what the request asks: either may be incomplete.
Status mayCreateContainer(const Snapshot& now, const SandboxId& id, const RunRequest& config) {
  const auto view = now.sandboxes.find(id);
  const bool isKnown = view != now.sandboxes.end();
  if (!isKnown && !asksForNetworks(config)) return {};
  const std::string what = "create container in sandbox " + id.str();
  if (!now.recovered) return fail(now.waitsFor.within(what));
  if (isKnown && view->second.attached) return {};
  if (isKnown && view->second.doubt != journal::Doubt::None) {
    return fail(Code::FailedPrecondition, "NetworksInDoubt",
                what + ": it isn't certain that its networks are there (" +
                    std::string(name(view->second.doubt)) +
                    "); it is looked at again, and deleting the pod helps");
  }
  const auto asked = config.annotations.find(api::kNetworksAnnotation);
  return fail(Code::FailedPrecondition, "NotAttached",
              what + ": the pod asks for networks" +
                  (asked == config.annotations.end() ? "" : " \"" + asked->second + "\"") +
                  ", and this sandbox doesn't have them");
}

Sandboxes::Sandboxes(async::Lane& timers, Duration patience)
    : timers_(timers), patience_(patience) {
  Snapshot picture;
  picture.waitsFor = {Code::Unavailable, "Starting", "the agent is starting; try again"};
  show(std::move(picture));
}

void Sandboxes::open(Owner& owner) {
  {
    const std::lock_guard lock(mutex_);
    owner_ = &owner;
  }
  for (Held& held : take()) {
    owner.run(std::move(held.request), std::move(held.done));
  }
}

void Sandboxes::close(const Error& reason) {
  Snapshot picture;
  picture.waitsFor = reason;
  show(std::move(picture));
  {
    const std::lock_guard lock(mutex_);
    if (owner_ != nullptr) return;
    starting_ = false;
  }
  for (const Held& held : take()) {
    held.done(fail(attachError(held.request.pod, reason)));
  }
}

void Sandboxes::show(Snapshot picture) {
  const std::lock_guard lock(mutex_);
  picture_ = std::make_shared<const Snapshot>(std::move(picture));
}

void Sandboxes::run(RunRequest request, async::Answer<RunResult> done) {
  std::unique_lock lock(mutex_);
  if (Owner* const owner = owner_) {
    lock.unlock();
    return owner->run(std::move(request), std::move(done));
  }
  if (!starting_) {
    const Error reason = picture_->waitsFor;
    lock.unlock();
    return done(fail(attachError(request.pod, reason)));
  }
  const std::uint64_t turn = ++turns_;
  held_.emplace(turn, Held{std::move(request), std::move(done)});
  lock.unlock();
  timers_.postAfter(patience_, [this, turn] { expire(turn); });
}

void Sandboxes::expire(std::uint64_t turn) {
  std::unique_lock lock(mutex_);
  const auto late = held_.extract(turn);
  const Error reason = picture_->waitsFor;
  lock.unlock();
  if (!late.empty()) late.mapped().done(fail(attachError(late.mapped().request.pod, reason)));
}

std::vector<Sandboxes::Held> Sandboxes::take() {
  const std::lock_guard lock(mutex_);
  std::vector<Held> taken;
  for (auto& [turn, held] : std::exchange(held_, {})) taken.push_back(std::move(held));
  return taken;
}

void Sandboxes::beforeStop(const SandboxId& id, async::Answer<void> done) {
  if (Owner* const owner = owner_) return owner->beforeStop(id, std::move(done));
  done({});
}

void Sandboxes::afterStop(const SandboxId& id, async::Answer<void> done) {
  if (Owner* const owner = owner_) return owner->afterStop(id, std::move(done));
  done({});
}

void Sandboxes::afterRemove(const SandboxId& id) {
  if (Owner* const owner = owner_) owner->afterRemove(id);
}

std::shared_ptr<const Snapshot> Sandboxes::snapshot() const {
  if (const Owner* const owner = owner_) return owner->snapshot();
  const std::lock_guard lock(mutex_);
  return picture_;
}

Status Sandboxes::ready() const {
  if (const Owner* const owner = owner_) return owner->ready();
  return fail(snapshot()->waitsFor);
}

}  // namespace multinet::agent::sandbox
