#include "nodeagent/recover/decide.h"

#include <algorithm>
#include <set>
#include <utility>

namespace multinet::agent::recover {
namespace {

using journal::Record;
using journal::State;
using sandbox::Fate;
using sandbox::RuntimeSandbox;

const RuntimeSandbox* find(const Record& record, const Facts& facts) {
  const auto belongs = [&record](const RuntimeSandbox& one) {
    if (!record.sandbox.empty()) return one.id == record.sandbox;
    return one.pod.uid == record.pod.uid && one.pod.attempt == record.pod.attempt;
  };
  const auto at = std::find_if(facts.sandboxes.begin(), facts.sandboxes.end(), belongs);
  return at == facts.sandboxes.end() ? nullptr : &*at;
}

}  // namespace

sandbox::Restored decide(Record record, const Facts& facts) {
  const RuntimeSandbox* found = find(record, facts);
  const bool runs = found != nullptr && found->ready;
  switch (record.state) {
    case State::Intent:
    case State::Bound: {
      // Links don't outlive a boot, and a sandbox that doesn't run has no place for new ones.
      if (!runs || record.bootId != facts.bootId) return {std::move(record), Fate::RollBack};
      record.sandbox = found->id;
      return {std::move(record), Fate::Finish};
    }
    case State::Rollback:
      return {std::move(record), Fate::RollBack};
    case State::Detaching:
      if (!runs) return {std::move(record), Fate::Detach};
      // The stop wasn't carried out: while it runs it keeps what it has.
      record.state = State::Attached;
      return {std::move(record), Fate::Keep};
    case State::Attached:
    case State::Detached:
      break;
  }
  return {std::move(record), Fate::Keep};
}

std::vector<RuntimeSandbox> unknownSandboxes(const std::vector<Record>& records,
                                             const Facts& facts) {
  std::set<SandboxId> known;
  std::set<std::pair<PodUid, std::uint32_t>> unbound;
  for (const Record& record : records) {
    if (record.sandbox.empty()) {
      unbound.emplace(record.pod.uid, record.pod.attempt);
    } else {
      known.insert(record.sandbox);
    }
  }
  std::vector<RuntimeSandbox> unknown;
  for (const RuntimeSandbox& one : facts.sandboxes) {
    const bool asks = one.annotations.contains("multinet.dev/networks");
    if (!one.ready || !asks || known.contains(one.id)) continue;
    if (unbound.contains({one.pod.uid, one.pod.attempt})) continue;
    unknown.push_back(one);
  }
  return unknown;
}

std::vector<addresses::Holding> holdings(const std::vector<Record>& records, WallTime now,
                                         Duration quarantine) {
  std::vector<addresses::Holding> all;
  for (const Record& record : records) {
    Duration rests{};
    if (record.state == State::Detached) {
      rests = std::min(quarantine, Duration(record.quarantineUntil - now));
      if (rests <= Duration{}) continue;
    }
    for (const InterfaceStatus& status : record.interfaces) {
      for (const AddressPlan& address : status.plan.addresses) {
        all.push_back({record.id, record.pod.uid, status.plan.name, status.plan.networkUid,
                       address.address.address, rests});
      }
    }
  }
  return all;
}

}  // namespace multinet::agent::recover
