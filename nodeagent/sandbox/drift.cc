#include "nodeagent/sandbox/drift.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/log.h"
#include "nodeagent/sandbox/netns_check.h"

namespace multinet::agent::sandbox {
namespace {

using std::chrono::seconds;

constexpr unsigned kMostUnderWay = 4;
/// After an attach or a restart: by then a carrier that comes late is there.
constexpr seconds kFirstLook(2);
/// How long a stop that was announced keeps looks away.
constexpr seconds kStopTakes(30);
/// Finding the namespace is reading a file.
constexpr seconds kNetnsWait(2);

bool isWell(const InterfaceStatus& status) {
  return status.state == InterfaceState::Attached && status.link != LinkState::Down;
}

}  // namespace

Drift::Drift(const Shared& shared, InOrder inOrder)
    : shared_(shared), inOrder_(std::move(inOrder)), random_(std::random_device{}()) {}

BootTime Drift::later(Duration about) {
  std::uniform_int_distribution<Duration::rep> spread(-about.count() / 5, about.count() / 5);
  return shared_.dependencies.clock.now() + about + Duration(spread(random_));
}

bool Drift::isWanted(const Entry& entry) const {
  // In doubt the plan is only what was found.
  if (entry.running || entry.record.doubt != journal::Doubt::None) return false;
  return entry.record.state == journal::State::Attached &&
         entry.record.bootId == shared_.options.bootId;
}

void Drift::tick() {
  const BootTime now = shared_.dependencies.clock.now();
  std::set<IntentId> present;
  for (const EntryPtr& entry : shared_.table.all()) {
    const IntentId& id = entry->record.id;
    present.insert(id);
    if (!isWanted(*entry)) continue;
    auto [look, isNew] = looks_.try_emplace(id);
    if (isNew) look->second.next = now + kFirstLook;
    const bool due = look->second.abort == nullptr && look->second.next <= now;
    if (due && underWay_ < kMostUnderWay) begin(entry);
  }
  std::erase_if(looks_, [&](const auto& look) {
    return look.second.abort == nullptr && !present.contains(look.first);
  });
}

void Drift::stopping(const Entry& entry) {
  const auto look = looks_.find(entry.record.id);
  if (look == looks_.end()) return;
  look->second.next = shared_.dependencies.clock.now() + kStopTakes;
  if (look->second.abort != nullptr) look->second.abort->store(true);
}

void Drift::begin(const EntryPtr& entry) {
  Look& look = looks_[entry->record.id];
  look.next = later(shared_.options.lookEvery);
  look.abort = std::make_shared<std::atomic<bool>>(false);
  ++underWay_;
  inOrder_(
      entry, [this, entry](const std::function<void()>& done) { this->look(entry, done); },
      [this, id = entry->record.id] { ended(id); });
}

void Drift::ended(const IntentId& intent) {
  --underWay_;
  const auto look = looks_.find(intent);
  if (look != looks_.end()) look->second.abort = nullptr;
}

void Drift::look(const EntryPtr& entry, const std::function<void()>& done) {
  if (!isWanted(*entry) || looks_[entry->record.id].abort->load()) return done();
  if (!completePlans(*entry)) return done();
  shared_.dependencies.runtime.sandboxNetns(
      entry->record.sandbox, shared_.dependencies.clock.now() + kNetnsWait,
      onLane<Fd>(shared_.lane, [this, entry, done](Result<Fd> netns) {
        if (netns.has_value()) return maintain(entry, std::move(*netns), done);
        // A sandbox that is gone is the comparison's with the runtime.
        if (netns.error().code != Code::NotFound) troubled(*entry, netns.error());
        done();
      }));
}

bool Drift::completePlans(Entry& entry) {
  bool filled = false;
  for (InterfaceStatus& status : entry.record.interfaces) {
    if (!parentOf(status.plan.link).empty()) continue;
    auto link = shared_.dependencies.resolver.linkOf(status.plan.networkUid);
    if (!link) return false;
    status.plan.link = std::move(*link);
    filled = true;
  }
  if (filled) note(shared_, entry, entry.record.state);
  return true;
}

std::vector<InterfacePlan> Drift::plansOf(const Entry& entry) const {
  std::vector<InterfacePlan> plans;
  for (const InterfaceStatus& status : entry.record.interfaces) {
    plans.push_back(status.plan);
    // Ranges that the cluster got since. One that it lost harms nobody.
    auto& kept = plans.back().clusterPrefixes;
    for (const IpPrefix& prefix : shared_.dependencies.resolver.staysOnEth0(status.plan)) {
      if (std::find(kept.begin(), kept.end(), prefix) == kept.end()) kept.push_back(prefix);
    }
  }
  return plans;
}

void Drift::maintain(const EntryPtr& entry, Fd netns, const std::function<void()>& done) {
  noteNetns(*entry, netns);
  if (auto* policies = shared_.dependencies.policies) policies->known(policeable(entry->record));
  shared_.dependencies.engine.maintain(
      entry->record.id, std::move(netns), plansOf(*entry), looks_[entry->record.id].abort,
      onLane<attach::Upkeep>(shared_.lane, [this, entry, done](Result<attach::Upkeep> upkeep) {
        if (upkeep.has_value()) {
          take(*entry, std::move(*upkeep));
        } else {
          troubled(*entry, upkeep.error());
        }
        done();
      }));
}

void Drift::take(Entry& entry, attach::Upkeep upkeep) {
  looks_[entry.record.id].trouble.clear();
  for (const std::string& repair : upkeep.repairs) {
    log::warn(
        "interface differed from its plan, put right",
        {{"pod", entry.record.pod.str()}, {"sandbox", entry.record.sandbox}, {"step", repair}});
  }
  // What a stop found under way is its own to end.
  if (!isWanted(entry) || upkeep.interfaces.size() != entry.record.interfaces.size()) return;
  for (std::size_t i = 0; i < upkeep.interfaces.size(); ++i) {
    upkeep.interfaces[i].attachedAt = entry.record.interfaces[i].attachedAt;
  }
  if (upkeep.interfaces == entry.record.interfaces) return;
  const auto before = std::exchange(entry.record.interfaces, std::move(upkeep.interfaces));
  note(shared_, entry, entry.record.state);
  shared_.dependencies.tell(
      report::Attached{entry.record.pod, entry.record.sandbox, entry.record.interfaces});
  tell(entry, before);
}

/// Once an episode: when an interface stops being well, or for another reason than before.
void Drift::tell(const Entry& entry, const std::vector<InterfaceStatus>& before) {
  for (std::size_t i = 0; i < before.size(); ++i) {
    const InterfaceStatus& now = entry.record.interfaces[i];
    const std::string what = "interface " + now.plan.name.str() + " of network \"" +
                             now.plan.network.str() + "\": " + now.message;
    if (!isWell(now) && (isWell(before[i]) || before[i].reason != now.reason)) {
      log::warn("interface isn't as planned", {{"pod", entry.record.pod.str()},
                                               {"interface", now.plan.name.str()},
                                               {"reason", now.reason},
                                               {"detail", now.message}});
      shared_.dependencies.tell(
          report::PodEvent{entry.record.pod, {kube::Severity::Warning, now.reason, what}});
    } else if (isWell(now) && !isWell(before[i])) {
      log::info("interface is as planned again",
                {{"pod", entry.record.pod.str()}, {"interface", now.plan.name.str()}});
    }
  }
}

void Drift::troubled(const Entry& entry, const Error& error) {
  if (error.code == Code::Cancelled) return;
  std::string& last = looks_[entry.record.id].trouble;
  if (std::exchange(last, error.message) == error.message) return;
  log::warn("can't compare interfaces with the kernel",
            {{"pod", entry.record.pod.str()}, {"error", error}});
}

}  // namespace multinet::agent::sandbox
