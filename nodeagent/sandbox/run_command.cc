#include "nodeagent/sandbox/run_command.h"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "nodeagent/sandbox/netns_check.h"
#include "nodeagent/sandbox/rollback.h"

namespace multinet::agent::sandbox {
namespace {

using journal::State;

IntentId newIntentId() {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::random_device random;
  std::string text;
  for (int word = 0; word < 2; ++word) {
    std::uint32_t value = random();
    for (int digit = 0; digit < 8; ++digit, value >>= 4U) text += kDigits[value & 0xfU];
  }
  return IntentId(text);
}

resolve::PodRequest podRequest(const RunRequest& request, std::vector<InterfacePlan> earlier) {
  return {request.pod, request.labels, request.annotations, request.hostNetwork,
          std::move(earlier)};
}

// The runtime's own word, after which no sandbox of this call can appear.
bool isFinal(const Error& error) {
  return error.code != Code::Unavailable && error.code != Code::DeadlineExceeded &&
         error.code != Code::Cancelled;
}

Error explained(const Error& error, const PodRef& pod) {
  return error.within("attach networks of pod " + pod.str());
}

}  // namespace

void RunCommand::start(const Shared& shared, RunCallPtr call, async::Answer<void> ended) {
  const std::shared_ptr<RunCommand> command(
      new RunCommand(shared, std::move(call), std::move(ended)));
  if (command->endsByAbort()) return;
  command->intent_ = newIntentId();
  shared.doors.reporter.starting(command->call_->request.pod);
  command->settleOlder();
}

void RunCommand::resume(const Shared& shared, EntryPtr entry, async::Answer<void> ended) {
  const auto call = std::make_shared<RunCall>(
      RunCall{{}, async::Answer<RunResult>([](const Result<RunResult>&) {}), entry->abort});
  call->request.pod = entry->record.pod;
  call->request.deadline = shared.doors.clock.now() + shared.options.teardown;
  const std::shared_ptr<RunCommand> command(new RunCommand(shared, call, std::move(ended)));
  command->intent_ = entry->record.id;
  command->entry_ = std::move(entry);
  command->entry_->forwarded = true;
  command->openNetns();
}

// The same (pod, attempt) may come again: a retry, or a runtime that lost its sandboxes. What the
// earlier one left is taken back first, unless the runtime still has it.
void RunCommand::settleOlder() {
  call_->waitsFor = "what an earlier sandbox of this attempt left";
  const PodRef& pod = call_->request.pod;
  for (const EntryPtr& older : shared_.table.ofPod(pod.uid)) {
    if (older->record.pod.attempt == pod.attempt) return settleOne(older);
  }
  resolve();
}

void RunCommand::settleOne(const EntryPtr& older) {
  const auto takeBack = [self = shared_from_this(), older] {
    Rollback::start(self->shared_, older, "superseded", [self, older](Status status) {
      if (!status.has_value()) {
        return self->refuse({Code::Unavailable, "RollbackPending",
                             "take back the earlier sandbox: " + status.error().message});
      }
      self->resolve();
    });
  };
  if (older->record.state == State::Rollback || older->record.sandbox.empty()) return takeBack();
  shared_.doors.runtime.listPodSandboxes(
      decisionDeadline(),
      onLane<std::vector<RuntimeSandbox>>(
          shared_.lane,
          [self = shared_from_this(), older, takeBack](Result<std::vector<RuntimeSandbox>> list) {
            if (!list.has_value()) return self->refuse(list.error().within("list sandboxes"));
            const SandboxId& id = older->record.sandbox;
            const bool isThere = std::any_of(list->begin(), list->end(),
                                             [&](const auto& one) { return one.id == id; });
            if (!isThere) return takeBack();
            self->refuse({Code::Unavailable, "SandboxExists",
                          "sandbox " + id.str() + " of this attempt exists; use it or stop it"});
          }));
}

void RunCommand::resolve() {
  if (endsByAbort()) return;
  call_->waitsFor = "the definitions of its networks";
  failpoint::pass("sandbox.resolve.before");
  shared_.doors.resolver.resolve(
      podRequest(call_->request, shared_.table.earlierOf(call_->request.pod.uid)),
      decisionDeadline(),
      onLane<std::vector<resolve::WantedInterface>>(
          shared_.lane,
          [self = shared_from_this()](Result<std::vector<resolve::WantedInterface>> wanted) {
            failpoint::pass("sandbox.resolve.after");
            if (!wanted.has_value()) return self->refuse(wanted.error());
            self->claim(std::move(*wanted));
          }));
}

void RunCommand::claim(std::vector<resolve::WantedInterface> wanted) {
  if (endsByAbort()) return;
  call_->waitsFor = "addresses";
  failpoint::pass("sandbox.claim.before");
  std::vector<addresses::Want> wants;
  wants.reserve(wanted.size());
  for (const resolve::WantedInterface& one : wanted) {
    wants.push_back({one.plan.name, {one.plan.network, one.plan.networkUid, one.subnets}});
  }
  shared_.doors.addresses.claim(
      intent_, call_->request.pod.uid, std::move(wants), decisionDeadline(),
      onLane<std::vector<addresses::Claimed>>(
          shared_.lane, [self = shared_from_this(), wanted = std::move(wanted)](
                            Result<std::vector<addresses::Claimed>> claimed) {
            failpoint::pass("sandbox.claim.after");
            if (!claimed.has_value()) return self->refuse(claimed.error());
            self->writeIntent(wanted, *claimed);
          }));
}

void RunCommand::writeIntent(const std::vector<resolve::WantedInterface>& wanted,
                             const std::vector<addresses::Claimed>& claimed) {
  journal::Record record;
  record.id = intent_;
  record.pod = call_->request.pod;
  record.state = State::Intent;
  record.bootId = shared_.options.bootId;
  record.changedAt = shared_.doors.clock.wall();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    // The same for each sandbox of the pod: neighbours keep who they talk to.
    const std::string seed = record.pod.uid.str() + "/" + wanted[i].plan.networkUid.str() + "/" +
                             wanted[i].plan.name.str();
    InterfaceStatus status;
    status.plan = resolve::complete(wanted[i], claimed.at(i), MacAddress::derive(seed));
    record.interfaces.push_back(std::move(status));
  }
  entry_ = shared_.table.add(std::move(record));
  entry_->abort = call_->abort;
  entry_->running = true;
  shared_.table.publish();
  call_->waitsFor = "the journal: its disk doesn't answer";
  failpoint::pass("sandbox.intent.before");
  shared_.doors.journal.put(entry_->record, journal::Durability::Synced,
                            onLane<void>(shared_.lane, [self = shared_from_this()](Status status) {
                              failpoint::pass("sandbox.intent.after");
                              if (!status.has_value()) return self->rollBack(status.error());
                              self->forward();
                            }));
}

