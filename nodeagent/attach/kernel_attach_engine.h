// The engine on the real kernel: one thread for adds, one for deletes and rollbacks, one that
// keeps what is attached as it was planned, one that announces addresses.
//
// Why two lanes: parallel adds are slower than one worker (they meet at the RTNL lock), and one
// delete waits 16 ms for RCU, which an add must never stand behind. Deletes are gathered and
// removed as one group for the price of one.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "lib/async/watchdog.h"
#include "lib/base/clock.h"
#include "nodeagent/attach/attach_engine.h"
#include "nodeagent/attach/policies.h"
#include "nodeagent/isolation/port_guard.h"

namespace multinet::agent::attach {

struct EngineOptions {
  std::size_t attachQueue = 256;  ///< attaches waiting; one more is refused
  /// An attach that waited longer for its turn is refused: whoever asked has given up.
  Duration attachPatience = std::chrono::seconds(15);
  std::size_t detachQueue = 1024;
  std::string proc = "/proc";  ///< where processes, and so their namespaces, are found
  std::size_t maintainQueue = 64;
  /// The switch's namespace: there are the bridges, and there the host's ends of veth pairs are
  /// born. nullopt: in the host's own. Ends that an earlier version left there are found all the
  /// same.
  std::optional<Fd> switchNetns{};
  /// Of the same namespace; holds frames against plans before a link is made. Outlives the engine.
  /// nullptr: nothing does.
  isolation::PortGuard* guard = nullptr;
  /// Holds policies against it, likewise.
  Policies* policies = nullptr;
};

class KernelAttachEngine final : public AttachEngine {
 public:
  /// The namespace of the calling thread is the host's own: an attach into that one is refused.
  /// `clock` outlives the engine.
  [[nodiscard]] static Result<std::unique_ptr<KernelAttachEngine>> start(EngineOptions options,
                                                                         const Clock& clock);
  KernelAttachEngine(const KernelAttachEngine&) = delete;
  KernelAttachEngine& operator=(const KernelAttachEngine&) = delete;
  /// Finishes what runs, refuses what waits, joins its threads.
  ~KernelAttachEngine() override;

  void attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans, AbortFlag abort,
              async::Answer<std::vector<InterfaceStatus>> done) override;
  void maintain(IntentId intent, Fd netns, std::vector<InterfacePlan> plans, AbortFlag abort,
                async::Answer<Upkeep> done) override;
  void detach(IntentId intent, std::optional<Fd> netns, async::Answer<void> done) override;
  [[nodiscard]] Result<std::vector<ObservedInterface>> observe(
      const std::optional<Fd>& netns) override;
  [[nodiscard]] Result<std::vector<ObservedInterface>> observeAll() override;

  /// Has its threads watched; it outlives the watchdog.
  void watchWith(async::Watchdog& watchdog) const;

 private:
  class Impl;
  explicit KernelAttachEngine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace multinet::agent::attach
