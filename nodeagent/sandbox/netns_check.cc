#include "nodeagent/sandbox/netns_check.h"

#include <utility>

namespace multinet::agent::sandbox {
namespace {

EntryPtr otherWith(const Table& table, const Entry& entry, const netns::Identity& netns) {
  for (const EntryPtr& other : table.all()) {
    if (other->record.id == entry.record.id || other->netns != netns) continue;
    if (other->record.state == journal::State::Attached) return other;
  }
  return nullptr;
}

Error sharedWith(const Entry& other) {
  return {Code::FailedPrecondition, "NetnsShared",
          "the runtime names a network namespace that sandbox " + other.record.sandbox.str() +
              " of pod " + other.record.pod.str() + " has already; restart the runtime"};
}

}  // namespace

void noteNetns(Entry& entry, const Fd& netns) {
  const auto identity = netns::identity(netns);
  if (identity) entry.netns = *identity;
}

void checkNetns(const Shared& shared, const EntryPtr& entry, const Fd& netns,
                std::function<void(Status)> done) {
  const auto identity = netns::identity(netns);
  if (!identity) return done({});  // the engine says what it is instead
  const EntryPtr other = otherWith(shared.table, *entry, *identity);
  if (other == nullptr) {
    entry->netns = *identity;
    return done({});
  }
  shared.dependencies.runtime.sandboxNetns(
      other->record.sandbox, shared.dependencies.clock.now() + shared.options.decisionWait,
      onLane<Fd>(shared.lane, [entry, other, identity = *identity,
                               done = std::move(done)](const Result<Fd>& there) {
        const auto now = there ? netns::identity(*there) : fail(there.error());
        if (now && *now == identity) return done(fail(sharedWith(*other)));
        other->netns.reset();
        entry->netns = identity;
        done({});
      }));
}

}  // namespace multinet::agent::sandbox
