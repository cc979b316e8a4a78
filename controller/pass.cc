#include "controller/pass.h"

#include <utility>

namespace multinet::controller {

std::optional<Duration> Pass::lead(BootTime since) {
  settle(writer_.ended());
  if (std::exchange(leads_, true)) {
    planner_.note(world_, world_.changes(), since);
  } else {
    // What another leader did or left undone is in no change.
    world_.keepChanges(true);
    world_.everything([&](const Change& change) { planner_.note(world_, {&change, 1}, since); });
  }
  auto planned = planner_.plan(world_, {clock_.wall(), clock_.now()});
  planned_ += planned.size();
  for (const Notice& notice : planner_.notices()) tells_(notice);
  settle(writer_.begin(std::move(planned)));
  if (writer_.tellNext(planner_.awaitsWrites())) return Duration::zero();
  return planner_.idle(clock_.now());
}

void Pass::settle(const std::vector<Written>& written) {
  for (const Written& one : written) {
    planner_.ended(one.origin);
    if (one.again) planner_.askAgain(one.origin, clock_.now() + *one.again);
    tell(one);
  }
}

void Pass::tell(const Written& written) {
  if (written.item.empty() || written.about.kind.plural != api::kPodNetworkServiceKind.plural) {
    return;
  }
  if (written.outcome == WriteOutcome::Done) {
    world_.taken(written.about.key, written.item);
  } else if (written.outcome == WriteOutcome::Refused) {
    world_.refused(written.about.key, written.item,
                   {written.about.uid, written.about.generation, written.refusal});
    planner_.askAgain(written.origin, clock_.now());
  }
}

void Pass::follow() {
  leads_ = false;
  world_.keepChanges(false);
}

}  // namespace multinet::controller
