// What nodeagent/cri asks of the sandbox owner. One thread owns all sandboxes; calls only queue.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

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
/// gate without queueing.
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

class Sandboxes {
 public:
  virtual ~Sandboxes() = default;
  /// Attach all or none, then answer. Whatever hangs (disk, API server, kernel), it is answered
  /// within 5 s until the runtime is asked, and within 20 s from the runtime's reply. Cancelling is
  /// by the request's abort flag: the call still completes.
  virtual void run(RunRequest request, async::Answer<RunResult> done) = 0;
  /// Called for each StopPodSandbox before it is forwarded; `done` says that it may go on. Aborts
  /// an attach under way and changes nothing else: the runtime may still refuse. Sandboxes without
  /// a request answer at once.
  virtual void beforeStop(const SandboxId& id, async::Answer<void> done) = 0;
  /// The runtime stopped the sandbox: links go, addresses go into quarantine. `done` when that is
  /// so; nobody's end may depend on it.
  virtual void afterStop(const SandboxId& id, async::Answer<void> done) = 0;
  /// The runtime removed it: forget.
  virtual void afterRemove(const SandboxId& id) = 0;
  /// Whether a sandbox may get containers; FailedPrecondition says why not.
  [[nodiscard]] virtual Status mayCreateContainer(const SandboxId& id,
                                                  const RunRequest& config) const = 0;
  [[nodiscard]] virtual std::shared_ptr<const Snapshot> snapshot() const = 0;
  /// Whether calls for networks can be served now; the error says to people why not.
  [[nodiscard]] virtual Status ready() const = 0;
};

}  // namespace multinet::agent::sandbox
