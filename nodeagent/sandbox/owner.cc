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
/// One list without a sandbox may be a runtime that is just starting.
constexpr unsigned kAbsencesThatCount = 2;

}  // namespace

Owner::Owner(const Doors& doors, Options options)
    : lane_("sandbox"),
      table_(options.bootId),
      shared_{doors, std::move(options), lane_, table_},
      commands_(lane_, kMaxCommands) {
  lane_.postAfter(shared_.options.tick, [this] { tick(); });
}

Owner::~Owner() {
  stop();
}

void Owner::stop() {
  lane_.stop();
}

std::shared_ptr<const Snapshot> Owner::snapshot() const {
  return table_.snapshot();
}

Status Owner::ready() const {
  const auto now = snapshot();
  if (!now->recovered) return fail(now->waitsFor);
  return shared_.doors.resolver.ready();
}

void Owner::waitsFor(Error what) {
  lane_.post([this, what = std::move(what)] { table_.setWaitsFor(what); });
}

Status Owner::mayCreateContainer(const SandboxId& id, const RunRequest& config) const {
  if (!asksForNetworks(config)) return {};
  const auto now = snapshot();
  if (!now->recovered) {
    return fail(now->waitsFor.within("create container in sandbox " + id.str()));
  }
  const auto view = now->sandboxes.find(id);
  if (view != now->sandboxes.end() && view->second.attached) return {};
  return fail(Code::FailedPrecondition, "NotAttached",
              "create container in sandbox " + id.str() + ": the pod asks for networks \"" +
                  config.annotations.at("multinet.dev/networks") +
                  "\", and this sandbox doesn't have them");
}

void Owner::run(RunRequest request, Callback<RunResult> done) {
  const async::Answer<RunResult> answer(std::move(done));
  lane_.post([this, request = std::move(request), answer]() mutable {
    active_.push_back({request.pod, std::make_shared<std::atomic<bool>>(false)});
    const Callback<RunResult> reply = [answer](Result<RunResult> result) {
      answer(std::move(result));
    };
    if (table_.recovered()) return submitRun(std::move(request), reply);
    const BootTime until = shared_.doors.clock.now() + shared_.options.recoveryWait;
    waiting_.push_back({std::move(request), reply, until});
  });
}

void Owner::submitRun(RunRequest request, Callback<RunResult> done) {
  const PodRef pod = request.pod;
  attach::AbortFlag abort;
  for (const Active& active : active_) {
    if (active.pod == pod) abort = active.abort;
  }
  commands_.submit<RunResult>(
      pod.uid,
      [this, request = std::move(request), abort](async::Answer<RunResult> answer) {
        RunCommand::start(shared_, request, abort, std::move(answer));
      },
      [this, abort, done = std::move(done)](Result<RunResult> result) {
        std::erase_if(active_, [&](const Active& active) { return active.abort == abort; });
        done(std::move(result));
      });
}

void Owner::abort(const PodRef& pod) {
  lane_.post([this, pod] {
    for (const Active& active : active_) {
      if (active.pod.uid == pod.uid && active.pod.attempt == pod.attempt) active.abort->store(true);
    }
  });
}

void Owner::beforeStop(const SandboxId& id, StatusCallback done) {
  const async::Answer<void> answer(std::move(done));
  const StatusCallback reply = [answer](Status status) { answer(std::move(status)); };
  lane_.post([this, id, reply] {
    if (const EntryPtr entry = table_.bySandbox(id)) return stopKnown(entry, reply);
    if (table_.anyUnbound()) return stopUnknown(id, reply);
    reply({});
  });
}

// The sandbox may be one that a run under way is about to learn of.
void Owner::stopUnknown(const SandboxId& id, StatusCallback done) {
  shared_.doors.runtime.listPodSandboxes(
      shared_.doors.clock.now() + shared_.options.decisionWait,
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

void Owner::stopKnown(const EntryPtr& entry, StatusCallback done) {
  if (entry->running) entry->abort->store(true);
  commands_.submit<void>(
      entry->record.pod.uid,
      [this, entry](const async::Answer<void>& answer) {
        const State state = entry->record.state;
        if (state != State::Rollback && state != State::Detached) {
          failpoint::pass("sandbox.stop.before");
          note(shared_, *entry, State::Detaching);
          failpoint::pass("sandbox.stop.after");
        }
        answer({});
      },
      // Whatever stands in the way of our books, a stop goes on: a pod must be able to end.
      [done = std::move(done)](const Status&) { done({}); });
}

void Owner::afterStop(const SandboxId& id, StatusCallback done) {
  const async::Answer<void> answer(std::move(done));
  lane_.post([this, id, answer] {
    const EntryPtr entry = table_.bySandbox(id);
    if (entry == nullptr) {
      if (!table_.recovered()) endedEarly_.insert(id);
      return answer({});
    }
    commands_.submit<void>(
        entry->record.pod.uid,
        [this, entry](const async::Answer<void>& detached) {
          detach(entry, [detached](Status status) { detached(std::move(status)); });
        },
        [answer](const Status&) { answer({}); });  // what failed is tried again by tick()
  });
}

void Owner::afterRemove(const SandboxId& id) {
  afterStop(id, [](const Status&) {});
}

void Owner::detach(const EntryPtr& entry, std::function<void(Status)> done) {
  const State state = entry->record.state;
  if (state == State::Detached) return done({});
  if (state == State::Rollback) return Rollback::start(shared_, entry, "stopped", std::move(done));
  if (state != State::Detaching) note(shared_, *entry, State::Detaching);
  failpoint::pass("sandbox.detach.before");
  shared_.doors.engine.detach(
      entry->record.id, std::nullopt,
      onLane<void>(lane_, [this, entry, done = std::move(done)](Status status) {
        failpoint::pass("sandbox.detach.after");
        entry->detachFailed = !status.has_value();
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
          shared_.doors.reporter.detached(record.pod, record.sandbox);
          done({});
        });
      }));
}

