// One RunPodSandbox with a request, from the kubelet's call to its answer.
//
//   older? -> resolve -> claim -> INTENT -> forward -> BOUND -> netns -> attach -> ATTACHED
//
// A state machine: every step hands on to the next when its answer comes, so no thread waits. A
// failure or an abort at any step takes back what was done; the answer then says which interface
// failed and why.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/async/answer.h"
#include "nodeagent/sandbox/shared.h"

namespace multinet::agent::sandbox {

/// One call, from its arrival to its answer. Of the lane alone, but for `abort`.
struct RunCall {
  RunRequest request;
  async::Answer<RunResult> answer;
  /// Raised by the kubelet's cancellation, by a stop, and where the call waited for too long.
  attach::AbortFlag abort = std::make_shared<std::atomic<bool>>(false);
  /// Whoever asked is told by then, even if what it waits for never answers. None while the runtime
  /// has the call: its time is the kubelet's to measure.
  std::optional<BootTime> answerBy{};
  bool late = false;  ///< answered by time: what it waits for hangs
  /// What the call waits for, told to people where it waits for too long.
  std::string_view waitsFor = "its turn behind an earlier call for the pod";
};
using RunCallPtr = std::shared_ptr<RunCall>;

class RunCommand : public std::enable_shared_from_this<RunCommand> {
 public:
  /// On the lane, as are all steps. `ended` when the pod's next command may start, which can be
  /// long after the call was answered.
  static void start(const Shared& shared, RunCallPtr call, async::Answer<void> ended);
  /// Finishes what an earlier process began: the sandbox is there, its links may be.
  static void resume(const Shared& shared, EntryPtr entry, async::Answer<void> ended);

 private:
  /// Whose error it is: the runtime's own words go on unchanged.
  enum class Whose { Ours, Runtimes };

  RunCommand(const Shared& shared, RunCallPtr call, async::Answer<void> ended)
      : shared_(shared), call_(std::move(call)), ended_(std::move(ended)) {}

  void settleOlder();
  void settleOne(const EntryPtr& older);
  void resolve();
  void claim(std::vector<resolve::WantedInterface> wanted);
  void writeIntent(const std::vector<resolve::WantedInterface>& wanted,
                   const std::vector<addresses::Claimed>& claimed);
  void forward();
  void bind(RunReply reply);
  void openNetns();
  void checkOwn(Fd netns);
  void attach(Fd netns);
  void writeAttached(std::vector<InterfaceStatus> statuses);
  void succeed();

  /// True, and the run ends, where it was aborted.
  [[nodiscard]] bool endsByAbort();
  /// Ends a run of which nothing is left to take back.
  void refuse(const Error& error);
  /// Ends a run that has an entry.
  void rollBack(const Error& error, Whose whose = Whose::Ours);
  void end(Result<RunResult> result);
  [[nodiscard]] BootTime decisionDeadline() const;

  Shared shared_;
  RunCallPtr call_;
  async::Answer<void> ended_;
  IntentId intent_;
  EntryPtr entry_;
  std::string replyBytes_;
};

}  // namespace multinet::agent::sandbox
