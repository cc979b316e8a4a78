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
                     std::function<void(Status)> done) {
  failpoint::pass("sandbox.rollback.before");
  if (entry->record.message.empty()) entry->record.message = why;
  if (entry->record.state != journal::State::Rollback) {
    note(shared, *entry, journal::State::Rollback);
  }
  const std::shared_ptr<Rollback> rollback(new Rollback(shared, std::move(entry), std::move(done)));
  rollback->findSandbox();
}

BootTime Rollback::deadline() const {
  return shared_.doors.clock.now() + shared_.options.teardown;
}

void Rollback::findSandbox() {
  if (!entry_->record.sandbox.empty()) return openNetns();
  if (!entry_->forwarded) return detach(std::nullopt);
  shared_.doors.runtime.listPodSandboxes(
      deadline(),
      onLane<std::vector<RuntimeSandbox>>(
          shared_.lane, [self = shared_from_this()](Result<std::vector<RuntimeSandbox>> list) {
            if (!list.has_value()) return self->giveUp(list.error().within("list sandboxes"));
            for (const RuntimeSandbox& one : *list) {
              const PodRef& pod = self->entry_->record.pod;
              if (one.pod.uid != pod.uid || one.pod.attempt != pod.attempt) continue;
              if (self->shared_.table.bySandbox(one.id) != nullptr) continue;
              self->entry_->record.sandbox = one.id;
              note(self->shared_, *self->entry_, journal::State::Rollback);
              return self->openNetns();
            }
            self->detach(std::nullopt);
          }));
}

void Rollback::openNetns() {
  shared_.doors.runtime.sandboxNetns(
      entry_->record.sandbox, deadline(),
      onLane<Fd>(shared_.lane, [self = shared_from_this()](Result<Fd> netns) {
        // Without it the links inside die with the sandbox.
        self->detach(netns.has_value() ? std::optional<Fd>(std::move(*netns)) : std::nullopt);
      }));
}

void Rollback::detach(std::optional<Fd> netns) {
  failpoint::pass("sandbox.rollback-detach.before");
  shared_.doors.engine.detach(
      entry_->record.id, std::move(netns),
      onLane<void>(shared_.lane, [self = shared_from_this()](Status status) {
        failpoint::pass("sandbox.rollback-detach.after");
        if (!status.has_value()) return self->giveUp(status.error().within("remove links"));
        if (self->entry_->record.sandbox.empty()) return self->finish();
        self->stopSandbox();
      }));
}

void Rollback::stopSandbox() {
  failpoint::pass("sandbox.rollback-stop.before");
  shared_.doors.runtime.stopPodSandbox(
      entry_->record.sandbox, deadline(),
      onLane<void>(shared_.lane, [self = shared_from_this()](Status status) {
        failpoint::pass("sandbox.rollback-stop.after");
        if (!isGone(status)) return self->giveUp(status.error().within("stop sandbox"));
        self->removeSandbox();
      }));
}

void Rollback::removeSandbox() {
  shared_.doors.runtime.removePodSandbox(
      entry_->record.sandbox, deadline(),
      onLane<void>(shared_.lane, [self = shared_from_this()](Status status) {
        failpoint::pass("sandbox.rollback-remove.after");
        if (!isGone(status)) return self->giveUp(status.error().within("remove sandbox"));
        self->entry_->answered = true;
        self->finish();
      }));
}

void Rollback::finish() {
  if (entry_->forwarded && !entry_->answered) {
    const BootTime now = shared_.doors.clock.now();
    if (entry_->watchUntil == BootTime{}) entry_->watchUntil = now + shared_.options.lateWatch;
    if (now < entry_->watchUntil) return watchForLateSandbox();
  }
  settle(shared_, entry_, [self = shared_from_this()] { self->done_({}); });
}

void Rollback::watchForLateSandbox() {
  // No link was ever made for a sandbox without an ID, so the addresses may go now.
  shared_.doors.addresses.release(entry_->record.id);
  entry_->record.interfaces.clear();
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

}  // namespace multinet::agent::sandbox
