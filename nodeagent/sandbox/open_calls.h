// Calls that nobody has answered yet: what they wait for may hang, and the kubelet is told in time.
#pragma once

#include <vector>

#include "nodeagent/sandbox/run_command.h"
#include "nodeagent/sandbox/shared.h"

namespace multinet::agent::sandbox {

/// On the sandbox lane.
class OpenCalls {
 public:
  explicit OpenCalls(const Shared& shared) : shared_(shared) {}

  /// From now on it is answered in time. False: it was refused at once, since an older call for the
  /// pod hangs. Behind that one it would only fill the queue, which ends need too.
  [[nodiscard]] bool add(const RunCallPtr& call);
  /// One that waits for recovery.
  void addWaiting(const RunCallPtr& call);
  /// All that waited.
  [[nodiscard]] std::vector<RunCallPtr> takeWaiting();
  /// It has its answer.
  void ended(const RunCallPtr& call);
  /// Answers those whose time has come. What they began is taken back when their wait ends.
  void answerLate();

 private:
  void refuse(const RunCall& call, const Error& error) const;

  const Shared& shared_;
  std::vector<RunCallPtr> calls_;
  std::vector<RunCallPtr> waiting_;  // for recovery
};

}  // namespace multinet::agent::sandbox
