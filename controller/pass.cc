#include "controller/pass.h"

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
  const auto planned = planner_.plan(world_, {clock_.wall(), clock_.now()}, kMostWrites);
  if (!planned.empty()) {
    for (const auto& written : writer_.send(planned)) {
      if (written.again) planner_.askAgain(written.origin, clock_.now() + *written.again);
    }
  }
  return planner_.idle(clock_.now());
}

void Pass::follow() {
  leads_ = false;
  world_.keepChanges(false);
}

}  // namespace multinet::controller
