// The doors of the agent to what may be slow or away, counted and timed: runtime, journal, leases.
// Each passes everything on unchanged. See docs/metrics.md.
#pragma once

#include <functional>
#include <utility>

#include "lib/base/clock.h"
#include "nodeagent/addresses/block_api.h"
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
  [[nodiscard]] std::function<void(Result<T>)> timed(const char* call,
                                                     std::function<void(Result<T>)> done) const {
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

/// What each of the four measures outlives it.
class MeasuredEngine final : public attach::AttachEngine {
 public:
  MeasuredEngine(attach::AttachEngine& engine, Metrics& metrics, const Clock& clock)
      : engine_(engine), metrics_(metrics), watch_("kernel", metrics, clock) {}

  void attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans, attach::AbortFlag abort,
              attach::AttachCallback done) override;
  void maintain(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
                attach::AbortFlag abort, attach::UpkeepCallback done) override;
  void detach(IntentId intent, std::optional<Fd> netns, attach::DetachCallback done) override;
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

  void load(std::function<void(Result<journal::Loaded>)> done) override;
  void put(journal::Record record, journal::Durability durability,
           std::function<void(Status)> done) override;
  void erase(IntentId id, std::function<void(Status)> done) override;

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
                     sandbox::Callback<sandbox::RunReply> done) override;
  void stopPodSandbox(const SandboxId& id, BootTime deadline,
                      sandbox::StatusCallback done) override;
  void removePodSandbox(const SandboxId& id, BootTime deadline,
                        sandbox::StatusCallback done) override;
  void sandboxNetns(const SandboxId& id, BootTime deadline, sandbox::Callback<Fd> done) override;
  void listPodSandboxes(BootTime deadline,
                        sandbox::Callback<std::vector<sandbox::RuntimeSandbox>> done) override;

 private:
  sandbox::Runtime& runtime_;
  const Stopwatch watch_;
};

class MeasuredBlocks final : public addresses::BlockApi {
 public:
  MeasuredBlocks(addresses::BlockApi& blocks, Metrics& metrics, const Clock& clock)
      : blocks_(blocks), watch_("leases", metrics, clock) {}

  [[nodiscard]] Result<std::vector<addresses::LeasedBlock>> listOwn() override;
  [[nodiscard]] Result<std::vector<addresses::LeasedBlock>> listNetwork(
      const NetworkName& name) override;
  [[nodiscard]] Result<addresses::LeasedBlock> create(const NetworkName& network,
                                                      const NetworkUid& uid,
                                                      const IpPrefix& prefix) override;
  [[nodiscard]] Status remove(const addresses::LeasedBlock& block) override;

 private:
  addresses::BlockApi& blocks_;
  const Stopwatch watch_;
};

}  // namespace multinet::agent
