// What nodeagent/cri asks, and whom. One thread owns all sandboxes; calls only queue.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/async/lane.h"
#include "nodeagent/journal/record.h"
#include "nodeagent/sandbox/runtime.h"

namespace multinet::agent::sandbox {

/// How a sandbox that asked for networks is shown to the kubelet.
enum class Verdict {
  Pass,      ///< as the runtime says (plain, attached, or doubt: doubt never kills a running pod)
  Hidden,    ///< its own RunPodSandbox is still under way
  NotReady,  ///< never attached and its rollback failed; final for this sandbox
};

/// What is known of one sandbox with a request.
struct SandboxView {
  PodRef pod;
  Verdict verdict = Verdict::Pass;
  bool attached = false;  ///< CreateContainer is let through only then
  journal::Doubt doubt = journal::Doubt::None;
  /// Shared by the pictures of a sandbox that doesn't change. Never null.
  std::shared_ptr<const std::vector<InterfaceStatus>> interfaces =
      std::make_shared<const std::vector<InterfaceStatus>>();
};

/// An immutable picture, published after each change. Read by Status, List and the CreateContainer
/// check without queueing.
struct Snapshot {
  bool recovered = false;  ///< false until the journal has been compared with the runtime
  std::string bootId;
  std::map<SandboxId, SandboxView> sandboxes;
  /// Pods whose RunPodSandbox is under way and whose sandbox ID isn't known yet (uid, attempt):
  /// what the runtime lists for them is hidden.
  std::set<std::pair<PodUid, std::uint32_t>> running;
  /// How many intents of the journal are in each state, those that only rest included.
  std::map<journal::State, std::size_t> intents{};
  /// How many of them are in doubt, and why.
  std::map<journal::Doubt, std::size_t> doubts{};
  /// While `recovered` is false: what stands in the way.
  Error waitsFor{Code::Unavailable, "Recovering",
                 "the agent is still comparing its journal with the runtime; try again"};
};

/// True where the pod names networks, so that its sandbox must go through Sandboxes::run(). Needs
/// nothing but the request: a plain pod is told from others whatever is broken.
[[nodiscard]] bool asksForNetworks(const RunRequest& request);
/// The same of a sandbox that the runtime lists.
[[nodiscard]] bool asksForNetworks(const RuntimeSandbox& sandbox);

/// An intent's ID that nobody else has, of this process or another. Any thread.
[[nodiscard]] IntentId newIntentId();
/// The ID of the kubelet's trace that a call belongs to (`traceparent`, W3C Trace Context); empty
/// where there is none.
[[nodiscard]] std::string traceId(const CallMetadata& metadata);

/// The answer to RunPodSandbox: the runtime's bytes (cri appends the extension) and the interfaces.
struct RunResult {
  RunReply reply;
  std::vector<InterfaceStatus> interfaces;
};

/// What the kubelet is told of a call that isn't served.
[[nodiscard]] Error attachError(const PodRef& pod, const Error& why);

/// Whether a sandbox may get containers; FailedPrecondition, or what is waited for, says why not.
[[nodiscard]] Status mayCreateContainer(const Snapshot& now, const SandboxId& id,
                                        const RunRequest& config);

class Owner;

/// The sandboxes as the kubelet's calls find them, from the agent's first moment: with their owner
/// once there is one, and whatever can't start before.
///
/// While there is no owner, plain pods pass: they never come here. Calls for networks wait for a
/// start that is under way, bounded; they are refused at once with the reason where one failed or
/// the agent is in safe mode. Stops go on: what they leave is found when the owner compares its
/// journal with the runtime.
///
/// Any thread.
class Sandboxes {
 public:
  /// `timers` ends waits after `patience`; it stops before this goes.
  explicit Sandboxes(async::Lane& timers, Duration patience = std::chrono::seconds(4));

  /// From now on `owner` is asked, first with the calls that wait. It outlives all callers.
  void open(Owner& owner);
  /// Refuses calls for networks with this reason, those that wait too. Without effect once open.
  void close(const Error& reason);
  /// What is seen while there is no owner.
  void show(Snapshot picture);

  // Each as the owner's (owner.h) once there is one.
  void run(RunRequest request, async::Answer<RunResult> done);
  void beforeStop(const SandboxId& id, async::Answer<void> done);
  void afterStop(const SandboxId& id, async::Answer<void> done);
  void afterRemove(const SandboxId& id);
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const;
  [[nodiscard]] Status ready() const;

 private:
  struct Held {
    RunRequest request;
    async::Answer<RunResult> done;
  };

  void expire(std::uint64_t turn);
  /// Takes all out.
  [[nodiscard]] std::vector<Held> take();

  async::Lane& timers_;
  const Duration patience_;
  std::atomic<Owner*> owner_ = nullptr;
  mutable std::mutex mutex_;  // of all that follows
  bool starting_ = true;
  std::shared_ptr<const Snapshot> picture_;  ///< what is shown while there is no owner
  std::map<std::uint64_t, Held> held_;       ///< by order of arrival
  std::uint64_t turns_ = 0;
};

}  // namespace multinet::agent::sandbox
