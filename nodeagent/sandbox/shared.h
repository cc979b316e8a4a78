// What all steps of the sandbox owner work with. They run on its lane alone.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lib/async/answer.h"
#include "lib/async/lane.h"
#include "lib/async/watchdog.h"
#include "lib/base/clock.h"
#include "nodeagent/addresses/addresses.h"
#include "nodeagent/attach/attach_engine.h"
#include "nodeagent/attach/policies.h"
#include "nodeagent/journal/journal.h"
#include "nodeagent/report/reporter.h"
#include "nodeagent/resolve/resolver.h"
#include "nodeagent/sandbox/runtime.h"
#include "nodeagent/sandbox/table.h"
#include "nodeagent/sandbox/testimony.h"

namespace multinet::agent::sandbox {

/// All outlive Owner::stop(), and what they still call back comes before the owner is destroyed.
struct Dependencies {
  Runtime& runtime;
  journal::Journal& journal;
  attach::AttachEngine& engine;
  addresses::Addresses& addresses;
  resolve::Resolver& resolver;
  report::Tell tell;
  const Clock& clock;
  OwnSets sets{};                             ///< empty: the API is no witness, and doubt stays
  const async::Watchdog* watchdog = nullptr;  ///< of the threads that networks need
  attach::Policies* policies = nullptr;       ///< nullptr: no policy is about any pod
};

struct Options {
  std::string bootId;
  Duration quarantine = std::chrono::seconds(60);
  /// How long a call for networks waits, from its arrival until the runtime is asked, for all that
  /// is ours: start, recovery, an older call for the pod, definitions, addresses, the journal. With
  /// one tick more it is refused within 5 s, with the reason.
  Duration decisionWait = std::chrono::seconds(4);
  /// The same from the runtime's reply until the links are in the pod and written down.
  Duration attachWait = std::chrono::seconds(18);
  /// What nobody waits for begins so much later, so that whoever waits has the processors.
  Duration aside = std::chrono::milliseconds(2);
  /// For each call to the runtime that takes something back.
  Duration teardown = std::chrono::seconds(15);
  /// The runtime may finish a call that nobody waits for; the kubelet's longest is 4 minutes.
  Duration lateWatch = std::chrono::minutes(5);
  /// What failed is tried again, what ended its quarantine is forgotten.
  Duration tick = std::chrono::seconds(1);
  /// Each attached sandbox is compared with the kernel.
  Duration lookEvery = std::chrono::seconds(10);
  /// The table is compared with the runtime's list.
  Duration compareEvery = std::chrono::seconds(10);
  /// The same where there is nothing to compare: no intent, and no network in the cluster. What was
  /// made past the agent there is found within this time and one compareEvery.
  Duration quietEvery = std::chrono::minutes(5);
};

struct Shared {
  Dependencies dependencies;
  Options options;
  async::Lane& lane;
  Table& table;
};

using async::onLane;

[[nodiscard]] std::vector<InterfacePlan> plansOf(const journal::Record& record);
/// What policies may be about.
[[nodiscard]] attach::Policeable policeable(const journal::Record& record);

/// The entry's record is in that state from now on, for all who look at the table.
void enter(const Shared& shared, Entry& entry, journal::State state);
/// Has the journal write it without waiting.
void write(const Shared& shared, const journal::Record& record);
/// Both: writes the entry's record without waiting: what comes after it in the journal comes after
/// it on disk, and each step can be found again without it.
void note(const Shared& shared, Entry& entry, journal::State state);

/// Nothing of the intent is left but its addresses, which go into quarantine: the entry leaves the
/// table. `done` comes when that is written, or can't be (then recovery will find it again).
void settle(const Shared& shared, const EntryPtr& entry, std::function<void()> done);

}  // namespace multinet::agent::sandbox
