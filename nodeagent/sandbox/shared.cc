#include "nodeagent/sandbox/shared.h"

#include "lib/base/failpoint.h"
#include "lib/base/log.h"

namespace multinet::agent::sandbox {
namespace {

void warnUnwritten(const journal::Record& record, const Status& status) {
  if (status.has_value()) return;
  log::warn("journal not written", {{"pod", record.pod.str()},
                                    {"intent", record.id},
                                    {"state", journal::name(record.state)},
                                    {"error", status.error()}});
}

}  // namespace

std::vector<InterfacePlan> plansOf(const journal::Record& record) {
  std::vector<InterfacePlan> plans;
  plans.reserve(record.interfaces.size());
  for (const InterfaceStatus& status : record.interfaces) plans.push_back(status.plan);
  return plans;
}

attach::Policeable policeable(const journal::Record& record) {
  const bool isUnseen = record.doubt == journal::Doubt::Unseen && record.interfaces.empty();
  return {record.id, record.pod, plansOf(record), isUnseen};
}

void enter(const Shared& shared, Entry& entry, journal::State state) {
  entry.record.state = state;
  entry.record.changedAt = shared.dependencies.clock.wall();
  shared.table.publish();
}

void write(const Shared& shared, const journal::Record& record) {
  shared.dependencies.journal.put(
      record, journal::Durability::Relaxed,
      [record](const Status& status) { warnUnwritten(record, status); });
}

void note(const Shared& shared, Entry& entry, journal::State state) {
  enter(shared, entry, state);
  write(shared, entry.record);
}

void settle(const Shared& shared, const EntryPtr& entry, std::function<void()> done) {
  failpoint::pass("sandbox.release.before");
  journal::Record& record = entry->record;
  shared.dependencies.addresses.release(record.id);
  record.state = journal::State::Detached;
  record.changedAt = shared.dependencies.clock.wall();
  record.quarantinedUntil = shared.dependencies.clock.now() + shared.options.quarantine;
  record.bootId = shared.options.bootId;
  shared.table.remove(record.id);
  shared.table.rest(record);
  shared.table.publish();
  failpoint::pass("sandbox.detached.before");
  // Relaxed is enough: whoever gets these addresses next commits with a sync, after this.
  shared.dependencies.journal.put(
      record, journal::Durability::Relaxed,
      onLane<void>(shared.lane, [entry, done = std::move(done)](Status s) {
        failpoint::pass("sandbox.detached.after");
        warnUnwritten(entry->record, s);
        done();
      }));
}

}  // namespace multinet::agent::sandbox
