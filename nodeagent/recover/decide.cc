#include "nodeagent/recover/decide.h"

#include <algorithm>
#include <set>
#include <utility>

namespace multinet::agent::recover {
namespace {

using journal::Doubt;
using journal::Record;
using journal::State;
using sandbox::RecoveryAction;
using sandbox::RuntimeSandbox;

const RuntimeSandbox* find(const Record& record, const Facts& facts) {
  const auto belongs = [&record](const RuntimeSandbox& one) {
    if (!record.sandbox.empty()) return one.id == record.sandbox;
    return one.pod.uid == record.pod.uid && one.pod.attempt == record.pod.attempt;
  };
  const auto at = std::find_if(facts.sandboxes.begin(), facts.sandboxes.end(), belongs);
  return at == facts.sandboxes.end() ? nullptr : &*at;
}

bool asks(const RuntimeSandbox& one) {
  return one.ready && asksForNetworks(one);
}

/// None where nobody looked or could look.
const sandbox::Links* linksIn(const SandboxId& id, const Facts& facts) {
  const auto at = facts.seen.find(id);
  return at != facts.seen.end() && at->second.has_value() ? &*at->second : nullptr;
}

bool isNamed(const SandboxId& id, const std::vector<Record>& records) {
  return std::any_of(records.begin(), records.end(), [&id](const Record& record) {
    return record.state != State::Detached && record.sandbox == id;
  });
}

/// A sandbox that has ended, of whose record the journal may have lost the end: it may have been
/// attached, and had containers. It keeps what it has until the kubelet ends it, and gets nothing.
sandbox::Restored leave(Record record, const RuntimeSandbox& found, const Facts& facts) {
  record.sandbox = found.id;
  record.state = State::Attached;
  for (InterfaceStatus& status : record.interfaces) status.state = InterfaceState::Attached;
  // Links don't outlive a boot; of this boot's nobody knows.
  if (record.bootId == facts.bootId) {
    record.doubt = Doubt::Unseen;
    record.message = "it ended before the journal said that its networks were there";
  }
  return {std::move(record), RecoveryAction::Keep};
}

/// What the kernel has of a record that stopped short of ATTACHED.
sandbox::Restored finish(Record record, const RuntimeSandbox& found, const Facts& facts) {
  const sandbox::Links* links = linksIn(found.id, facts);
  const auto isOurs = [&record](const auto& link) { return link.intent == record.id; };
  if (links != nullptr && record.sandbox.empty() && !links->empty() &&
      std::none_of(links->begin(), links->end(), isOurs)) {
    return {std::move(record), RecoveryAction::RollBack};  // a later intent's sandbox
  }
  record.sandbox = found.id;
  if (links == nullptr || !sandbox::isComplete(record, *links))
    return {std::move(record), RecoveryAction::Finish};
  record.state = State::Attached;
  for (InterfaceStatus& status : record.interfaces) {
    const auto link = std::find_if(links->begin(), links->end(), [&status](const auto& one) {
      return one.interface == status.plan.name.str();
    });
    status.state = InterfaceState::Attached;
    status.ifindex = link->ifindex;
    status.plan.mtu = link->mtu;
    if (status.attachedAt == WallTime{}) status.attachedAt = record.changedAt;
  }
  return {std::move(record), RecoveryAction::Keep};
}

}  // namespace

sandbox::Restored decide(Record record, const Facts& facts) {
  const RuntimeSandbox* found = find(record, facts);
  const bool runs = found != nullptr && found->ready;
  switch (record.state) {
    case State::Intent:
    case State::Bound: {
      if (found == nullptr) return {std::move(record), RecoveryAction::RollBack};
      if (!runs || record.bootId != facts.bootId) return leave(std::move(record), *found, facts);
      return finish(std::move(record), *found, facts);
    }
    case State::Rollback:
      return {std::move(record), RecoveryAction::RollBack};
    case State::Detaching:
      if (!runs) return {std::move(record), RecoveryAction::Detach};
      // The stop wasn't carried out: while it runs it keeps what it has.
      record.state = State::Attached;
      return {std::move(record), RecoveryAction::Keep};
    case State::Attached: {
      // What the API said of an unconfirmed one stands until it is asked again.
      const bool isOpen = record.doubt == Doubt::Unseen || record.doubt == Doubt::NoLinks;
      const sandbox::Links* links = isOpen && runs ? linksIn(record.sandbox, facts) : nullptr;
      if (links != nullptr) record = sandbox::judge(std::move(record), *links, {});
      break;
    }
    case State::Detached:
      break;
  }
  return {std::move(record), RecoveryAction::Keep};
}

std::vector<SandboxId> suspects(const std::vector<Record>& records, const Facts& facts) {
  std::set<SandboxId> all;
  for (const RuntimeSandbox& one : facts.sandboxes) {
    if (asks(one) && !isNamed(one.id, records)) all.insert(one.id);
  }
  for (const Record& record : records) {
    const bool isUnfinished = record.state == State::Intent || record.state == State::Bound;
    const RuntimeSandbox* found = find(record, facts);
    if (found == nullptr || !found->ready || record.bootId != facts.bootId) continue;
    if (isUnfinished || record.doubt != Doubt::None) all.insert(found->id);
  }
  return {all.begin(), all.end()};
}

std::vector<RuntimeSandbox> unknownSandboxes(const std::vector<Record>& records,
                                             const Facts& facts) {
  std::set<IntentId> intents;
  std::set<std::pair<PodUid, std::uint32_t>> unbound;
  for (const Record& record : records) {
    if (record.state == State::Detached) continue;
    intents.insert(record.id);
    if (record.sandbox.empty()) unbound.emplace(record.pod.uid, record.pod.attempt);
  }
  std::vector<RuntimeSandbox> unknown;
  for (const RuntimeSandbox& one : facts.sandboxes) {
    if (!asks(one) || isNamed(one.id, records)) continue;
    const sandbox::Links* links = linksIn(one.id, facts);
    const bool isAnothers =
        links != nullptr && !links->empty() && !intents.contains(links->front().intent);
    if (!isAnothers && unbound.contains({one.pod.uid, one.pod.attempt})) continue;
    unknown.push_back(one);
  }
  return unknown;
}

std::vector<addresses::Holding> holdings(const std::vector<Record>& records,
                                         const std::string& bootId, BootTime now,
                                         Duration quarantine) {
  std::vector<addresses::Holding> all;
  for (const Record& record : records) {
    Duration left{};
    if (isReleased(record)) {
      left = quarantineLeft(record, bootId, now, quarantine);
      if (left <= Duration{}) continue;
    }
    const auto more = sandbox::holdings(record, left);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace multinet::agent::recover
