// The runtime's events with the verdicts applied. Kubelets before 1.37 with EventedPLEG fill their
// cache of pods from the sandbox's status in each event, so what a list hides must not show here;
// later ones only list again.
#pragma once

#include <optional>
#include <string>

#include "nodeagent/cri/interceptor.h"
#include "nodeagent/cri/interceptors.h"

namespace multinet::agent::cri {

/// What an event says, seen through a snapshot.
struct JudgedEvent {
  bool hidden = false;  ///< of a sandbox whose own RunPodSandbox is under way
  bool known = false;   ///< of a sandbox with networks
  std::string suffix;   ///< to append: the extension and, by verdict, the state NOTREADY
};

/// Pure. What can't be decoded is neither hidden nor known: it passes.
[[nodiscard]] JudgedEvent judgeEvent(const std::string& event, const sandbox::Snapshot& snapshot);

/// Of one GetContainerEvents. An event of a hidden sandbox waits, and those after it, until the
/// sandbox is shown or gone, 2 s at most: the kubelet then lists or gets the sandbox's next event.
[[nodiscard]] std::unique_ptr<Interceptor> containerEvents(Context context);

}  // namespace multinet::agent::cri
