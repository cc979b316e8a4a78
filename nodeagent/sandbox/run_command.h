// One RunPodSandbox with a request, from the kubelet's call to its answer, by the steps of way.h:
//
//   older? -> resolve -> claim -> INTENT -> forward -> BOUND -> netns -> commit -> policies ->
//   attach
//     -> answer
//
// No thread waits: a step hands on to the next when its answer comes, or goes on at once where
// nothing has to be waited for. A failure or an abort at any step takes back what was done; the
// answer then says which interface failed and why.
//
// INTENT is written before the runtime is asked, so that an agent that dies finds it, and is on
// disk before the first link: without it an address could be given twice after a power cut. The
// disk works beside the runtime. What the journal would lose of the rest in a power cut, the
// runtime and the kernel know (docs/decisions/0062).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/async/answer.h"
#include "nodeagent/sandbox/shared.h"
#include "nodeagent/sandbox/way.h"

namespace multinet::agent::sandbox {

/// One call, from its arrival to its answer. Of the lane alone, but for the request's abort flag,
/// which is raised by the kubelet's cancellation, by a stop, and where the call waited for too
/// long.
struct RunCall {
  RunRequest request;
  async::Answer<RunResult> answer;
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
  friend std::span<const Step> way();

  /// Whose error it is: the runtime's own words go on unchanged.
  enum class Whose { Ours, Runtimes };
  struct Took {
    std::string_view step;
    Duration time;
  };

  RunCommand(const Shared& shared, RunCallPtr call, async::Answer<void> ended)
      : shared_(shared), call_(std::move(call)), ended_(std::move(ended)) {}

  // The steps. Each ends with passed() or failed().
  void settleOlder();
  void resolve();
  void claim();
  void writeIntent();
  void forward();
  void bind();
  void openNetns();
  void awaitCommit();
  void awaitPolicies();
  void attach();
  void answer();

  /// Begins the step at_, unless the call was aborted.
  void go();
  void passed();
  void failed(const Error& error, Whose whose = Whose::Ours);
  /// The step at_ is over, well or not.
  void leave();
  /// What a door answers: `keep` has it, and the step has passed.
  template <class T, class Keep>
  [[nodiscard]] async::Answer<T> keeping(Keep keep);

  void settleOne(const EntryPtr& older);
  /// Asks, without waiting, what policies say of the pod.
  void askPolicies();
  /// Has INTENT on disk for good, without waiting.
  void commitIntent();
  /// Journal, reports, people, of what was answered.
  void tell();
  void forwarded(RunReply reply);
  /// Ends a run of which nothing is left to take back but addresses.
  void refuse(const Error& error);
  /// Ends a run that has an entry.
  void rollBack(const Error& error, Whose whose);
  void end(Result<RunResult> result);
  [[nodiscard]] BootTime decisionDeadline() const;
  /// `resolve 0.04 claim 0.01 intent 0.52`, in milliseconds.
  [[nodiscard]] std::string trace() const;

  Shared shared_;
  RunCallPtr call_;
  async::Answer<void> ended_;
  std::size_t at_ = 0;  ///< its position on the way
  BootTime since_{};    ///< of that step
  std::vector<Took> took_;
  // What the steps leave for the next.
  std::vector<resolve::WantedInterface> wanted_;
  std::vector<addresses::Claimed> claimed_;
  EntryPtr entry_;                   ///< from INTENT on
  std::optional<Status> committed_;  ///< what became of INTENT's commit
  bool waitsForCommit_ = false;      ///< the step `commit` has begun
  std::optional<Status> policed_;    ///< whether what policies say is known
  bool waitsForPolicies_ = false;    ///< the step `policies` has begun
  std::string replyBytes_;
  Fd netns_;
  std::vector<InterfaceStatus> statuses_;
};

}  // namespace multinet::agent::sandbox
