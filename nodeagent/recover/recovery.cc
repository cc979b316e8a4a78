#include "nodeagent/recover/recovery.h"

#include <utility>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"

namespace multinet::agent::recover {
namespace {
constexpr std::chrono::seconds kListDeadline(10);
}  // namespace

Recovery::Recovery(const sandbox::Doors& doors, sandbox::Owner& owner, Options options)
    : doors_(doors),
      owner_(owner),
      options_(std::move(options)),
      backoff_(options_.firstWait, options_.longestWait),
      lane_("recovery") {}

void Recovery::start() {
  lane_.post([this] { load(); });
}

void Recovery::again(void (Recovery::*step)(), const char* reason, const Error& error) {
  log::warn("recovery waits", {{"reason", reason}, {"error", error}});
  owner_.waitsFor(Error{Code::Unavailable, reason,
                        "the agent can't compare its journal with the runtime: " + error.message});
  lane_.postAfter(backoff_.next(), [this, step] { (this->*step)(); });
}

void Recovery::load() {
  doors_.journal.load(sandbox::onLane<journal::Loaded>(lane_, [this](Result<journal::Loaded> read) {
    if (!read.has_value()) return again(&Recovery::load, "JournalUnusable", read.error());
    loaded_ = std::move(*read);
    backoff_.reset();
    // Before anything else, so that no address is given twice.
    doors_.addresses.restore(holdings(loaded_.records, doors_.clock.wall(), options_.quarantine),
                             addresses::Books::Complete);
    list();
  }));
}

void Recovery::list() {
  using List = std::vector<sandbox::RuntimeSandbox>;
  doors_.runtime.listPodSandboxes(doors_.clock.now() + kListDeadline,
                                  sandbox::onLane<List>(lane_, [this](Result<List> sandboxes) {
                                    if (!sandboxes.has_value()) {
                                      return again(&Recovery::list, "RuntimeAway",
                                                   sandboxes.error());
                                    }
                                    compare(std::move(*sandboxes));
                                  }));
}

void Recovery::compare(std::vector<sandbox::RuntimeSandbox> sandboxes) {
  failpoint::pass("recover.compare.before");
  const Facts facts{std::move(sandboxes), options_.bootId};
  std::vector<sandbox::Restored> restored;
  restored.reserve(loaded_.records.size());
  if (loaded_.lost) adoptUnknown(facts, restored);
  for (journal::Record& record : loaded_.records) {
    restored.push_back(decide(std::move(record), facts));
  }
  const std::size_t count = restored.size();
  owner_.restore(std::move(restored));
  failpoint::pass("recover.compare.after");
  log::info(
      "recovered",
      {{"intents", count}, {"sandboxes", facts.sandboxes.size()}, {"journalLost", loaded_.lost}});
}

// Written down at once, so that a stop finds them. Their addresses stand in nobody's books: see
// Addresses::restore for why they aren't given out again.
void Recovery::adoptUnknown(const Facts& facts, std::vector<sandbox::Restored>& restored) {
  for (const sandbox::RuntimeSandbox& one : unknownSandboxes(loaded_.records, facts)) {
    journal::Record record;
    record.id = IntentId("lost-" + one.id.str());
    record.pod = one.pod;
    record.sandbox = one.id;
    record.state = journal::State::Attached;
    record.bootId = options_.bootId;
    record.changedAt = doors_.clock.wall();
    record.message = "rebuilt from the runtime's list; the journal was lost";
    doors_.journal.put(record, journal::Durability::Relaxed, [](const Status&) {});
    log::warn("sandbox runs that the journal doesn't know",
              {{"pod", one.pod.str()}, {"sandbox", one.id}});
    restored.push_back({std::move(record), sandbox::Fate::Doubt});
  }
}

}  // namespace multinet::agent::recover
