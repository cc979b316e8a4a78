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

void note(const Shared& shared, Entry& entry, journal::State state) {
  entry.record.state = state;
  entry.record.changedAt = shared.doors.clock.wall();
  shared.table.publish();
  shared.doors.journal.put(
      entry.record, journal::Durability::Relaxed,
      [record = entry.record](const Status& status) { warnUnwritten(record, status); });
}

void settle(const Shared& shared, const EntryPtr& entry, std::function<void()> done) {
  failpoint::pass("sandbox.release.before");
  journal::Record& record = entry->record;
  shared.doors.addresses.release(record.id);
  record.state = journal::State::Detached;
  record.changedAt = shared.doors.clock.wall();
  record.restsUntil = shared.doors.clock.now() + shared.options.quarantine;
  record.bootId = shared.options.bootId;
  shared.table.remove(record.id);
  shared.table.rest(record);
  shared.table.publish();
  failpoint::pass("sandbox.detached.before");
  // Relaxed is enough: whoever gets these addresses next commits with a sync, after this.
  shared.doors.journal.put(record, journal::Durability::Relaxed,
                           onLane<void>(shared.lane, [entry, done = std::move(done)](Status s) {
                             failpoint::pass("sandbox.detached.after");
                             warnUnwritten(entry->record, s);
                             done();
                           }));
}

}  // namespace multinet::agent::sandbox
