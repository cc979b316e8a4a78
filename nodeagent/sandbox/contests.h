// Tells people of addresses that two nodes may be using.
#pragma once

#include <vector>

#include "nodeagent/sandbox/shared.h"

namespace multinet::agent::sandbox {

/// On the sandbox lane.
class Contests {
 public:
  explicit Contests(const Shared& shared) : shared_(shared) {}
  /// All that there are now: a condition of the node, and an Event on each pod that is new in it.
  void are(std::vector<addresses::Contest> contests);

 private:
  void tellPod(const addresses::Contest& contest) const;

  Shared shared_;
  std::vector<addresses::Contest> known_;
};

}  // namespace multinet::agent::sandbox
