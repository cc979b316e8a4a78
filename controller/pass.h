// One turn of the controller: what changed is looked at, and the differences are written.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "controller/plan/planner.h"
#include "controller/world/world.h"
#include "controller/writer.h"
#include "lib/base/clock.h"

namespace multinet::controller {

/// Writes of one reconciler that are decided on before they can begin are few: a decision is to be
/// about what is there when it is carried out.
inline constexpr std::size_t kAhead = 8;

/// Owns the world. One thread.
class Pass {
 public:
  /// `writer` and `clock` outlive it.
  /// `tells` makes Events and must not block.
  Pass(
      std::vector<Reconciler> reconcilers, Writer& writer, const Clock& clock,
      std::function<void(const Notice&)> tells = [](const Notice& /*notice*/) {})
      : planner_(std::move(reconcilers), kAhead),
        writer_(writer),
        clock_(clock),
        tells_(std::move(tells)) {
    follow();
  }

  /// To be filled before each turn.
  [[nodiscard]] World& world() { return world_; }

  /// For who leads. What changed was first noticed at `since`. Waits for no write: whoever calls
  /// does so again when one has ended (WriterOptions::ended). Returns how long nothing is to be
  /// done if nothing changes and no write ends; nothing: for ever.
  [[nodiscard]] std::optional<Duration> lead(BootTime since);
  /// For who doesn't: the world is kept; whoever leads after this looks at all of it.
  void follow();
  [[nodiscard]] const Planner& planner() const { return planner_; }
  /// Writes that were decided on since the start.
  [[nodiscard]] std::uint64_t planned() const { return planned_; }

 private:
  void settle(const std::vector<Written>& written);
  /// A service says what the server said to a write about it; of others Events do.
  void tell(const Written& written);

  World world_;
  Planner planner_;
  Writer& writer_;
  const Clock& clock_;
  const std::function<void(const Notice&)> tells_;
  std::uint64_t planned_ = 0;
  bool leads_ = false;
};

}  // namespace multinet::controller
