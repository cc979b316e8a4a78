// What a reconciler is: two pure functions, in a room of its own, and one line in
// controller/reconcilers.cc. It holds no state and does no I/O, so what it does twice it does once,
// and what dies half-way is done again.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/plan/write.h"
#include "controller/world/world.h"
#include "lib/base/clock.h"

namespace multinet::controller {

/// Both clocks at one time: the wall's for what people read, boot's for what is waited for.
struct Moment {
  WallTime wall;
  BootTime boot;
};

/// What is to be written for one object; nothing where it is as it should be.
struct Outcome {
  std::vector<Write> writes;
  /// Ask again after this long even if nothing changes: the answer depends on time.
  std::optional<Duration> again;

  /// The earlier of two wishes counts.
  void askAgain(Duration after) { again = again ? std::min(*again, after) : after; }
};

/// Objects that are to be looked at.
using Keys = std::vector<k8s::ObjectKey>;

struct Reconciler {
  std::string name;
  /// Which of its objects a change concerns; the world has it already. Says too many rather than
  /// too few, and reads no more than those.
  std::function<void(const World&, const Change&, Keys&)> concerned;
  /// For one of them, which may be gone. A write holds on to the version that it was decided on.
  std::function<Outcome(const World&, const k8s::ObjectKey&, const Moment&)> reconcile;
};

}  // namespace multinet::controller
