// One RunPodSandbox with a request, from the kubelet's call to its answer.
//
//   older? -> resolve -> claim -> INTENT -> forward -> BOUND -> netns -> attach -> ATTACHED
//
// A state machine: every step hands on to the next when its answer comes, so no thread waits. A
// failure or an abort at any step takes back what was done; the answer then says which interface
// failed and why.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/async/answer.h"
#include "nodeagent/sandbox/shared.h"

namespace multinet::agent::sandbox {

class RunCommand : public std::enable_shared_from_this<RunCommand> {
 public:
  /// On the lane, as do all steps. `aborted` is raised by the kubelet's cancellation or a stop.
  static void start(const Shared& shared, RunRequest request, attach::AbortFlag aborted,
                    async::Answer<RunResult> answer);
  /// Finishes what an earlier process began: the sandbox is there, its links may be.
  static void resume(const Shared& shared, EntryPtr entry, async::Answer<RunResult> answer);

 private:
  RunCommand(const Shared& shared, RunRequest request, attach::AbortFlag aborted,
             async::Answer<RunResult> answer)
      : shared_(shared),
        request_(std::move(request)),
        aborted_(std::move(aborted)),
        answer_(std::move(answer)) {}

  void settleOlder();
  void settleOne(const EntryPtr& older);
  void resolve();
  void claim(std::vector<resolve::WantedInterface> wanted);
  void writeIntent(const std::vector<resolve::WantedInterface>& wanted,
                   const std::vector<addresses::Claimed>& claimed);
  void forward();
  void bind(RunReply reply);
  void openNetns();
  void attach(Fd netns);
  void writeAttached(std::vector<InterfaceStatus> statuses);
  void succeed();

  /// True, and the run ends, where it was aborted.
  [[nodiscard]] bool endsByAbort();
  /// Ends a run of which nothing is left to take back.
  void refuse(const Error& error);
  /// Ends a run that has an entry.
  void rollBack(Error error);
  [[nodiscard]] Error explain(const Error& error) const;
  [[nodiscard]] BootTime decisionDeadline() const;

  Shared shared_;
  RunRequest request_;
  attach::AbortFlag aborted_;
  async::Answer<RunResult> answer_;
  IntentId intent_;
  EntryPtr entry_;
  std::string replyBytes_;
};

}  // namespace multinet::agent::sandbox
