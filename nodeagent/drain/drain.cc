#include "nodeagent/drain/drain.h"

#include <algorithm>
#include <chrono>

#include "lib/api/service.h"
#include "lib/base/failpoint.h"
#include "lib/base/log.h"

namespace multinet::agent::drain {
namespace {

using std::chrono::milliseconds;

/// How often a stop that came too early is looked at again.
constexpr milliseconds kLook(20);
/// The runtime's list of containers is asked for again, at first soon.
constexpr milliseconds kSoon(20);
constexpr std::chrono::seconds kSeldom(1);
/// The runtime ends a container by force after its grace period; who isn't gone so long after that
/// was spared, as by a kubelet that was restarted and thought better of it.
constexpr std::chrono::seconds kSpared(30);
/// Of a pod that doesn't say otherwise (API: terminationGracePeriodSeconds).
constexpr std::chrono::seconds kUsualGrace(30);

}  // namespace

Drain::Drain(async::Lane& lane, const Clock& clock, PictureOf picture, Told told, Duration starting)
    : lane_(lane),
      clock_(clock),
      picture_(std::move(picture)),
      told_(std::move(told)),
      startsUntil_(clock.now() + starting) {}

void Drain::open(Sources sources) {
  lane_.post([this, sources = std::move(sources)] {
    sources_ = sources;
    adopt(kSoon);
  });
}

void Drain::close() {
  closed_ = true;
  lane_.post([this] {
    while (!barriers_.empty()) {
      for (const CallPtr& call : barriers_.begin()->second.waiting) release(*call, Why::Unknown);
      barriers_.erase(barriers_.begin());
    }
    ending_ = 0;
  });
}

bool Drain::isStarting() const {
  return !adopted_ && !closed_ && clock_.now() < startsUntil_;
}

bool Drain::mayHold() const {
  return !closed_ && (anyContainer_ || isStarting());
}

void Drain::keep(Container container) {
  const std::lock_guard lock(mutex_);
  Kept& newest = newest_[container.sandbox][container.name];
  containers_.erase(newest.id);
  newest.id = container.id;
  newest.stops = false;
  containers_[std::move(container.id)] = std::move(container.sandbox);
  anyContainer_ = true;
}

void Drain::created(Container container) {
  const SandboxId sandbox = container.sandbox;
  keep(std::move(container));
  lane_.post([this, sandbox] {
    disinherit(sandbox);
    const auto barrier = barriers_.find(sandbox);
    if (barrier == barriers_.end()) return;
    barrier->second.cutOff = false;
    settle(barrier);
  });
}

bool Drain::allStop(const SandboxId& sandbox, const std::vector<k8s::Container>& containers) const {
  const std::lock_guard lock(mutex_);
  const auto found = newest_.find(sandbox);
  if (found == newest_.end() || containers.empty()) return false;
  return std::ranges::all_of(containers, [&](const k8s::Container& one) {
    const auto kept = found->second.find(*one.name);
    return kept != found->second.end() && kept->second.stops;
  });
}

bool Drain::anyGoesOn(const SandboxId& sandbox) const {
  const std::lock_guard lock(mutex_);
  const auto found = newest_.find(sandbox);
  return found != newest_.end() &&
         std::ranges::any_of(found->second, [](const auto& one) { return !one.second.stops; });
}

void Drain::setStops(const std::string& container, bool stops) {
  const std::lock_guard lock(mutex_);
  const auto sandbox = containers_.find(container);
  if (sandbox == containers_.end()) return;
  for (auto& [name, kept] : newest_[sandbox->second]) {
    if (kept.id == container) kept.stops = stops;
  }
}

void Drain::clearStops(const SandboxId& sandbox) {
  const std::lock_guard lock(mutex_);
  const auto found = newest_.find(sandbox);
  if (found == newest_.end()) return;
  for (auto& [name, kept] : found->second) kept.stops = false;
}

void Drain::removed(const SandboxId& sandbox) {
  {
    const std::lock_guard lock(mutex_);
    const auto had = newest_.find(sandbox);
    if (had == newest_.end()) return;
    for (const auto& [name, kept] : had->second) containers_.erase(kept.id);
    newest_.erase(had);
    anyContainer_ = !containers_.empty();
  }
  lane_.post([this, sandbox] {
    inherited_.erase(sandbox);
    const auto barrier = barriers_.find(sandbox);
    if (barrier == barriers_.end() || !barrier->second.waiting.empty()) return;
    barriers_.erase(barrier);
    ending_ = barriers_.size();
  });
}

std::optional<SandboxId> Drain::sandboxOf(const std::string& container) const {
  const std::lock_guard lock(mutex_);
  const auto found = containers_.find(container);
  if (found == containers_.end()) return std::nullopt;
  return found->second;
}

// Which sandboxes have networks is known once the journal was compared with the runtime.
void Drain::adopt(Duration retryAfter) {
  const auto again = [this, retryAfter] {
    lane_.postAfter(retryAfter,
                    [this, retryAfter] { adopt(std::min<Duration>(retryAfter * 2, kSeldom)); });
  };
  const auto now = picture_();
  if (!now->recovered) return again();
  if (now->sandboxes.empty()) {
    adopted_ = true;
    return;
  }
  sources_->containers(async::onLane<std::vector<Container>>(
      lane_, [this, again](const Result<std::vector<Container>>& containers) {
        if (containers) return adopted(*containers);
        log::warn("can't tell whose containers run yet", {{"error", containers.error()}});
        again();
      }));
}

void Drain::adopted(std::vector<Container> containers) {
  const auto now = picture_();
  std::ranges::sort(containers, {}, &Container::created);  // of one name the last counts
  std::set<std::pair<SandboxId, std::string>> fresh;
  for (const Container& one : containers) {
    if (!now->sandboxes.contains(one.sandbox)) continue;
    {
      // What was made meanwhile is newer than the list.
      const std::lock_guard lock(mutex_);
      const auto had = newest_.find(one.sandbox);
      const bool isKnown = had != newest_.end() && had->second.contains(one.name);
      if (isKnown && !fresh.contains({one.sandbox, one.name})) continue;
    }
    fresh.emplace(one.sandbox, one.name);
    keep(one);
  }
  for (const auto& [sandbox, view] : now->sandboxes) inherited_.emplace(sandbox, view.pod);
  lane_.postAfter(kUsualGrace + kSpared, [this] {
    while (!inherited_.empty()) disinherit(SandboxId(inherited_.begin()->first));
  });
  adopted_ = true;
  podChanged("");
}

void Drain::disinherit(const SandboxId& sandbox) {
  const auto found = inherited_.find(sandbox);
  if (found == inherited_.end()) return;
  const auto barrier = barriers_.find(sandbox);
  const bool isTold = barrier != barriers_.end() && barrier->second.told;
  if (!isTold) sources_->ending(found->second, sandbox, false);
  inherited_.erase(found);
}

void Drain::stop(const std::string& container, Duration grace,
                 std::shared_ptr<const std::atomic<bool>> gone, Go go) {
  if (closed_ || (!sandboxOf(container) && !isStarting())) return go(Duration{});
  const auto call = std::make_shared<Call>(
      Call{container, std::nullopt, grace, std::move(gone), std::move(go), clock_.now()});
  if (!lane_.post([this, call] { arrive(call); })) call->go(Duration{});
}

void Drain::stopSandbox(const SandboxId& sandbox, std::shared_ptr<const std::atomic<bool>> gone,
                        Go go) {
  if (closed_ || (!isStarting() && !picture_()->sandboxes.contains(sandbox))) {
    return go(Duration{});
  }
  const auto call = std::make_shared<Call>(
      Call{"", sandbox, Duration{}, std::move(gone), std::move(go), clock_.now()});
  if (!lane_.post([this, call] { arrive(call); })) call->go(Duration{});
}

void Drain::release(const Call& call, Why why) const {
  const Duration held = clock_.now() - call.arrived;
  if (!*call.gone && !call.sandbox) told_(why, held);
  failpoint::pass("drain.go");
  call.go(held);
}

void Drain::arrive(const CallPtr& call) {
  const auto sandbox = call->sandbox ? call->sandbox : sandboxOf(call->container);
  if (!sandbox && !isStarting()) return call->go(clock_.now() - call->arrived);
  const auto now = picture_();
  const auto view = sandbox ? now->sandboxes.find(*sandbox) : now->sandboxes.end();
  // Of a whole one it counts what runs there.
  const bool isEarly = call->sandbox && isStarting();
  if (view == now->sandboxes.end() || !sources_ || closed_ || isEarly) {
    if (!isStarting()) return release(*call, Why::Unknown);
    lane_.postAfter(kLook, [this, call] { arrive(call); });
    return;
  }
  const auto barrier = barrierOf(*sandbox, view->second);
  barrier->second.departure.stopping(clock_.now());
  barrier->second.fails.reset();
  if (call->sandbox) {
    call->grace = graceOf(barrier->second.pod);
  } else {
    setStops(call->container, true);
    barrier->second.grace = std::max(barrier->second.grace, call->grace);
  }
  barrier->second.waiting.push_back(call);
  barrier->second.cutOff = barrier->second.cutOff || isCutOff(*sandbox, barrier->second);
  failpoint::pass("drain.hold");
  settle(barrier);
}

Drain::Barriers::iterator Drain::barrierOf(const SandboxId& sandbox,
                                           const sandbox::SandboxView& view) {
  const auto standing = barriers_.find(sandbox);
  if (standing != barriers_.end()) return standing;
  std::set<std::string> networks;
  for (const InterfaceStatus& one : *view.interfaces) networks.insert(one.plan.network.str());
  const auto made = barriers_
                        .try_emplace(sandbox, Barrier{view.pod,
                                                      std::move(networks),
                                                      Departure(clock_.now(), readyUntil(view.pod)),
                                                      {},
                                                      {}})
                        .first;
  ending_ = barriers_.size();
  lookAtAll(made->second);
  return made;
}

std::optional<BootTime> Drain::readyUntil(const PodRef& pod) const {
  const auto seen = sources_->own->pod(pod.namespaceName, pod.name);
  if (seen.object == nullptr) return std::nullopt;
  const auto* const ready = seen.object->status.conditions.find("Ready");
  const bool isReady = ready == nullptr || ready->status == k8s::ConditionStatus::True;
  if (isReady || !ready->lastTransitionTime) return std::nullopt;
  // By this machine's clock, in whole seconds.
  const Duration ago = clock_.wall() - *ready->lastTransitionTime - std::chrono::seconds(1);
  return clock_.now() - std::max(Duration{}, ago);
}

Ending Drain::endingOf(const SandboxId& sandbox, const Barrier& barrier) const {
  const PodRef& pod = barrier.pod;
  const auto seen = sources_->own->pod(pod.namespaceName, pod.name);
  if (!seen.known || seen.object == nullptr) return Ending::Deleted;
  if (seen.object->isMirror()) return Ending::Static;
  const auto& metadata = seen.object->metadata;
  if (metadata.uid != pod.uid.str() || metadata.deleting()) return Ending::Deleted;
  // A pod whose only container is restarted looks the same, and is: nobody serves there meanwhile.
  const bool ends = barrier.cutOff || allStop(sandbox, seen.object->spec.containers);
  return ends ? Ending::ByKubelet : Ending::NotDeleted;
}

// The kubelet stops a sandbox after its containers. One in which some run that were never told to
// stop is one whose StopContainer failed; and what an earlier agent said of it says the same.
bool Drain::isCutOff(const SandboxId& sandbox, const Barrier& barrier) const {
  if (!inherited_.contains(sandbox)) return false;
  const bool whole =
      std::ranges::any_of(barrier.waiting, [](const CallPtr& call) { return !!call->sandbox; });
  return whole ? anyGoesOn(sandbox) : isSaidToDrain(sandbox, barrier.pod);
}

bool Drain::isSaidToDrain(const SandboxId& sandbox, const PodRef& pod) const {
  const auto seen = sources_->own->interfaceSet(pod.namespaceName, pod.name);
  if (seen.object == nullptr || seen.object->pod.uid != pod.uid.str() ||
      *seen.object->sandboxID != sandbox.str()) {
    return false;
  }
  return std::ranges::any_of(seen.object->interfaces,
                             [](const auto& one) { return one.conditions.isTrue(api::kDraining); });
}

void Drain::tellEnding(Barriers::iterator barrier, Ending ending) const {
  Barrier& its = barrier->second;
  const bool ends = ending == Ending::ByKubelet;
  if (its.told == ends || (!ends && ending != Ending::NotDeleted)) return;
  its.told = ends;
  sources_->ending(its.pod, barrier->first, ends);
}

// On the lane, of one that nobody waits for.
void Drain::expectEnd(Barriers::iterator barrier) {
  const BootTime by = clock_.now() + barrier->second.grace + kSpared;
  barrier->second.fails = by;
  lane_.postAfter(by - clock_.now(), [this, sandbox = barrier->first, by] {
    const auto found = barriers_.find(sandbox);
    if (found == barriers_.end() || found->second.fails != by) return;
    clearStops(sandbox);
    found->second.cutOff = false;
    inherited_.erase(sandbox);
    settle(found);
  });
}

Duration Drain::graceOf(const PodRef& pod) const {
  const auto seen = sources_->own->pod(pod.namespaceName, pod.name);
  if (seen.object == nullptr) return kUsualGrace;
  const auto& told = seen.object->metadata.deletionGracePeriodSeconds;
  return told ? Duration(std::chrono::seconds(*told)) : Duration(kUsualGrace);
}

void Drain::lookAtAll(Barrier& barrier) const {
  for (const std::string& network : barrier.networks) {
    const auto services = sources_->caches->servicesOf(network);
    barrier.departure.setKnown(network, services.has_value());
    if (!services) continue;
    for (const auto& one : *services) {
      if (one.service->metadata.nameSpace != barrier.pod.namespaceName) continue;
      barrier.departure.look(network, one.service->metadata.name,
                             standingOf(one, barrier.pod.uid, sources_->node), clock_.now());
    }
  }
}

void Drain::lookAtOne(Barrier& barrier, const std::string& network, const std::string& name) const {
  const auto service = sources_->caches->serviceOf(network, barrier.pod.namespaceName, name);
  if (!service) return;  // the list to come is told as any
  barrier.departure.look(network, name, standingOf(*service, barrier.pod.uid, sources_->node),
                         clock_.now());
}

void Drain::forgetStops(const Barrier& barrier, const std::vector<std::pair<CallPtr, Why>>& going) {
  for (const auto& [call, why] : going) {
    const auto stopsIt = [container = call->container](const CallPtr& other) {
      return other->container == container && !*other->gone;
    };
    const bool isRepeated =
        std::ranges::any_of(barrier.waiting, stopsIt) ||
        std::ranges::any_of(going, [&](const auto& one) { return stopsIt(one.first); });
    if (*call->gone && !isRepeated) setStops(call->container, false);
  }
}

void Drain::settle(Barriers::iterator barrier) {
  Barrier& its = barrier->second;
  const BootTime now = clock_.now();
  Ending ending = endingOf(barrier->first, its);
  tellEnding(barrier, ending);
  std::optional<BootTime> next;
  std::vector<std::pair<CallPtr, Why>> going;
  const bool containersWait =
      std::ranges::any_of(its.waiting, [](const CallPtr& call) { return !call->sandbox; });
  std::erase_if(its.waiting, [&](const CallPtr& call) {
    const auto until = its.departure.until(call->grace, ending);
    const bool isReplaced = call->sandbox && ending == Ending::NotDeleted;
    const bool isLetGo =
        call->sandbox && ending == Ending::ByKubelet && !containersWait && !its.cutOff;
    if (until.at <= now || isReplaced || isLetGo) {
      going.emplace_back(call, until.why);
      return true;
    }
    next = next ? std::min(*next, until.at) : until.at;
    return false;
  });
  if (next && (!its.wakes || *its.wakes > *next)) {
    its.wakes = next;
    lane_.postAfter(*next - now, [this, sandbox = barrier->first, at = *next] {
      const auto found = barriers_.find(sandbox);
      if (found == barriers_.end()) return;
      if (found->second.wakes == at) found->second.wakes.reset();
      settle(found);
    });
  }
  for (const auto& [call, why] : going) {
    const Duration held = now - call->arrived;
    if (held >= milliseconds(1)) {
      log::info("what runs in a pod that ends is told to stop",
                {{"pod", its.pod.str()}, {"heldMs", held / milliseconds(1)}, {"why", name(why)}});
    }
    if (why == Why::Limit && !*call->gone && !call->sandbox) {
      sources_->cutShort(its.pod, call->grace);
    }
    release(*call, why);
  }
  forgetStops(its, going);
  if (!its.waiting.empty()) return;
  if (!going.empty()) {
    ending = endingOf(barrier->first, its);
    tellEnding(barrier, ending);
  }
  // One that goes on lives: its end, when it comes, begins anew.
  if (ending == Ending::NotDeleted) {
    barriers_.erase(barrier);
    ending_ = barriers_.size();
  } else if (ending == Ending::ByKubelet && !its.fails) {
    expectEnd(barrier);
  }
}

void Drain::forgetGone(const sandbox::Snapshot& now) {
  std::erase_if(barriers_, [&now](const auto& one) {
    return one.second.waiting.empty() && !now.sandboxes.contains(one.first);
  });
  ending_ = barriers_.size();
}

// From the deletion on, not from the first stop: a preStop hook is time in which clients hear, too.
void Drain::podChanged(const std::string& uid) {
  if (closed_ || !mayHold()) return;
  lane_.post([this, uid] {
    if (!sources_ || closed_) return;
    const auto now = picture_();
    forgetGone(*now);
    for (const auto& [sandbox, view] : now->sandboxes) {
      if (!uid.empty() && view.pod.uid.str() != uid) continue;
      const auto seen = sources_->own->pod(view.pod.namespaceName, view.pod.name);
      // One that isn't seen may be new.
      if (seen.object == nullptr || seen.object->metadata.uid != view.pod.uid.str()) continue;
      if (seen.object->metadata.deleting()) {
        settle(barrierOf(sandbox, view));
      } else if (const auto barrier = barriers_.find(sandbox); barrier != barriers_.end()) {
        settle(barrier);
      }
    }
  });
}

void Drain::serviceChanged(const std::string& network, const std::string& namespaceName,
                           const std::string& name) {
  if (ending_ == 0) return;
  lane_.post([this, network, namespaceName, name] {
    for (auto next = barriers_.begin(); next != barriers_.end();) {
      const auto barrier = next++;
      Barrier& its = barrier->second;
      if (name.empty()) {
        lookAtAll(its);
      } else if (its.pod.namespaceName == namespaceName && its.networks.contains(network)) {
        lookAtOne(its, network, name);
      } else {
        continue;
      }
      settle(barrier);
    }
  });
}

}  // namespace multinet::agent::drain
