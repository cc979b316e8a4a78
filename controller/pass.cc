#include "controller/pass.h"

#include <utility>

namespace multinet::controller {

std::optional<Duration> Pass::lead() {
  const auto changes = world_.changes();
  // What another leader did or left undone is in no change.
  planner_.note(world_, std::exchange(leads_, true) ? changes : world_.everything());
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
  static_cast<void>(world_.changes());
}

}  // namespace multinet::controller
