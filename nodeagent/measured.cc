#include "nodeagent/measured.h"

namespace multinet::agent {

void MeasuredEngine::attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
                            attach::AbortFlag abort,
                            async::Answer<std::vector<InterfaceStatus>> done) {
  engine_.attach(std::move(intent), std::move(netns), std::move(plans), std::move(abort),
                 watch_.timed<std::vector<InterfaceStatus>>("attach", std::move(done)));
}

void MeasuredEngine::maintain(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
                              attach::AbortFlag abort, async::Answer<attach::Upkeep> done) {
  engine_.maintain(std::move(intent), std::move(netns), std::move(plans), std::move(abort),
                   [this, done = std::move(done)](Result<attach::Upkeep> upkeep) {
                     const Status outcome = upkeep ? Status() : fail(upkeep.error());
                     metrics_.maintained(outcome, upkeep ? upkeep->repairs.size() : 0);
                     done(std::move(upkeep));
                   });
}

void MeasuredEngine::detach(IntentId intent, std::optional<Fd> netns, async::Answer<void> done) {
  engine_.detach(std::move(intent), std::move(netns),
                 watch_.timed<void>("detach", std::move(done)));
}

Result<std::vector<attach::ObservedInterface>> MeasuredEngine::observe(
    const std::optional<Fd>& netns) {
  return watch_.timed("observe", [&] { return engine_.observe(netns); });
}

Result<std::vector<attach::ObservedInterface>> MeasuredEngine::observeAll() {
  return watch_.timed("observe-all", [this] { return engine_.observeAll(); });
}

void MeasuredJournal::load(async::Answer<journal::Loaded> done) {
  journal_.load(watch_.timed<journal::Loaded>("load", std::move(done)));
}

void MeasuredJournal::put(journal::Record record, journal::Durability durability,
                          async::Answer<void> done) {
  const char* call = durability == journal::Durability::Synced ? "put-synced" : "put";
  journal_.put(std::move(record), durability, watch_.timed<void>(call, std::move(done)));
}

void MeasuredJournal::note(journal::Record record, async::Answer<void> done) {
  journal_.note(std::move(record), watch_.timed<void>("note", std::move(done)));
}

void MeasuredJournal::erase(IntentId id, async::Answer<void> done) {
  journal_.erase(std::move(id), watch_.timed<void>("erase", std::move(done)));
}

void MeasuredRuntime::runPodSandbox(const sandbox::RunRequest& request,
                                    const std::vector<InterfacePlan>& interfaces,
                                    async::Answer<sandbox::RunReply> done) {
  runtime_.runPodSandbox(request, interfaces,
                         watch_.timed<sandbox::RunReply>("RunPodSandbox", std::move(done)));
}

void MeasuredRuntime::stopPodSandbox(const SandboxId& id, BootTime deadline,
                                     async::Answer<void> done) {
  runtime_.stopPodSandbox(id, deadline, watch_.timed<void>("StopPodSandbox", std::move(done)));
}

void MeasuredRuntime::removePodSandbox(const SandboxId& id, BootTime deadline,
                                       async::Answer<void> done) {
  runtime_.removePodSandbox(id, deadline, watch_.timed<void>("RemovePodSandbox", std::move(done)));
}

void MeasuredRuntime::sandboxNetns(const SandboxId& id, BootTime deadline, async::Answer<Fd> done) {
  runtime_.sandboxNetns(id, deadline, watch_.timed<Fd>("netns", std::move(done)));
}

void MeasuredRuntime::listPodSandboxes(BootTime deadline,
                                       async::Answer<std::vector<sandbox::RuntimeSandbox>> done) {
  runtime_.listPodSandboxes(deadline, watch_.timed<std::vector<sandbox::RuntimeSandbox>>(
                                          "ListPodSandbox", std::move(done)));
}

}  // namespace multinet::agent
