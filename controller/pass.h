// One turn of the controller: what changed is looked at, and the differences are written.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controller/plan/planner.h"
#include "controller/world/world.h"
#include "controller/writer.h"
#include "lib/base/clock.h"

namespace multinet::controller {

/// Writes that are decided on for one turn at most: as many as the last one began, since what isn't
/// begun was decided for nothing, and a few more where it began all.
inline constexpr std::size_t kFewestWrites = 8;
inline constexpr std::size_t kMostWrites = 256;

/// Owns the world. One thread.
class Pass {
 public:
  /// `writer` and `clock` outlive it.
  Pass(std::vector<Reconciler> reconcilers, Writer& writer, const Clock& clock)
      : planner_(std::move(reconcilers)), writer_(writer), clock_(clock) {
    follow();
  }

  /// To be filled before each turn.
  [[nodiscard]] World& world() { return world_; }

  /// For who leads. Returns how long nothing is to be done if nothing changes; nothing: for ever.
  [[nodiscard]] std::optional<Duration> lead();
  /// For who doesn't: the world is kept; whoever leads after this looks at all of it.
  void follow();
  [[nodiscard]] const Planner& planner() const { return planner_; }

 private:
  void send(std::vector<PlannedWrite> planned);

  World world_;
  Planner planner_;
  Writer& writer_;
  const Clock& clock_;
  std::size_t writes_ = kFewestWrites;  ///< of the next turn at most
  bool leads_ = false;
};

}  // namespace multinet::controller
