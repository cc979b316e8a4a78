#include "nodeagent/drain/departure.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "lib/api/service.h"
#include "lib/endpoints/frontends.h"

namespace multinet::agent::drain {
namespace {

using std::chrono::seconds;

/// Slices follow a deletion within 0.1 s (docs/services.md). Who is silent for longer is away.
constexpr seconds kUnseen(2);
/// Slices are written one after the other, those with a departure first: another endpoint may be
/// told a little later.
constexpr seconds kTakeOver(1);
/// The kubelet may hear of a deletion before this node's watch does.
constexpr seconds kSurely(1);
/// Nothing to share: the process has the whole of it.
constexpr seconds kShort(2);
constexpr seconds kMost(30);

}  // namespace

Standing standingOf(const watch::Caches::Service& service, const PodUid& pod,
                    const NodeName& node) {
  Standing standing;
  if (service.service == nullptr) return standing;
  const k8s::Service& core = *service.service;
  const k8s::StringMap& labels = *core.metadata.labels;
  const auto label = labels.find(api::kHoldLabel);
  standing.hold =
      api::holdOf(label == labels.end() ? nullptr : &label->second, core.spec.clusterIP == "None");
  const bool local = core.spec.internalTrafficPolicy == "Local";
  for (const auto& slice : service.slices) {
    if (!endpoints::isControllers(*slice)) continue;
    for (const k8s::Endpoint& one : slice->endpoints) {
      const bool ready = one.conditions.ready.value_or(true);
      if (one.targetRef && one.targetRef->uid == pod.str()) {
        const bool goes = one.conditions.terminating.value_or(false);
        standing.listed = true;
        standing.offered = standing.offered || ready;
        standing.terminating = standing.terminating || goes;
        standing.published = standing.published || (ready && goes);
      } else if (ready && (!local || one.nodeName == node.str())) {
        standing.others = true;
      }
    }
  }
  return standing;
}

std::string_view name(Why why) {
  constexpr std::array<std::string_view, 9> kNames{"held",     "unseen",      "limit",
                                                   "no-other", "not-deleted", "not-served",
                                                   "static",   "short",       "unknown"};
  return kNames.at(static_cast<std::size_t>(why));
}

void Departure::look(const std::string& network, const std::string& name, const Standing& now,
                     BootTime time) {
  const std::pair key(network, name);
  // Where it is published to the end nobody is sent elsewhere, so nothing is to be waited for.
  if (now.hold == Duration{} || now.published) {
    services_.erase(key);
    return;
  }
  auto found = services_.find(key);
  if (found == services_.end()) {
    // One that wasn't ready had no clients. The kubelet says that of a pod that is out of time just
    // before it stops it.
    const bool wasJustReady = now.listed && readyUntil_ && time < *readyUntil_ + now.hold;
    if (!now.offered && !now.terminating && !wasJustReady) return;
    found = services_.try_emplace(key).first;
  }
  Service& service = found->second;
  service.hold = now.hold;
  if (now.offered) {
    service.told.reset();
    service.covered.reset();
    return;
  }
  if (!service.told) service.told = time;
  if (now.others && !service.covered) service.covered = time;
}

void Departure::setKnown(const std::string& network, bool known) {
  if (known) {
    unknown_.erase(network);
  } else {
    unknown_.insert(network);
  }
}

Departure::Until Departure::until(const Service& service) const {
  if (service.covered) return {*service.covered + service.hold, Why::Held};
  if (service.told) return {*service.told + kTakeOver, Why::NoOther};
  return {since_ + kUnseen + service.hold, Why::Unseen};
}

Departure::Until Departure::until(Duration grace, Ending ending) const {
  const BootTime stopped = stoppedAt_.value_or(since_);
  if (grace <= kShort) return {stopped, Why::Short};
  if (ending == Ending::Static) return {stopped, Why::Static};
  if (services_.empty() && unknown_.empty()) return {stopped, Why::NotServed};
  Until last{stopped, Why::NotServed};
  const auto atLeast = [&last](const Until& one) {
    if (one.at > last.at || last.why == Why::NotServed) last = one;
  };
  if (ending == Ending::NotDeleted) {
    last = {stopped + kSurely, Why::NotDeleted};
  } else {
    if (!unknown_.empty()) atLeast({since_ + kUnseen + api::kHold, Why::Unseen});
    for (const auto& [key, service] : services_) atLeast(until(service));
  }
  const BootTime limit = stopped + std::min<Duration>(grace / 2, kMost);
  return last.at > limit ? Until{limit, Why::Limit} : last;
}

}  // namespace multinet::agent::drain
