#include "nodeagent/sandbox/run_command.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/log_level.h"
#include "nodeagent/sandbox/netns_check.h"
#include "nodeagent/sandbox/rollback.h"

namespace multinet::agent::sandbox {
namespace {

using journal::State;

resolve::PodRequest podRequest(const RunRequest& request, std::vector<InterfacePlan> earlier) {
  return {request.pod, request.labels, request.annotations, request.hostNetwork,
          std::move(earlier)};
}

// The runtime's own word, after which no sandbox of this call can appear.
bool isFinal(const Error& error) {
  return error.code != Code::Unavailable && error.code != Code::DeadlineExceeded &&
         error.code != Code::Cancelled;
}

std::size_t positionOf(void (RunCommand::*run)()) {
  const auto steps = way();
  const auto at =
      std::find_if(steps.begin(), steps.end(), [run](const Step& step) { return step.run == run; });
  return static_cast<std::size_t>(at - steps.begin());
}

}  // namespace

void RunCommand::start(const Shared& shared, RunCallPtr call, async::Answer<void> ended) {
  const std::shared_ptr<RunCommand> command(
      new RunCommand(shared, std::move(call), std::move(ended)));
  RunRequest& request = command->call_->request;
  if (request.id.empty()) request.id = newIntentId();
  command->go();
}

void RunCommand::resume(const Shared& shared, EntryPtr entry, async::Answer<void> ended) {
  RunRequest request;
  request.id = entry->record.id;
  request.pod = entry->record.pod;
  request.abort = entry->abort;
  request.deadline = shared.dependencies.clock.now() + shared.options.teardown;
  const auto call =
      std::make_shared<RunCall>(RunCall{std::move(request), [](const Result<RunResult>&) {}});
  const std::shared_ptr<RunCommand> command(new RunCommand(shared, call, std::move(ended)));
  command->entry_ = std::move(entry);
  command->entry_->forwarded = true;
  command->committed_ = Status();  // it was read from the disk
  command->at_ = positionOf(&RunCommand::openNetns);
  command->askPolicies();
  command->go();
}

void RunCommand::go() {
  const Step& step = way()[at_];
  since_ = shared_.dependencies.clock.now();
  if (call_->request.abort->load()) {
    return failed({Code::Cancelled, "Aborted", "the call was cancelled or the pod is stopping"});
  }
  if (!step.waitsFor.empty()) call_->waitsFor = step.waitsFor;
  passPlace(step.name, "before");
  (this->*step.run)();
}

void RunCommand::leave() {
  const std::string_view step = way()[at_].name;
  passPlace(step, "after");
  took_.push_back({step, shared_.dependencies.clock.now() - since_});
  if (log::isOn(log::Level::Debug)) {
    log::debug("step ended", {{"intent", call_->request.id}, {"step", step}});
  }
}

void RunCommand::passed() {
  leave();
  if (++at_ < way().size()) go();
}

void RunCommand::failed(const Error& error, Whose whose) {
  leave();
  if (entry_ == nullptr) return refuse(error);
  rollBack(error, whose);
}

template <class T, class Keep>
async::Answer<T> RunCommand::keeping(Keep keep) {
  return onLane<T>(shared_.lane, [self = shared_from_this(), keep](Result<T> result) mutable {
    if (!result.has_value()) return self->failed(result.error());
    keep(std::move(*result));
    self->passed();
  });
}

// The same (pod, attempt) may come again: a retry, or a runtime that lost its sandboxes. What the
// earlier one left is taken back first, unless the runtime still has it.
void RunCommand::settleOlder() {
  const PodRef& pod = call_->request.pod;
  for (const EntryPtr& older : shared_.table.ofPod(pod.uid)) {
    if (older->record.pod.attempt == pod.attempt) return settleOne(older);
  }
  passed();
}

void RunCommand::settleOne(const EntryPtr& older) {
  const auto takeBack = [self = shared_from_this(), older] {
    Rollback::start(self->shared_, older, "superseded", [self](const Status& status) {
      if (status.has_value()) return self->passed();
      self->failed({Code::Unavailable, "RollbackPending",
                    "take back the earlier sandbox: " + status.error().message});
    });
  };
  if (older->record.state == State::Rollback || older->record.sandbox.empty()) return takeBack();
  using List = std::vector<RuntimeSandbox>;
  shared_.dependencies.runtime.listPodSandboxes(
      decisionDeadline(),
      onLane<List>(shared_.lane, [self = shared_from_this(), older, takeBack](Result<List> list) {
        if (!list.has_value()) return self->failed(list.error().within("list sandboxes"));
        const SandboxId& id = older->record.sandbox;
        const bool isThere =
            std::any_of(list->begin(), list->end(), [&](const auto& one) { return one.id == id; });
        if (!isThere) return takeBack();
        self->failed({Code::Unavailable, "SandboxExists",
                      "sandbox " + id.str() + " of this attempt exists; use it or stop it"});
      }));
}

void RunCommand::resolve() {
  shared_.dependencies.resolver.resolve(
      podRequest(call_->request, shared_.table.earlierOf(call_->request.pod.uid)),
      decisionDeadline(), keeping<std::vector<resolve::WantedInterface>>([this](auto wanted) {
        wanted_ = std::move(wanted);
      }));
}

void RunCommand::claim() {
  std::vector<addresses::AddressRequest> wants;
  wants.reserve(wanted_.size());
  for (const resolve::WantedInterface& one : wanted_) {
    wants.push_back({one.plan.name, {one.plan.network, one.plan.networkUid, one.subnets}});
  }
  shared_.dependencies.addresses.claim(
      call_->request.id, call_->request.pod.uid, std::move(wants), decisionDeadline(),
      keeping<std::vector<addresses::Claimed>>(
          [this](auto claimed) { claimed_ = std::move(claimed); }));
}

void RunCommand::writeIntent() {
  journal::Record record;
  record.id = call_->request.id;
  record.pod = call_->request.pod;
  record.state = State::Intent;
  record.bootId = shared_.options.bootId;
  record.changedAt = shared_.dependencies.clock.wall();
  for (std::size_t i = 0; i < wanted_.size(); ++i) {
    // The same for each sandbox of the pod: neighbours keep who they talk to.
    const std::string seed = record.pod.uid.str() + "/" + wanted_[i].plan.networkUid.str() + "/" +
                             wanted_[i].plan.name.str();
    InterfaceStatus status;
    status.plan = resolve::complete(wanted_[i], claimed_.at(i), MacAddress::derive(seed));
    record.interfaces.push_back(std::move(status));
  }
  entry_ = shared_.table.add(std::move(record));
  entry_->abort = call_->request.abort;
  entry_->running = true;
  shared_.table.publish();
  shared_.dependencies.journal.note(
      entry_->record, onLane<void>(shared_.lane, [self = shared_from_this()](const Status& status) {
        if (!status.has_value()) return self->failed(status.error());
        self->passed();
      }));
}

void RunCommand::commitIntent() {
  shared_.dependencies.journal.put(
      entry_->record, journal::Durability::Synced,
      onLane<void>(shared_.lane, [self = shared_from_this()](Status status) {
        self->committed_ = std::move(status);
        if (self->waitsForCommit_) self->awaitCommit();
      }));
}

void RunCommand::forward() {
  entry_->forwarded = true;
  call_->answerBy.reset();
  shared_.dependencies.runtime.runPodSandbox(
      call_->request, plansOf(entry_->record),
      onLane<RunReply>(shared_.lane, [self = shared_from_this()](Result<RunReply> reply) {
        if (reply.has_value()) return self->forwarded(std::move(*reply));
        self->entry_->answered = isFinal(reply.error());
        self->failed(reply.error(), Whose::Runtimes);
      }));
  // These beside the runtime, which has more to do. It may have answered already.
  askPolicies();
  const State state = entry_->record.state;
  if (state == State::Intent || state == State::Bound) commitIntent();
  shared_.lane.postAfter(shared_.options.aside, [self = shared_from_this()] {
    if (self->entry_->running)
      self->shared_.dependencies.tell(report::Starting{self->call_->request.pod});
  });
}

void RunCommand::forwarded(RunReply reply) {
  entry_->answered = true;
  call_->answerBy = shared_.dependencies.clock.now() + shared_.options.attachWait;
  if (reply.id.empty() || shared_.table.bySandbox(reply.id) != nullptr) {
    // Not ours to stop: whoever has that sandbox keeps it.
    return failed({Code::Internal, "SandboxIdRepeated",
                   "bind sandbox: the runtime answered with the ID \"" + reply.id.str() +
                       "\", which " + (reply.id.empty() ? "is empty" : "another pod has")});
  }
  entry_->record.sandbox = reply.id;
  replyBytes_ = std::move(reply.bytes);
  passed();
}

void RunCommand::bind() {
  enter(shared_, *entry_, State::Bound);
  passed();
}

void RunCommand::openNetns() {
  const BootTime deadline = shared_.dependencies.clock.now() + shared_.options.teardown;
  const auto check = [self = shared_from_this()](Result<Fd> netns) {
    if (!netns.has_value()) return self->failed(netns.error().within("open network namespace"));
    self->netns_ = std::move(*netns);
    checkNetns(self->shared_, self->entry_, self->netns_, [self](const Status& own) {
      if (own.has_value()) return self->passed();
      self->failed(own.error().within("open network namespace"));
    });
  };
  shared_.dependencies.runtime.sandboxNetns(entry_->record.sandbox, deadline,
                                            onLane<Fd>(shared_.lane, check));
}

void RunCommand::awaitCommit() {
  waitsForCommit_ = !committed_.has_value();
  if (waitsForCommit_) return;
  if (!committed_->has_value()) return failed(committed_->error());
  passed();
}

void RunCommand::askPolicies() {
  if (shared_.dependencies.policies == nullptr) {
    policed_ = Status();
    return;
  }
  shared_.dependencies.policies->join(
      policeable(entry_->record),
      onLane<void>(shared_.lane, [self = shared_from_this()](Status status) {
        self->policed_ = std::move(status);
        if (self->waitsForPolicies_) self->awaitPolicies();
      }));
}

void RunCommand::awaitPolicies() {
  waitsForPolicies_ = !policed_.has_value();
  if (waitsForPolicies_) return;
  if (!policed_->has_value()) return failed(policed_->error());
  passed();
}

void RunCommand::attach() {
  // Most attaches are over by then, and ATTACHED says more.
  shared_.lane.postAfter(shared_.options.aside, [self = shared_from_this()] {
    const journal::Record& record = self->entry_->record;
    if (record.state == State::Bound) write(self->shared_, record);
  });
  shared_.dependencies.engine.attach(
      call_->request.id, std::move(netns_), plansOf(entry_->record), call_->request.abort,
      keeping<std::vector<InterfaceStatus>>([this](auto made) { statuses_ = std::move(made); }));
}

void RunCommand::answer() {
  journal::Record& record = entry_->record;
  for (InterfaceStatus& status : statuses_) status.attachedAt = shared_.dependencies.clock.wall();
  record.interfaces = std::move(statuses_);
  record.bootId = shared_.options.bootId;
  entry_->running = false;
  enter(shared_, *entry_, State::Attached);
  shared_.lane.postAfter(shared_.options.aside, [self = shared_from_this()] { self->tell(); });
  end(RunResult{{record.sandbox, replyBytes_}, record.interfaces});
  passed();
}

// Until ATTACHED is on disk, the links themselves say that they are all there.
void RunCommand::tell() {
  const journal::Record& record = entry_->record;
  log::info("attached", {{"pod", record.pod.str()},
                         {"sandbox", record.sandbox},
                         {"intent", record.id},
                         {"trace", traceId(call_->request.metadata)},
                         {"interfaces", record.interfaces.size()},
                         {"steps", trace()}});
  if (record.state != State::Attached) return;  // it is ended already
  write(shared_, record);
  shared_.dependencies.tell(report::Attached{record.pod, record.sandbox, record.interfaces});
}

void RunCommand::refuse(const Error& error) {
  const RunRequest& request = call_->request;
  shared_.dependencies.addresses.release(request.id);
  const Error told = attachError(request.pod, error);
  log::warn("refused", {{"pod", request.pod.str()},
                        {"intent", request.id},
                        {"trace", traceId(request.metadata)},
                        {"steps", trace()},
                        {"error", told}});
  if (error.code != Code::Cancelled) shared_.dependencies.tell(report::Refused{request.pod, error});
  end(fail(told));
}

// The runtime's code, words and details are the kubelet's to judge, and its Event tells them: they
// go on unchanged, and nothing is said of networks, which weren't in the way.
void RunCommand::rollBack(const Error& error, Whose whose) {
  const PodRef& pod = call_->request.pod;
  log::warn("run failed, rolling back", {{"pod", pod.str()},
                                         {"sandbox", entry_->record.sandbox},
                                         {"intent", entry_->record.id},
                                         {"trace", traceId(call_->request.metadata)},
                                         {"steps", trace()},
                                         {"error", error}});
  const bool ours = whose == Whose::Ours;
  Rollback::start(shared_, entry_, error.message,
                  [self = shared_from_this(), pod, error, ours](const Status&) {
                    self->entry_->running = false;
                    self->shared_.table.publish();
                    if (ours && error.code != Code::Cancelled) {
                      self->shared_.dependencies.tell(report::Refused{pod, error});
                    }
                    self->end(fail(ours ? attachError(pod, error) : error));
                  });
}

void RunCommand::end(Result<RunResult> result) {
  call_->answer(std::move(result));
  ended_({});
}

BootTime RunCommand::decisionDeadline() const {
  const BootTime bound =
      call_->answerBy.value_or(shared_.dependencies.clock.now() + shared_.options.decisionWait);
  const BootTime kubelets = call_->request.deadline;
  return kubelets == BootTime{} ? bound : std::min(bound, kubelets);
}

std::string RunCommand::trace() const {
  std::string text;
  for (const Took& one : took_) {
    const std::chrono::duration<double, std::milli> time = one.time;
    std::array<char, 32> number{};
    std::snprintf(number.data(), number.size(), " %.2f", time.count());
    text += (text.empty() ? "" : " ") + std::string(one.step) + number.data();
  }
  return text;
}

}  // namespace multinet::agent::sandbox
