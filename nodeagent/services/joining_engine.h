// Whoever attaches interfaces, with services told of it: a pod is on its networks for the kernel's
// programs before it starts.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "lib/async/lane.h"
#include "nodeagent/attach/attach_engine.h"
#include "nodeagent/services/members.h"

namespace multinet::agent::services {

/// Passes everything on to `engine`. Attaching and telling go on side by side, and the answer waits
/// for both; only the attaching can fail. A pod that an earlier agent attached is told of with the
/// first look at it.
class JoiningEngine final : public attach::AttachEngine {
 public:
  /// Both outlive it.
  JoiningEngine(attach::AttachEngine& engine, Members& members, const Clock& clock)
      : engine_(engine), members_(members), lane_("joins", clock) {}

  void attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans, attach::AbortFlag abort,
              async::Answer<std::vector<InterfaceStatus>> done) override;
  void maintain(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
                attach::AbortFlag abort, async::Answer<attach::Upkeep> done) override;
  void detach(IntentId intent, std::optional<Fd> netns, async::Answer<void> done) override;
  [[nodiscard]] Result<std::vector<attach::ObservedInterface>> observe(
      const std::optional<Fd>& netns) override {
    return engine_.observe(netns);
  }
  [[nodiscard]] Result<std::vector<attach::ObservedInterface>> observeAll() override {
    return engine_.observeAll();
  }
  [[nodiscard]] const async::Lane& lane() const { return lane_; }

 private:
  /// On the lane.
  void join(const IntentId& intent, const Fd& netns, const std::set<NetworkKey>& networks);

  attach::AttachEngine& engine_;
  Members& members_;
  async::Lane lane_;
};

}  // namespace multinet::agent::services
