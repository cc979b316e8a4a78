#include "controller/leading.h"

#include <utility>

namespace multinet::controller {

async::Loop::Turn whileLeading(const kube::LeaderElector& elector, async::Loop::Turn turn) {
  return [&elector, turn = std::move(turn)]() -> Result<std::optional<Duration>> {
    if (!elector.leading()) return kLookAgain;
    return turn();
  };
}

}  // namespace multinet::controller
