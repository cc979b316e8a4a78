// What a reconciler is: two pure functions, in a room of its own, and one line in
// controller/reconcilers.cc. It holds no state and does no I/O, so what it does twice it does once,
// and what dies half-way is done again.
#pragma once

#include <functional>
#include <optional>
#include <set>
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

/// What an object's author is to hear, as an Event: a stable CamelCase word and a sentence.
struct Notice {
  Subject about;
  std::string reason;
  std::string message;
};

/// What is to be written for one object; nothing where it is as it should be.
struct Outcome {
  std::vector<Write> writes;
  /// Ask again after this long even if nothing changes: the answer depends on time.
  std::optional<Duration> again;
  std::vector<Notice> notices = {};

  /// The earlier of two wishes counts.
  void askAgain(Duration after) { again = again ? std::min(*again, after) : after; }
};

/// An object that is to be looked at, as a whole or for one thing that it is about: a service for a
/// pod.
struct Mark {
  // NOLINTNEXTLINE(google-explicit-constructor): the usual one, as a whole
  Mark(k8s::ObjectKey all) : key(std::move(all)) {}
  [[nodiscard]] static Mark part(k8s::ObjectKey key, k8s::ObjectKey part) {
    Mark mark(std::move(key));
    mark.whole = false;
    mark.about = std::move(part);
    return mark;
  }
  /// For what costs nothing to look at.
  [[nodiscard]] static Mark itself(k8s::ObjectKey key) {
    Mark mark(std::move(key));
    mark.whole = false;
    return mark;
  }

  k8s::ObjectKey key;
  bool whole = true;
  std::optional<k8s::ObjectKey> about;
};
/// Objects that are to be looked at.
using Keys = std::vector<Mark>;
/// What an object is to be looked at for.
using Parts = std::set<k8s::ObjectKey>;

struct Reconciler {
  std::string name;
  /// Which of its objects a change concerns; the world has it already. Says too many rather than
  /// too few, and reads no more than those.
  std::function<void(const World&, const Change&, Keys&)> concerned;
  /// For one of them, which may be gone. A write holds on to the version that it was decided on.
  std::function<Outcome(const World&, const k8s::ObjectKey&, const Moment&)> reconcile;
  /// For these parts of one of them alone, so that a large object costs what changed of it. They
  /// come again, with what is marked meanwhile, until the answer has no write. Where there is no
  /// such function an object is always looked at as a whole.
  std::function<Outcome(const World&, const k8s::ObjectKey&, const Parts&, const Moment&)>
      reconcileParts = nullptr;
};

}  // namespace multinet::controller
