// Compares what is attached with the kernel, all the time: a slow loop that looks at each attached
// sandbox every few seconds, has put right what differs, and says what can't be.
#pragma once

#include <functional>
#include <map>
#include <random>
#include <vector>

#include "nodeagent/sandbox/shared.h"

namespace multinet::agent::sandbox {

/// Of the owner's lane alone; its work waits elsewhere. A look has its turn in the pod's own order,
/// so it never meets an attach or a detach of that pod.
class Drift {
 public:
  /// Work that says when it has ended.
  using Work = std::function<void(std::function<void()>)>;
  /// Runs `work` in the order of the entry's pod, or not at all; then, in any case, `ended`. Both
  /// on the lane.
  using InOrder = std::function<void(const EntryPtr&, Work work, std::function<void()> ended)>;

  Drift(const Shared& shared, InOrder inOrder);

  /// Begins the looks that are due: the first of a sandbox after 2 s, later ones every
  /// Options::lookEvery, give or take a fifth. At most a few are under way.
  void tick();
  /// The sandbox is being stopped: a look under way ends at its next step, and there is none for a
  /// while (the runtime may refuse the stop).
  void stopping(const Entry& entry);

 private:
  struct Look {
    BootTime next{};
    attach::AbortFlag abort;  ///< set while one is under way
    std::string trouble;      ///< what the last one failed with, so that it is logged once
  };

  void begin(const EntryPtr& entry);
  void look(const EntryPtr& entry, const std::function<void()>& done);
  void maintain(const EntryPtr& entry, Fd netns, const std::function<void()>& done);
  void take(Entry& entry, attach::Upkeep upkeep);
  void tell(const Entry& entry, const std::vector<InterfaceStatus>& before);
  void troubled(const Entry& entry, const Error& error);
  void ended(const IntentId& intent);
  [[nodiscard]] bool isWanted(const Entry& entry) const;
  /// A plan that was rebuilt after the journal was lost doesn't say what its link stands on: the
  /// node's network does, once it is there. False until then: there is nothing to compare with.
  [[nodiscard]] bool completePlans(Entry& entry);
  [[nodiscard]] std::vector<InterfacePlan> plansOf(const Entry& entry) const;
  [[nodiscard]] BootTime later(Duration about);

  const Shared& shared_;
  InOrder inOrder_;
  std::map<IntentId, Look> looks_;
  unsigned underWay_ = 0;
  std::minstd_rand random_;
};

}  // namespace multinet::agent::sandbox