void RunCommand::forward() {
  if (endsByAbort()) return;
  entry_->forwarded = true;
  std::vector<InterfacePlan> plans;
  plans.reserve(entry_->record.interfaces.size());
  for (const InterfaceStatus& status : entry_->record.interfaces) plans.push_back(status.plan);
  call_->answerBy.reset();
  failpoint::pass("sandbox.forward.before");
  shared_.doors.runtime.runPodSandbox(
      call_->request, plans,
      onLane<RunReply>(shared_.lane, [self = shared_from_this()](Result<RunReply> reply) {
        failpoint::pass("sandbox.forward.after");
        if (reply.has_value()) return self->bind(std::move(*reply));
        self->entry_->answered = isFinal(reply.error());
        self->rollBack(reply.error(), Whose::Runtimes);
      }));
}

void RunCommand::bind(RunReply reply) {
  entry_->answered = true;
  call_->answerBy = shared_.doors.clock.now() + shared_.options.attachWait;
  if (reply.id.empty() || shared_.table.bySandbox(reply.id) != nullptr) {
    // Not ours to stop: whoever has that sandbox keeps it.
    return rollBack({Code::Internal, "SandboxIdRepeated",
                     "bind sandbox: the runtime answered with the ID \"" + reply.id.str() +
                         "\", which " + (reply.id.empty() ? "is empty" : "another pod has")});
  }
  entry_->record.sandbox = reply.id;
  replyBytes_ = std::move(reply.bytes);
  failpoint::pass("sandbox.bound.before");
  note(shared_, *entry_, State::Bound);
  failpoint::pass("sandbox.bound.after");
  openNetns();
}

void RunCommand::openNetns() {
  if (endsByAbort()) return;
  call_->waitsFor = "the runtime to tell the sandbox's network namespace";
  failpoint::pass("sandbox.netns.before");
  const BootTime deadline = shared_.doors.clock.now() + shared_.options.teardown;
  shared_.doors.runtime.sandboxNetns(
      entry_->record.sandbox, deadline,
      onLane<Fd>(shared_.lane, [self = shared_from_this()](Result<Fd> netns) {
        failpoint::pass("sandbox.netns.after");
        if (!netns.has_value()) {
          return self->rollBack(netns.error().within("open network namespace"));
        }
        self->checkOwn(std::move(*netns));
      }));
}

