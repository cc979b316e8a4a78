#include "nodeagent/recover/recovery.h"

#include <set>
#include <utility>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"

namespace multinet::agent::recover {
namespace {
constexpr std::chrono::seconds kListDeadline(10);
constexpr std::chrono::seconds kLookDeadline(5);
}  // namespace

Recovery::Recovery(const sandbox::Dependencies& dependencies, sandbox::Owner& owner,
                   Options options)
    : dependencies_(dependencies),
      owner_(owner),
      options_(std::move(options)),
      backoff_(options_.firstWait, options_.longestWait),
      lane_("recovery", dependencies.clock) {}

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
  dependencies_.journal.load(
      sandbox::onLane<journal::Loaded>(lane_, [this](Result<journal::Loaded> read) {
        if (!read.has_value()) return again(&Recovery::load, "JournalUnusable", read.error());
        loaded_ = std::move(*read);
        options_.opened(loaded_);
        backoff_.reset();
        list();
      }));
}

void Recovery::list() {
  using List = std::vector<sandbox::RuntimeSandbox>;
  dependencies_.runtime.listPodSandboxes(
      dependencies_.clock.now() + kListDeadline,
      sandbox::onLane<List>(lane_, [this](Result<List> sandboxes) {
        if (!sandboxes.has_value()) {
          return again(&Recovery::list, "RuntimeAway", sandboxes.error());
        }
        look(std::move(*sandboxes));
      }));
}

void Recovery::look(std::vector<sandbox::RuntimeSandbox> sandboxes) {
  failpoint::pass("recover.compare.before");
  Facts facts{std::move(sandboxes), options_.bootId, {}};
  const auto unclear = suspects(loaded_.records, facts);
  lookInto(dependencies_, lane_, unclear, dependencies_.clock.now() + kLookDeadline,
           [this, facts](sandbox::Seen seen) mutable {
             facts.seen = std::move(seen);
             conclude(facts);
           });
}

void Recovery::conclude(const Facts& facts) {
  // First, so that a record which seems to be of the same sandbox finds it taken.
  std::vector<sandbox::Restored> restored = adoptUnknown(facts);
  const std::size_t adopted = restored.size();
  for (const journal::Record& record : loaded_.records) {
    restored.push_back(decide(record, facts));
    const journal::Record& now = restored.back().record;
    if (now == record) continue;
    if (now.id != record.id) dependencies_.journal.erase(record.id, [](const Status&) {});
    dependencies_.journal.put(now, journal::Durability::Relaxed, [](const Status&) {});
  }
  const std::size_t count = restored.size();
  const addresses::Books books = restoreAddresses(restored);
  owner_.restore(std::move(restored), books);
  failpoint::pass("recover.compare.after");
  log::info("recovered", {{"intents", count},
                          {"adopted", adopted},
                          {"sandboxes", facts.sandboxes.size()},
                          {"journalLost", loaded_.lost}});
}

// Written down at once, so that a stop finds them.
std::vector<sandbox::Restored> Recovery::adoptUnknown(const Facts& facts) {
  std::vector<sandbox::Restored> restored;
  for (const sandbox::RuntimeSandbox& one : unknownSandboxes(loaded_.records, facts)) {
    journal::Record record = sandbox::adopted(one, options_.bootId, dependencies_.clock.wall());
    const Result<sandbox::Links>& links = facts.seen.at(one.id);
    if (links.has_value()) record = sandbox::judge(std::move(record), *links, {});
    // An older journal may take the intent for one that is over.
    std::erase_if(loaded_.records, [&](const auto& other) { return other.id == record.id; });
    dependencies_.journal.put(record, journal::Durability::Relaxed, [](const Status&) {});
    log::warn("sandbox runs that the journal doesn't know", {{"pod", one.pod.str()},
                                                             {"sandbox", one.id},
                                                             {"intent", record.id},
                                                             {"doubt", name(record.doubt)}});
    restored.push_back({std::move(record), sandbox::RecoveryAction::Keep});
  }
  return restored;
}

addresses::Books Recovery::restoreAddresses(const std::vector<sandbox::Restored>& restored) {
  std::vector<journal::Record> records;
  std::set<IntentId> intents;
  bool isUnseen = loaded_.lost;
  for (const sandbox::Restored& one : restored) {
    records.push_back(one.record);
    intents.insert(one.record.id);
    if (one.record.doubt == journal::Doubt::Unseen) isUnseen = true;
  }
  auto held = holdings(records, options_.bootId, dependencies_.clock.now(), options_.quarantine);
  const auto everywhere = dependencies_.engine.observeAll();
  addresses::Books books = addresses::Books::Complete;
  if (everywhere.has_value()) {
    auto more = sandbox::orphans(
        *everywhere, [&intents](const IntentId& intent) { return intents.contains(intent); });
    held.insert(held.end(), more.begin(), more.end());
  } else {
    log::warn("the node's namespaces can't be looked into", {{"error", everywhere.error()}});
    if (isUnseen) books = addresses::Books::Incomplete;
  }
  dependencies_.addresses.restore(std::move(held), books);
  return books;
}

}  // namespace multinet::agent::recover
