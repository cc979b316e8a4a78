// The one owner of all sandboxes with a request.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/async/command_queue.h"
#include "nodeagent/sandbox/census.h"
#include "nodeagent/sandbox/contests.h"
#include "nodeagent/sandbox/drift.h"
#include "nodeagent/sandbox/open_calls.h"
#include "nodeagent/sandbox/run_command.h"
#include "nodeagent/sandbox/sandboxes.h"
#include "nodeagent/sandbox/shared.h"

namespace multinet::agent::sandbox {

/// What recovery found should become of an intent of the journal.
enum class RecoveryAction {
  Keep,      ///< as the journal says
  Finish,    ///< the sandbox lives, its attach was cut off: complete it
  RollBack,  ///< never attached: take back what there is
  Detach,    ///< its sandbox is gone: links away, addresses into quarantine
};

struct Restored {
  journal::Record record;
  RecoveryAction action = RecoveryAction::Keep;
};

/// All state lives on one lane; commands are FIFO per pod UID. Any thread may call.
class Owner {
 public:
  /// `lane` is its own, and that of the addresses and the resolver; it outlives the owner.
  Owner(async::Lane& lane, const Dependencies& dependencies, Options options);
  ~Owner();
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  /// Once, by recovery: from now on calls for networks are served. Any thread.
  /// `books` say whether recovery knows all that sandboxes of this node hold.
  void restore(std::vector<Restored> restored, addresses::Books books = addresses::Books::Complete);
  /// Until then: what recovery waits for, told to whoever is refused meanwhile. Any thread.
  void waitsFor(Error what);
  /// Ends the lane: what was asked and not answered gets Internal/Abandoned, intents stay in the
  /// journal for the successor.
  void stop();

  /// Attach all or none, then answer. Whatever hangs (disk, API server, kernel), it is answered
  /// within 5 s until the runtime is asked, and within 20 s from the runtime's reply. Cancelling is
  /// by the request's abort flag: the call still completes.
  void run(RunRequest request, async::Answer<RunResult> done);
  /// Called for each StopPodSandbox before it is forwarded; `done` says that it may go on. Aborts
  /// an attach under way and changes nothing else: the runtime may still refuse. Sandboxes without
  /// a request answer at once.
  void beforeStop(const SandboxId& id, async::Answer<void> done);
  /// The runtime stopped the sandbox: links go, addresses go into quarantine. `done` when that is
  /// so; nobody's end may depend on it.
  void afterStop(const SandboxId& id, async::Answer<void> done);
  /// The runtime removed it: forget.
  void afterRemove(const SandboxId& id);
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const;
  /// Whether calls for networks can be served now; the error says to people why not.
  [[nodiscard]] Status ready() const;
  /// How often the sandboxes were compared with what runtime, kernel and API say. Any thread.
  [[nodiscard]] std::uint64_t comparisons() const { return census_.rounds(); }

 private:
  void submitRun(const RunCallPtr& call);
  void stopUnknown(const SandboxId& id, async::Answer<void> done);
  void stopKnown(const EntryPtr& entry, async::Answer<void> done);
  void detach(const EntryPtr& entry, async::Answer<void> done);
  /// In the pod's own order. `ended` when it was done, or at once where such work is queued
  /// already.
  void background(
      const EntryPtr& entry, std::function<void(std::function<void()>)> work,
      std::function<void()> ended = [] {});
  void startAction(const EntryPtr& entry, RecoveryAction action);
  void tellPolicies(const std::vector<Restored>& restored) const;
  void reportAgain(const Entry& entry, RecoveryAction action);

  void tick();
  void retryUnfinished();
  void lookForLateSandboxes(std::vector<EntryPtr> entries);
  void forgetRested();

  async::Lane& lane_;
  Table table_;
  Shared shared_;
  Contests contests_;
  OpenCalls calls_;
  async::CommandQueue<PodUid> commands_;
  Drift drift_;
  Census census_;
  // Of the lane alone:
  std::optional<std::vector<addresses::Contest>> heard_;  // before recovery was done
  std::set<IntentId> busy_;                               // with background work queued
  std::deque<SandboxId> endedEarly_;  // stopped or removed before recovery was done, the newest
  bool looking_ = false;              // for late sandboxes
  BootTime nextRetry_{};
};

}  // namespace multinet::agent::sandbox
