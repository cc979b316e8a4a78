// Stands where the owner of the sandboxes will be, so that the kubelet's socket is served from the
// first moment and whatever else can't start.
//
// While there is no owner, plain pods pass: they never come here. Calls for networks wait for a
// start that is under way, bounded; they are refused at once with the reason where one failed or
// the agent is in safe mode. Stops go on: what they leave is found when the owner compares its
// journal with the runtime.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "lib/async/lane.h"
#include "nodeagent/sandbox/sandboxes.h"

namespace multinet::agent::sandbox {

/// Any thread.
class Gate final : public Sandboxes {
 public:
  /// `timers` ends waits after `patience`; it stops before the gate goes.
  explicit Gate(async::Lane& timers, Duration patience = std::chrono::seconds(4));

  /// From now on `owner` is asked, first with the calls that wait. It outlives the gate's callers.
  void open(Sandboxes& owner);
  /// Refuses calls for networks with this reason, those that wait too. Without effect once open.
  void close(const Error& reason);

  void run(RunRequest request, async::Answer<RunResult> done) override;
  void beforeStop(const SandboxId& id, async::Answer<void> done) override;
  void afterStop(const SandboxId& id, async::Answer<void> done) override;
  void afterRemove(const SandboxId& id) override;
  [[nodiscard]] Status mayCreateContainer(const SandboxId& id,
                                          const RunRequest& config) const override;
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const override;
  [[nodiscard]] Status ready() const override;

 private:
  struct Held {
    RunRequest request;
    async::Answer<RunResult> done;
  };

  [[nodiscard]] Sandboxes* owner() const;
  void expire(std::uint64_t turn);
  /// Takes all out.
  [[nodiscard]] std::vector<Held> take();

  async::Lane& timers_;
  const Duration patience_;
  mutable std::mutex mutex_;  // of all that follows
  Sandboxes* owner_ = nullptr;
  bool starting_ = true;
  std::shared_ptr<const Snapshot> closed_;  ///< what is shown while there is no owner
  std::map<std::uint64_t, Held> held_;      ///< by order of arrival
  std::uint64_t turns_ = 0;
};

}  // namespace multinet::agent::sandbox
