// The doors of the agent to what may be slow or away, counted and timed: runtime, journal, kernel.
// Each passes everything on unchanged. See docs/metrics.md.
#pragma once

#include <functional>
#include <utility>

#include "lib/base/clock.h"
#include "nodeagent/attach/attach_engine.h"
#include "nodeagent/journal/journal.h"
#include "nodeagent/metrics.h"
#include "nodeagent/sandbox/runtime.h"

namespace multinet::agent {

/// Times calls through one door. Any thread.
class Stopwatch {
 public:
  /// `door` is a word of the program's; `metrics` and `clock` outlive it.
  Stopwatch(const char* door, Metrics& metrics, const Clock& clock)
      : door_(door), metrics_(metrics), clock_(clock) {}

  /// `done`, with the call's outcome and time told before.
  template <class T>
  [[nodiscard]] async::Answer<T> timed(const char* call, async::Answer<T> done) const {
    return [this, call, begin = clock_.now(), done = std::move(done)](Result<T> result) {
      tell(call, result ? Code::Ok : result.error().code, clock_.now() - begin);
      done(std::move(result));
    };
  }
  /// The result of `work`, which blocks.
  template <class Work>
  [[nodiscard]] auto timed(const char* call, const Work& work) const -> decltype(work()) {
    const BootTime begin = clock_.now();
    auto result = work();
    tell(call, result ? Code::Ok : result.error().code, clock_.now() - begin);
    return result;
  }

 private:
  void tell(const char* call, Code code, Duration took) const {
    metrics_.passed(door_, call, code, took);
  }

  const char* door_;
  Metrics& metrics_;
  const Clock& clock_;
};

/// What each of the three measures outlives it.
class MeasuredEngine final : public attach::AttachEngine {
 public:
  MeasuredEngine(attach::AttachEngine& engine, Metrics& metrics, const Clock& clock)
      : engine_(engine), metrics_(metrics), watch_("kernel", metrics, clock) {}

  void attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans, attach::AbortFlag abort,
              async::Answer<std::vector<InterfaceStatus>> done) override;
  void maintain(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
                attach::AbortFlag abort, async::Answer<attach::Upkeep> done) override;
  void detach(IntentId intent, std::optional<Fd> netns, async::Answer<void> done) override;
  [[nodiscard]] Result<std::vector<attach::ObservedInterface>> observe(
      const std::optional<Fd>& netns) override;
  [[nodiscard]] Result<std::vector<attach::ObservedInterface>> observeAll() override;

 private:
  attach::AttachEngine& engine_;
  Metrics& metrics_;
  const Stopwatch watch_;
};

class MeasuredJournal final : public journal::Journal {
 public:
  MeasuredJournal(journal::Journal& journal, Metrics& metrics, const Clock& clock)
      : journal_(journal), watch_("journal", metrics, clock) {}

  void load(async::Answer<journal::Loaded> done) override;
  void put(journal::Record record, journal::Durability durability,
           async::Answer<void> done) override;
  void note(journal::Record record, async::Answer<void> done) override;
  void erase(IntentId id, async::Answer<void> done) override;

 private:
  journal::Journal& journal_;
  const Stopwatch watch_;
};

class MeasuredRuntime final : public sandbox::Runtime {
 public:
  MeasuredRuntime(sandbox::Runtime& runtime, Metrics& metrics, const Clock& clock)
      : runtime_(runtime), watch_("runtime", metrics, clock) {}

  void runPodSandbox(const sandbox::RunRequest& request,
                     const std::vector<InterfacePlan>& interfaces,
                     async::Answer<sandbox::RunReply> done) override;
  void stopPodSandbox(const SandboxId& id, BootTime deadline, async::Answer<void> done) override;
  void removePodSandbox(const SandboxId& id, BootTime deadline, async::Answer<void> done) override;
  void sandboxNetns(const SandboxId& id, BootTime deadline, async::Answer<Fd> done) override;
  void listPodSandboxes(BootTime deadline,
                        async::Answer<std::vector<sandbox::RuntimeSandbox>> done) override;

 private:
  sandbox::Runtime& runtime_;
  const Stopwatch watch_;
};

}  // namespace multinet::agent
