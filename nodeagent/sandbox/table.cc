#include "nodeagent/sandbox/table.h"

#include <algorithm>
#include <utility>

namespace multinet::agent::sandbox {

using journal::State;

EntryPtr Table::add(journal::Record record) {
  auto entry = std::make_shared<Entry>();
  entry->record = std::move(record);
  entries_.insert_or_assign(entry->record.id, entry);
  return entry;
}

void Table::remove(const IntentId& id) {
  entries_.erase(id);
}

bool Table::rename(const IntentId& from, const IntentId& to) {
  if (from == to) return true;
  const auto at = entries_.find(from);
  if (at == entries_.end() || entries_.contains(to)) return false;
  const EntryPtr entry = at->second;
  entries_.erase(at);
  entries_.emplace(to, entry);
  return true;
}

EntryPtr Table::bySandbox(const SandboxId& id) const {
  for (const auto& [intent, entry] : entries_) {
    if (!id.empty() && entry->record.sandbox == id) return entry;
  }
  return nullptr;
}

std::vector<EntryPtr> Table::ofPod(const PodUid& uid) const {
  std::vector<EntryPtr> found;
  for (const auto& [intent, entry] : entries_) {
    if (entry->record.pod.uid == uid) found.push_back(entry);
  }
  return found;
}

std::vector<InterfacePlan> Table::earlierOf(const PodUid& uid) const {
  std::vector<InterfacePlan> plans;
  const auto take = [&](const journal::Record& record) {
    if (record.pod.uid != uid) return;
    for (const InterfaceStatus& status : record.interfaces) {
      if (status.state == InterfaceState::Attached) plans.push_back(status.plan);
    }
  };
  for (const auto& [intent, entry] : entries_) take(entry->record);
  for (const auto& [until, record] : quarantined_) take(record);
  return plans;
}

std::vector<EntryPtr> Table::all() const {
  std::vector<EntryPtr> found;
  found.reserve(entries_.size());
  for (const auto& [intent, entry] : entries_) found.push_back(entry);
  return found;
}

bool Table::anyUnbound() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const auto& entry) {
    return entry.second->running && entry.second->record.sandbox.empty();
  });
}

std::vector<IntentId> Table::takeRested(BootTime now) {
  std::vector<IntentId> quarantined;
  while (!quarantined_.empty() && quarantined_.begin()->first <= now) {
    quarantined.push_back(quarantined_.begin()->second.id);
    quarantined_.erase(quarantined_.begin());
  }
  if (!quarantined.empty()) publish();
  return quarantined;
}

void Table::setRecovered() {
  recovered_ = true;
  publish();
}

void Table::setWaitsFor(Error what) {
  waitsFor_ = std::move(what);
  publish();
}

// What doesn't change isn't copied: a picture is taken several times for each pod that comes.
SandboxView Table::view(Entry& entry) const {
  const journal::Record& record = entry.record;
  SandboxView view;
  view.pod = record.pod;
  if (entry.shown == nullptr || *entry.shown != record.interfaces) {
    entry.shown = std::make_shared<const std::vector<InterfaceStatus>>(record.interfaces);
  }
  view.interfaces = entry.shown;
  if (entry.running) {
    view.verdict = Verdict::Hidden;
  } else if (record.state == State::Rollback && record.rollbackFailed) {
    view.verdict = Verdict::NotReady;
  }
  // Links don't outlive a boot; the runtime shows such a sandbox as dead by itself.
  view.attached = record.state == State::Attached && record.bootId == bootId_ &&
                  record.doubt == journal::Doubt::None;
  view.doubt = record.doubt;
  return view;
}

void Table::publish() {
  auto next = std::make_shared<Snapshot>();
  next->recovered = recovered_;
  next->bootId = bootId_;
  next->waitsFor = waitsFor_;
  for (const auto& [intent, entry] : entries_) {
    const journal::Record& record = entry->record;
    ++next->intents[record.state];
    if (record.doubt != journal::Doubt::None) ++next->doubts[record.doubt];
    if (!record.sandbox.empty()) {
      next->sandboxes.insert_or_assign(record.sandbox, view(*entry));
    } else if (entry->running) {
      next->running.emplace(record.pod.uid, record.pod.attempt);
    }
  }
  if (!quarantined_.empty()) next->intents[State::Detached] += quarantined_.size();
  const std::lock_guard lock(mutex_);
  snapshot_ = std::move(next);
}

std::shared_ptr<const Snapshot> Table::snapshot() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

}  // namespace multinet::agent::sandbox