void Owner::background(const EntryPtr& entry, std::function<void(std::function<void()>)> work) {
  const IntentId id = entry->record.id;
  if (!busy_.insert(id).second) return;
  commands_.submit<void>(
      entry->record.pod.uid,
      [entry, work = std::move(work)](const async::Answer<void>& answer) {
        if (entry->record.state == State::Detached) return answer({});
        work([answer] { answer({}); });
      },
      [this, id](const Status&) { busy_.erase(id); });
}

void Owner::restore(std::vector<Restored> restored) {
  lane_.post([this, restored = std::move(restored)]() mutable {
    for (Restored& one : restored) {
      if (one.record.state == State::Detached) {
        table_.rest(one.record.quarantineUntil, one.record.id);
        continue;
      }
      const EntryPtr entry = table_.add(std::move(one.record));
      entry->forwarded = true;
      entry->doubted = one.fate == Fate::Doubt;
      // A pod could end while nobody knew its sandbox yet.
      if (endedEarly_.contains(entry->record.sandbox)) one.fate = Fate::Detach;
      startFate(entry, one.fate);
      reportAgain(*entry, one.fate);
    }
    endedEarly_.clear();
    table_.setRecovered();
    for (Waiting& waiting : std::exchange(waiting_, {})) {
      submitRun(std::move(waiting.request), std::move(waiting.done));
    }
  });
}

// The process may have ended between the attach and its report; saying it twice costs a look.
void Owner::reportAgain(const Entry& entry, Fate fate) {
  const journal::Record& record = entry.record;
  if (fate != Fate::Keep || record.state != State::Attached) return;
  if (record.bootId != shared_.options.bootId) return;
  shared_.doors.reporter.attached(record.pod, record.sandbox, record.interfaces);
}

void Owner::startFate(const EntryPtr& entry, Fate fate) {
  switch (fate) {
    case Fate::Keep:
    case Fate::Doubt:
      break;
    case Fate::Finish:
      background(entry, [this, entry](std::function<void()> done) {
        RunCommand::resume(shared_, entry,
                           async::Answer<RunResult>([done](const Result<RunResult>&) { done(); }));
      });
      break;
    case Fate::RollBack:
      background(entry, [this, entry](std::function<void()> done) {
        Rollback::start(shared_, entry, "the agent ended during the attach",
                        [done](const Status&) { done(); });
      });
      break;
    case Fate::Detach:
      background(entry, [this, entry](std::function<void()> done) {
        detach(entry, [done](const Status&) { done(); });
      });
      break;
  }
}

void Owner::tick() {
  refuseLateWaiters();
  const BootTime now = shared_.doors.clock.now();
  if (table_.recovered()) {
    forgetRested();
    if (now >= nextRetry_) {
      nextRetry_ = now + kRetryEvery;
      retryUnfinished();
    }
    if (now >= nextCompare_) {
      nextCompare_ = now + shared_.options.compareEvery;
      compare();
    }
  }
  lane_.postAfter(shared_.options.tick, [this] { tick(); });
}

void Owner::refuseLateWaiters() {
  const BootTime now = shared_.doors.clock.now();
  const Error reason = table_.snapshot()->waitsFor;
  for (const Waiting& waiting : waiting_) {
    if (now < waiting.until) continue;
    std::erase_if(active_, [&](const Active& one) { return one.pod == waiting.request.pod; });
    waiting.done(fail(reason.within("attach networks of pod " + waiting.request.pod.str())));
  }
  std::erase_if(waiting_, [&](const Waiting& waiting) { return now >= waiting.until; });
}

void Owner::retryUnfinished() {
  for (const EntryPtr& entry : table_.all()) {
    if (entry->running) continue;
    if (entry->record.state == State::Rollback) {
      startFate(entry, Fate::RollBack);
    } else if (entry->detachFailed) {
      startFate(entry, Fate::Detach);
    }
  }
}

void Owner::forgetRested() {
  for (const IntentId& id : table_.takeRested(shared_.doors.clock.wall())) {
    shared_.doors.journal.erase(id, [](const Status&) {});
  }
}

void Owner::compare() {
  if (table_.all().empty()) return;
  shared_.doors.runtime.listPodSandboxes(
      shared_.doors.clock.now() + shared_.options.teardown,
      onLane<std::vector<RuntimeSandbox>>(lane_, [this](Result<std::vector<RuntimeSandbox>> list) {
        if (list.has_value()) compareWith(*list);
      }));
}

void Owner::compareWith(const std::vector<RuntimeSandbox>& list) {
  std::set<SandboxId> present;
  for (const RuntimeSandbox& one : list) present.insert(one.id);
  for (const EntryPtr& entry : table_.all()) {
    const journal::Record& record = entry->record;
    if (entry->running || record.sandbox.empty() || record.state == State::Rollback) continue;
    entry->absences = present.contains(record.sandbox) ? 0 : entry->absences + 1;
    if (entry->absences < kAbsencesThatCount) continue;
    log::warn("sandbox is gone without a stop",
              {{"pod", record.pod.str()}, {"sandbox", record.sandbox}});
    startFate(entry, Fate::Detach);
  }
}

}  // namespace multinet::agent::sandbox