void RunCommand::checkOwn(Fd netns) {
  const auto held = std::make_shared<Fd>(std::move(netns));
  checkNetns(shared_, entry_, *held, [self = shared_from_this(), held](const Status& own) {
    if (!own.has_value()) {
      return self->rollBack(own.error().within("open network namespace"));
    }
    self->attach(std::move(*held));
  });
}

void RunCommand::attach(Fd netns) {
  if (endsByAbort()) return;
  std::vector<InterfacePlan> plans;
  for (const InterfaceStatus& status : entry_->record.interfaces) plans.push_back(status.plan);
  call_->waitsFor = "the kernel to make its links";
  failpoint::pass("sandbox.attach.before");
  shared_.doors.engine.attach(
      intent_, std::move(netns), std::move(plans), call_->abort,
      onLane<std::vector<InterfaceStatus>>(
          shared_.lane, [self = shared_from_this()](Result<std::vector<InterfaceStatus>> done) {
            failpoint::pass("sandbox.attach.after");
            if (!done.has_value()) return self->rollBack(done.error());
            self->writeAttached(std::move(*done));
          }));
}

void RunCommand::writeAttached(std::vector<InterfaceStatus> statuses) {
  if (endsByAbort()) return;
  for (InterfaceStatus& status : statuses) status.attachedAt = shared_.doors.clock.wall();
  journal::Record record = entry_->record;
  record.interfaces = std::move(statuses);
  record.state = State::Attached;
  record.bootId = shared_.options.bootId;
  record.changedAt = shared_.doors.clock.wall();
  call_->waitsFor = "the journal: its disk doesn't answer";
  failpoint::pass("sandbox.attached.before");
  shared_.doors.journal.put(
      record, journal::Durability::Synced,
      onLane<void>(shared_.lane, [self = shared_from_this(), record](Status status) {
        failpoint::pass("sandbox.attached.after");
        if (!status.has_value()) return self->rollBack(status.error());
        self->entry_->record = record;
        self->succeed();
      }));
}

void RunCommand::succeed() {
  entry_->running = false;
  shared_.table.publish();
  const journal::Record& record = entry_->record;
  log::info("attached", {{"pod", record.pod.str()},
                         {"sandbox", record.sandbox},
                         {"intent", intent_},
                         {"interfaces", record.interfaces.size()}});
  shared_.doors.reporter.attached(record.pod, record.sandbox, record.interfaces);
  failpoint::pass("sandbox.answer.before");
  end(RunResult{{record.sandbox, replyBytes_}, record.interfaces});
  failpoint::pass("sandbox.answer.after");
}

bool RunCommand::endsByAbort() {
  if (!call_->abort->load()) return false;
  const Error error{Code::Cancelled, "Aborted", "the call was cancelled or the pod is stopping"};
  if (entry_ == nullptr) {
    refuse(error);
  } else {
    rollBack(error);
  }
  return true;
}

void RunCommand::refuse(const Error& error) {
  const PodRef& pod = call_->request.pod;
  shared_.doors.addresses.release(intent_);
  const Error told = explained(error, pod);
  log::warn("refused", {{"pod", pod.str()}, {"error", told}});
  if (error.code != Code::Cancelled) shared_.doors.reporter.refused(pod, error);
  end(fail(told));
}

// The runtime's code, words and details are the kubelet's to judge, and its Event tells them: they
// go on unchanged, and nothing is said of networks, which weren't in the way.
void RunCommand::rollBack(const Error& error, Whose whose) {
  const PodRef& pod = call_->request.pod;
  log::warn("run failed, rolling back", {{"pod", pod.str()},
                                         {"sandbox", entry_->record.sandbox},
                                         {"intent", intent_},
                                         {"error", error}});
  const bool ours = whose == Whose::Ours;
  const auto done = [self = shared_from_this(), pod, error, ours](const Status&) {
    self->entry_->running = false;
    self->shared_.table.publish();
    if (ours && error.code != Code::Cancelled) self->shared_.doors.reporter.refused(pod, error);
    self->end(fail(ours ? explained(error, pod) : error));
  };
  Rollback::start(shared_, entry_, error.message, done);
}

void RunCommand::end(Result<RunResult> result) {
  call_->answer(std::move(result));
  ended_({});
}

BootTime RunCommand::decisionDeadline() const {
  const BootTime bound =
      call_->answerBy.value_or(shared_.doors.clock.now() + shared_.options.decisionWait);
  const BootTime kubelets = call_->request.deadline;
  return kubelets == BootTime{} ? bound : std::min(bound, kubelets);
}

}  // namespace multinet::agent::sandbox
