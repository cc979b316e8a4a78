#include "nodeagent/sandbox/rollback.h"

#include <utility>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"

namespace multinet::agent::sandbox {
namespace {

bool isGone(const Status& status) {
  return status.has_value() || status.error().code == Code::NotFound;
}

}  // namespace

void Rollback::start(const Shared& shared, EntryPtr entry, const std::string& why,
                     async::Answer<void> done) {
  failpoint::pass("sandbox.rollback.before");
  if (entry->record.message.empty()) entry->record.message = why;
  if (entry->record.state != journal::State::Rollback) {
    note(shared, *entry, journal::State::Rollback);
  }
  const std::shared_ptr<Rollback> rollback(new Rollback(shared, std::move(entry), std::move(done)));
  rollback->back();
}

void Rollback::back() {
  while (at_ > 0) {
    const Step& step = way()[--at_];
    if (step.undo == nullptr) continue;
    passPlace(step.undoName, "before");
    return (this->*step.undo)();
  }
  done_({});
}

void Rollback::undone() {
  passPlace(way()[at_].undoName, "after");
  back();
}

void Rollback::detach() {
  findSandbox([self = shared_from_this()] {
    if (self->entry_->record.sandbox.empty()) return self->detachIn(std::nullopt);
    self->shared_.dependencies.runtime.sandboxNetns(
        self->entry_->record.sandbox, self->deadline(),
        onLane<Fd>(self->shared_.lane, [self](Result<Fd> netns) {
          // Without it the links inside die with the sandbox.
          self->detachIn(netns.has_value() ? std::optional<Fd>(std::move(*netns)) : std::nullopt);
        }));
  });
}

void Rollback::findSandbox(const std::function<void()>& found) {
  if (!entry_->record.sandbox.empty() || !entry_->forwarded) return found();
  shared_.dependencies.runtime.listPodSandboxes(
      deadline(), onLane<std::vector<RuntimeSandbox>>(
                      shared_.lane,
                      [self = shared_from_this(), found](Result<std::vector<RuntimeSandbox>> list) {
                        if (!list.has_value())
                          return self->giveUp(list.error().within("list sandboxes"));
                        for (const RuntimeSandbox& one : *list) {
                          const PodRef& pod = self->entry_->record.pod;
                          if (one.pod.uid != pod.uid || one.pod.attempt != pod.attempt) continue;
                          if (self->shared_.table.bySandbox(one.id) != nullptr) continue;
                          self->entry_->record.sandbox = one.id;
                          note(self->shared_, *self->entry_, journal::State::Rollback);
                          break;
                        }
                        found();
                      }));
}

void Rollback::detachIn(std::optional<Fd> netns) {
  shared_.dependencies.engine.detach(
      entry_->record.id, std::move(netns),
      onLane<void>(shared_.lane, [self = shared_from_this()](const Status& status) {
        if (!status.has_value()) return self->giveUp(status.error().within("remove links"));
        self->undone();
      }));
}

void Rollback::stopSandbox() {
  if (entry_->record.sandbox.empty()) return undone();
  shared_.dependencies.runtime.stopPodSandbox(
      entry_->record.sandbox, deadline(),
      onLane<void>(shared_.lane, [self = shared_from_this()](const Status& status) {
        if (!isGone(status)) return self->giveUp(status.error().within("stop sandbox"));
        self->undone();
      }));
}

void Rollback::removeSandbox() {
  if (entry_->record.sandbox.empty()) return undone();
  shared_.dependencies.runtime.removePodSandbox(
      entry_->record.sandbox, deadline(),
      onLane<void>(shared_.lane, [self = shared_from_this()](const Status& status) {
        if (!isGone(status)) return self->giveUp(status.error().within("remove sandbox"));
        self->entry_->answered = true;
        self->undone();
      }));
}

void Rollback::release() {
  if (entry_->forwarded && !entry_->answered) {
    const BootTime now = shared_.dependencies.clock.now();
    if (entry_->watchUntil == BootTime{}) entry_->watchUntil = now + shared_.options.lateWatch;
    if (now < entry_->watchUntil) return watchForLateSandbox();
  }
  settle(shared_, entry_, [self = shared_from_this()] { self->undone(); });
}

// No link was ever made for a sandbox without an ID, so the addresses rest already. They stand in
// the record until it goes: a successor must know of their quarantine.
void Rollback::watchForLateSandbox() {
  shared_.dependencies.addresses.release(entry_->record.id);
  journal::Record& record = entry_->record;
  if (!isReleased(record)) {
    record.quarantinedUntil = shared_.dependencies.clock.now() + shared_.options.quarantine;
    record.bootId = shared_.options.bootId;
  }
  note(shared_, *entry_, journal::State::Rollback);
  done_({});
}

void Rollback::giveUp(Error error) {
  if (!std::exchange(entry_->record.rollbackFailed, true)) {
    note(shared_, *entry_, journal::State::Rollback);
  }
  log::warn("rollback not finished, will be tried again", {{"pod", entry_->record.pod.str()},
                                                           {"sandbox", entry_->record.sandbox},
                                                           {"intent", entry_->record.id},
                                                           {"error", error}});
  done_(fail(std::move(error)));
}

BootTime Rollback::deadline() const {
  return shared_.dependencies.clock.now() + shared_.options.teardown;
}

}  // namespace multinet::agent::sandbox
