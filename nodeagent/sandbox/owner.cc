#include "nodeagent/sandbox/owner.h"

#include <algorithm>
#include <utility>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "nodeagent/sandbox/rollback.h"
#include "nodeagent/sandbox/run_command.h"

namespace multinet::agent::sandbox {
namespace {

using journal::State;

constexpr std::size_t kMaxCommands = 1024;
constexpr std::chrono::seconds kRetryEvery(5);
/// A journal may not open for days while pods come and go. Whose stop isn't remembered is found by
/// comparing with the runtime.
constexpr std::size_t kMostEndedEarly = 1024;

}  // namespace

Owner::Owner(async::Lane& lane, const Dependencies& dependencies, Options options)
    : lane_(lane),
      table_(options.bootId),
      shared_{dependencies, std::move(options), lane_, table_},
      contests_(shared_),
      calls_(shared_),
      commands_(lane_, kMaxCommands),
      drift_(shared_,
             [this](const EntryPtr& entry, Drift::Work work, std::function<void()> ended) {
               commands_.submit<void>(
                   entry->record.pod.uid,
                   [work = std::move(work)](const async::Answer<void>& answer) {
                     work([answer] { answer({}); });
                   },
                   [ended = std::move(ended)](const Status&) { ended(); });
             }),
      census_(shared_,
              [this](const EntryPtr& entry) { startAction(entry, RecoveryAction::Detach); }) {
  shared_.dependencies.addresses.onContests([this](std::vector<addresses::Contest> contests) {
    lane_.post([this, contests = std::move(contests)]() mutable {
      if (table_.recovered()) return contests_.are(std::move(contests));
      heard_ = std::move(contests);  // until it is known whose they are
    });
  });
  lane_.postAfter(shared_.options.tick, [this] { tick(); });
}

Owner::~Owner() {
  stop();
}

void Owner::stop() {
  census_.stop();
  lane_.stop();
}

std::shared_ptr<const Snapshot> Owner::snapshot() const {
  return table_.snapshot();
}

Status Owner::ready() const {
  if (const auto* watchdog = shared_.dependencies.watchdog) MULTINET_CHECK(watchdog->ready());
  const auto now = snapshot();
  if (!now->recovered) return fail(now->waitsFor);
  return shared_.dependencies.resolver.ready();
}

void Owner::waitsFor(Error what) {
  lane_.post([this, what = std::move(what)] { table_.setWaitsFor(what); });
}

void Owner::run(RunRequest request, async::Answer<RunResult> done) {
  const auto call = std::make_shared<RunCall>(RunCall{std::move(request), std::move(done)});
  lane_.post([this, call] {
    BootTime& arrived = call->request.arrived;
    if (arrived == BootTime{}) arrived = shared_.dependencies.clock.now();
    call->answerBy = arrived + shared_.options.decisionWait;
    if (table_.recovered()) return submitRun(call);
    calls_.addWaiting(call);
  });
}

void Owner::submitRun(const RunCallPtr& call) {
  if (!calls_.add(call)) return;
  commands_.submit<void>(
      call->request.pod.uid,
      [this, call](async::Answer<void> ended) {
        RunCommand::start(shared_, call, std::move(ended));
      },
      [this, call](const Status& ended) {
        calls_.ended(call);
        if (!ended.has_value()) call->answer(fail(ended.error()));  // the queue refused it
      });
}

void Owner::beforeStop(const SandboxId& id, async::Answer<void> done) {
  lane_.post([this, id, done = std::move(done)] {
    if (const EntryPtr entry = table_.bySandbox(id)) return stopKnown(entry, done);
    if (table_.anyUnbound()) return stopUnknown(id, done);
    done({});
  });
}

// The sandbox may be one that a run under way is about to learn of.
void Owner::stopUnknown(const SandboxId& id, async::Answer<void> done) {
  shared_.dependencies.runtime.listPodSandboxes(
      shared_.dependencies.clock.now() + shared_.options.decisionWait,
      onLane<std::vector<RuntimeSandbox>>(
          lane_, [this, id, done = std::move(done)](Result<std::vector<RuntimeSandbox>> list) {
            if (const EntryPtr entry = table_.bySandbox(id)) return stopKnown(entry, done);
            if (!list.has_value()) return done({});
            for (const RuntimeSandbox& one : *list) {
              if (one.id != id) continue;
              for (const EntryPtr& entry : table_.ofPod(one.pod.uid)) {
                const bool same = entry->record.pod.attempt == one.pod.attempt;
                if (same && entry->running) return stopKnown(entry, done);
              }
            }
            done({});
          }));
}

// The books change when the runtime has stopped it, not before: it may refuse, or be too late.
void Owner::stopKnown(const EntryPtr& entry, async::Answer<void> done) {
  drift_.stopping(*entry);
  if (!entry->running) return done({});
  entry->abort->store(true);
  commands_.submit<void>(
      entry->record.pod.uid, [](const async::Answer<void>& behind) { behind({}); },
      // Whatever stands in the way of our books, a stop goes on: a pod must be able to end.
      [done = std::move(done)](const Status&) { done({}); });
}

void Owner::afterStop(const SandboxId& id, async::Answer<void> done) {
  lane_.post([this, id, done = std::move(done)] {
    const EntryPtr entry = table_.bySandbox(id);
    if (entry == nullptr) {
      if (!table_.recovered()) {
        endedEarly_.push_back(id);
        if (endedEarly_.size() > kMostEndedEarly) endedEarly_.pop_front();
      }
      return done({});
    }
    entry->detachOwed = true;  // until it is done, tick() sees to it
    background(
        entry,
        [this, entry](std::function<void()> ended) {
          detach(entry, [ended = std::move(ended)](const Status&) { ended(); });
        },
        [done] { done({}); });
  });
}

void Owner::afterRemove(const SandboxId& id) {
  afterStop(id, [](const Status&) {});
}

void Owner::detach(const EntryPtr& entry, async::Answer<void> done) {
  const State state = entry->record.state;
  if (state == State::Detached) return done({});
  if (state == State::Rollback) return Rollback::start(shared_, entry, "stopped", std::move(done));
  if (state != State::Detaching) {
    failpoint::pass("sandbox.stop.before");
    note(shared_, *entry, State::Detaching);
    failpoint::pass("sandbox.stop.after");
  }
  failpoint::pass("sandbox.detach.before");
  shared_.dependencies.engine.detach(
      entry->record.id, std::nullopt,
      onLane<void>(lane_, [this, entry, done = std::move(done)](Status status) {
        failpoint::pass("sandbox.detach.after");
        entry->detachOwed = !status.has_value();
        if (!status.has_value()) {
          log::warn("detach not finished, will be tried again",
                    {{"pod", entry->record.pod.str()}, {"error", status.error()}});
          return done(std::move(status));
        }
        const journal::Record record = entry->record;
        settle(shared_, entry, [this, record, done] {
          log::info(
              "detached",
              {{"pod", record.pod.str()}, {"sandbox", record.sandbox}, {"intent", record.id}});
          shared_.dependencies.tell(report::Detached{record.pod, record.sandbox});
          done({});
        });
      }));
}

void Owner::background(const EntryPtr& entry, std::function<void(std::function<void()>)> work,
                       std::function<void()> ended) {
  const IntentId id = entry->record.id;
  if (!busy_.insert(id).second) return ended();
  commands_.submit<void>(
      entry->record.pod.uid,
      [entry, work = std::move(work)](const async::Answer<void>& answer) {
        if (entry->record.state == State::Detached) return answer({});
        work([answer] { answer({}); });
      },
      [this, id, ended = std::move(ended)](const Status&) {
        busy_.erase(id);
        ended();
      });
}

void Owner::restore(std::vector<Restored> restored, addresses::Books books) {
  lane_.post([this, restored = std::move(restored), books]() mutable {
    census_.begin(books);
    const Options& options = shared_.options;
    const BootTime now = shared_.dependencies.clock.now();
    tellPolicies(restored);
    for (Restored& one : restored) {
      if (one.record.state == State::Detached) {
        const Duration left = quarantineLeft(one.record, options.bootId, now, options.quarantine);
        one.record.quarantinedUntil = now + left;
        table_.rest(std::move(one.record));
        continue;
      }
      const EntryPtr entry = table_.add(std::move(one.record));
      entry->forwarded = true;
      // A pod could end while nobody knew its sandbox yet.
      const SandboxId& id = entry->record.sandbox;
      const bool ended = std::find(endedEarly_.begin(), endedEarly_.end(), id) != endedEarly_.end();
      if (ended) one.action = RecoveryAction::Detach;
      startAction(entry, one.action);
      reportAgain(*entry, one.action);
    }
    endedEarly_.clear();
    table_.setRecovered();
    if (heard_) contests_.are(*std::exchange(heard_, std::nullopt));
    for (const RunCallPtr& call : calls_.takeWaiting()) submitRun(call);
  });
}

/// Of all that have links, or had, whatever becomes of them.
void Owner::tellPolicies(const std::vector<Restored>& restored) const {
  attach::Policies* policies = shared_.dependencies.policies;
  if (policies == nullptr) return;
  for (const Restored& one : restored) {
    const bool isThere =
        one.record.state != State::Detached && one.record.bootId == shared_.options.bootId;
    if (isThere) policies->known(policeable(one.record));
  }
  policies->recovered();
}

// The process may have ended between the attach and its report; saying it twice costs a look.
void Owner::reportAgain(const Entry& entry, RecoveryAction action) {
  const journal::Record& record = entry.record;
  if (action != RecoveryAction::Keep || record.state != State::Attached) return;
  // What the set says may be more than what is known here.
  if (record.doubt != journal::Doubt::None || record.bootId != shared_.options.bootId) return;
  shared_.dependencies.tell(report::Attached{record.pod, record.sandbox, record.interfaces});
}

void Owner::startAction(const EntryPtr& entry, RecoveryAction action) {
  switch (action) {
    case RecoveryAction::Keep:
      break;
    case RecoveryAction::Finish:
      background(entry, [this, entry](std::function<void()> done) {
        RunCommand::resume(shared_, entry, [done](const Status&) { done(); });
      });
      break;
    case RecoveryAction::RollBack:
      background(entry, [this, entry](std::function<void()> done) {
        Rollback::start(shared_, entry, "the agent ended during the attach",
                        [done](const Status&) { done(); });
      });
      break;
    case RecoveryAction::Detach:
      background(entry, [this, entry](std::function<void()> done) {
        detach(entry, [done](const Status&) { done(); });
      });
      break;
  }
}

void Owner::tick() {
  calls_.answerLate();
  const BootTime now = shared_.dependencies.clock.now();
  if (table_.recovered()) {
    forgetRested();
    drift_.tick();
    if (now >= nextRetry_) {
      nextRetry_ = now + kRetryEvery;
      retryUnfinished();
    }
    census_.tick();
  }
  lane_.postAfter(shared_.options.tick, [this] { tick(); });
}

// One list for all whose sandbox may still appear: a runtime that hangs leaves many of them, and
// is asked no more often for it.
void Owner::lookForLateSandboxes(std::vector<EntryPtr> entries) {
  if (entries.empty() || std::exchange(looking_, true)) return;
  using List = std::vector<RuntimeSandbox>;
  shared_.dependencies.runtime.listPodSandboxes(
      shared_.dependencies.clock.now() + shared_.options.teardown,
      onLane<List>(lane_, [this, entries = std::move(entries)](Result<List> list) {
        looking_ = false;
        if (!list.has_value()) return;
        std::set<std::pair<PodUid, std::uint32_t>> listed;
        for (const RuntimeSandbox& one : *list) {
          const bool isOthers = table_.bySandbox(one.id) != nullptr;
          if (!isOthers) listed.emplace(one.pod.uid, one.pod.attempt);
        }
        const BootTime now = shared_.dependencies.clock.now();
        for (const EntryPtr& entry : entries) {
          const PodRef& pod = entry->record.pod;
          const bool isThere = listed.contains({pod.uid, pod.attempt});
          if (isThere || now >= entry->watchUntil) startAction(entry, RecoveryAction::RollBack);
        }
      }));
}

void Owner::retryUnfinished() {
  std::vector<EntryPtr> late;
  for (const EntryPtr& entry : table_.all()) {
    if (entry->running) continue;
    if (entry->watchUntil != BootTime{} && entry->record.sandbox.empty()) {
      late.push_back(entry);
    } else if (entry->record.state == State::Rollback) {
      startAction(entry, RecoveryAction::RollBack);
    } else if (entry->detachOwed) {
      startAction(entry, RecoveryAction::Detach);
    }
  }
  lookForLateSandboxes(std::move(late));
}

void Owner::forgetRested() {
  for (const IntentId& id : table_.takeRested(shared_.dependencies.clock.now())) {
    shared_.dependencies.journal.erase(id, [](const Status&) {});
  }
}

}  // namespace multinet::agent::sandbox
