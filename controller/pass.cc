#include "controller/pass.h"

#include <algorithm>
#include <utility>

namespace multinet::controller {

std::optional<Duration> Pass::lead() {
  if (std::exchange(leads_, true)) {
    planner_.note(world_, world_.changes());
  } else {
    // What another leader did or left undone is in no change.
    world_.keepChanges(true);
    world_.everything([this](const Change& change) { planner_.note(world_, {&change, 1}); });
  }
  auto planned = planner_.plan(world_, {clock_.wall(), clock_.now()}, writes_);
  if (!planned.empty()) send(std::move(planned));
  return planner_.idle(clock_.now());
}

void Pass::send(std::vector<PlannedWrite> planned) {
  const std::size_t decided = planned.size();
  std::size_t begun = decided;
  for (const auto& written : writer_.send(std::move(planned))) {
    if (written.outcome == WriteOutcome::NotBegun) --begun;
    if (written.again) planner_.askAgain(written.origin, clock_.now() + *written.again);
  }
  if (begun < decided) {
    writes_ = std::max(begun, kFewestWrites);
  } else if (decided >= writes_) {
    writes_ = std::min(writes_ + kFewestWrites, kMostWrites);
  }
}

void Pass::follow() {
  leads_ = false;
  world_.keepChanges(false);
}

}  // namespace multinet::controller
