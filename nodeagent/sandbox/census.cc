#include "nodeagent/sandbox/census.h"

#include <algorithm>
#include <utility>

#include "lib/base/log.h"

namespace multinet::agent::sandbox {
namespace {

using addresses::Books;
using journal::Doubt;
using journal::State;

/// One list without a sandbox may be a runtime that is just starting.
constexpr unsigned kAbsencesThatCount = 2;

/// A doubt may last as long as its pod.
constexpr std::chrono::seconds kAskApiEvery(60);

bool isMissing(const Entry& entry) {
  return !entry.running && entry.record.state != State::Rollback &&
         entry.absences >= kAbsencesThatCount;
}

bool asks(const RuntimeSandbox& sandbox) {
  return sandbox.ready && asksForNetworks(sandbox);
}

}  // namespace

Census::Census(const Shared& shared, std::function<void(const EntryPtr&)> gone)
    : shared_(shared), gone_(std::move(gone)), lane_("census", shared.dependencies.clock) {}

bool Census::isQuiet() const {
  return shared_.table.isEmpty() && seenUnknown_.empty() && books_ == Books::Complete &&
         !shared_.dependencies.resolver.anyNetwork();
}

void Census::tick() {
  const Options& options = shared_.options;
  const Duration every = isQuiet() ? options.quietEvery : options.compareEvery;
  if (!last_ || shared_.dependencies.clock.now() - *last_ >= every) compare();
}

void Census::compare() {
  if (std::exchange(underWay_, true)) return;
  last_ = shared_.dependencies.clock.now();
  using List = std::vector<RuntimeSandbox>;
  shared_.dependencies.runtime.listPodSandboxes(
      shared_.dependencies.clock.now() + shared_.options.teardown,
      onLane<List>(shared_.lane, [this](Result<List> list) {
        if (!list.has_value()) return roundEnds();
        ask(questions(*list));
      }));
}

void Census::roundEnds() {
  underWay_ = false;
  ++rounds_;
}

Census::Questions Census::questions(const std::vector<RuntimeSandbox>& list) {
  Questions questions;
  std::set<SandboxId> present;
  std::set<SandboxId> unknown;
  for (const RuntimeSandbox& one : list) {
    const EntryPtr entry = shared_.table.bySandbox(one.id);
    const bool isDoubted = entry != nullptr && entry->record.doubt != Doubt::None;
    // Who goes past the agent stops past it too: of such a sandbox a stop is never heard.
    if (one.ready || !isDoubted) present.insert(one.id);
    if (entry != nullptr) {
      if (isDoubted && one.ready && entry->record.state == State::Attached) {
        questions.look.push_back(one);
      }
    } else if (asks(one)) {
      const auto ofPod = shared_.table.ofPod(one.pod.uid);
      const bool isUnderWay = std::any_of(ofPod.begin(), ofPod.end(), [&](const EntryPtr& other) {
        return other->record.sandbox.empty() && other->record.pod.attempt == one.pod.attempt;
      });
      if (isUnderWay) continue;
      unknown.insert(one.id);
      // A list may be older than the end of a run: what is seen once more isn't.
      if (seenUnknown_.contains(one.id)) questions.look.push_back(one);
    }
  }
  seenUnknown_ = std::move(unknown);
  questions.everywhere = books_ == Books::Incomplete;
  for (const EntryPtr& entry : shared_.table.all()) {
    const journal::Record& record = entry->record;
    if (record.sandbox.empty()) continue;
    entry->absences = present.contains(record.sandbox) ? 0 : entry->absences + 1;
    if (isMissing(*entry)) questions.everywhere = true;
  }
  return questions;
}

void Census::ask(Questions questions) {
  if (questions.look.empty() && !questions.everywhere) {
    tellCondition();
    return roundEnds();
  }
  lane_.post([this, questions = std::move(questions)] {
    std::vector<SandboxId> ids;
    ids.reserve(questions.look.size());
    for (const RuntimeSandbox& one : questions.look) ids.push_back(one.id);
    const BootTime deadline = shared_.dependencies.clock.now() + shared_.options.teardown;
    lookInto(shared_.dependencies, lane_, ids, deadline, [this, questions](Seen seen) {
      Answers answers{questions.look, std::move(seen), {}};
      if (questions.everywhere) answers.everywhere = shared_.dependencies.engine.observeAll();
      shared_.lane.post([this, answers = std::move(answers)] {
        underWay_ = false;  // what is heard may begin the next
        hear(answers);
        ++rounds_;
      });
    });
  });
}

void Census::hear(const Answers& answers) {
  std::vector<addresses::Holding> held;
  for (const RuntimeSandbox& one : answers.looked) {
    auto more = hearOf(one, answers.seen.at(one.id));
    held.insert(held.end(), more.begin(), more.end());
  }
  Books books = books_;
  if (answers.everywhere.has_value() && answers.everywhere->has_value()) {
    const Links& links = **answers.everywhere;
    const auto known = shared_.table.all();
    auto more = orphans(links, [&known](const IntentId& intent) {
      return std::any_of(known.begin(), known.end(),
                         [&](const EntryPtr& entry) { return entry->record.id == intent; });
    });
    held.insert(held.end(), more.begin(), more.end());
    books = Books::Complete;
    hearOfMissing(links);
  } else if (answers.everywhere.has_value()) {
    log::warn("the node's namespaces can't be looked into, so nothing counts as gone",
              {{"error", answers.everywhere->error()}});
  }
  if (!held.empty() || books != books_)
    shared_.dependencies.addresses.restore(std::move(held), books);
  books_ = books;
  shared_.table.publish();
  const auto all = shared_.table.all();
  const bool anyDoubt = std::any_of(all.begin(), all.end(), [](const EntryPtr& entry) {
    return entry->record.doubt != Doubt::None;
  });
  if (anyDoubt) {
    askApi();
  } else {
    sets_.reset();
  }
  tellCondition();
}

void Census::hearOfMissing(const Links& everywhere) {
  std::set<IntentId> intents;
  for (const attach::ObservedInterface& link : everywhere) intents.insert(link.intent);
  std::set<IntentId> strangers = intents;
  for (const EntryPtr& entry : shared_.table.all()) strangers.erase(entry->record.id);
  for (const EntryPtr& entry : shared_.table.all()) {
    if (!isMissing(*entry)) continue;
    const journal::Record& record = entry->record;
    // The links that nobody knows may be those of one that nobody could look into.
    const bool mayHave = record.doubt == Doubt::Unseen && !strangers.empty();
    if (mayHave || intents.contains(record.id)) {
      if (!std::exchange(entry->toldMissing, true)) {
        log::warn("the runtime lists a sandbox no more whose links are there: it stays",
                  {{"pod", record.pod.str()}, {"sandbox", record.sandbox}});
      }
      continue;
    }
    log::warn("sandbox is gone without a stop",
              {{"pod", record.pod.str()}, {"sandbox", record.sandbox}});
    gone_(entry);
  }
}

std::vector<addresses::Holding> Census::hearOf(const RuntimeSandbox& sandbox,
                                               const Result<Links>& links) {
  EntryPtr entry = shared_.table.bySandbox(sandbox.id);
  if (entry == nullptr && !seenUnknown_.contains(sandbox.id)) return {};  // stopped meanwhile
  if (entry != nullptr) {
    const journal::Record& record = entry->record;
    if (entry->running || record.doubt == Doubt::None || record.state != State::Attached) return {};
    // What the API said before stands until it is asked again.
    if (record.doubt == Doubt::Unconfirmed && !sets_.has_value()) return {};
  }
  if (entry == nullptr) {
    log::warn("a sandbox runs and asks for networks that the agent doesn't know",
              {{"pod", sandbox.pod.str()}, {"sandbox", sandbox.id}});
    entry = shared_.table.add(
        adopted(sandbox, shared_.options.bootId, shared_.dependencies.clock.wall()));
    entry->forwarded = true;
    shared_.dependencies.journal.put(entry->record, journal::Durability::Relaxed,
                                     [](const Status&) {});
  }
  if (!links.has_value()) {
    log::warn("can't look into the namespace of a sandbox in doubt",
              {{"pod", sandbox.pod.str()}, {"sandbox", sandbox.id}, {"error", links.error()}});
    return {};
  }
  static const std::vector<KnownSet> kNone;
  journal::Record judged = judge(entry->record, *links, sets_.has_value() ? *sets_ : kNone);
  std::vector<addresses::Holding> held;
  if (judged != entry->record) {
    held = holdings(judged);
    replace(entry, std::move(judged));
  }
  if (entry->record.doubt == Doubt::NoLinks && sets_.has_value()) tellBypass(*entry);
  return held;
}

void Census::replace(const EntryPtr& entry, journal::Record judged) {
  const IntentId old = entry->record.id;
  judged.changedAt = shared_.dependencies.clock.wall();
  log::info("sandbox in doubt looked at", {{"pod", judged.pod.str()},
                                           {"sandbox", judged.sandbox},
                                           {"intent", judged.id},
                                           {"interfaces", judged.interfaces.size()},
                                           {"doubt", name(judged.doubt)}});
  if (!shared_.table.rename(old, judged.id)) judged.id = old;
  entry->record = std::move(judged);
  const journal::Record& record = entry->record;
  if (old != record.id) shared_.dependencies.journal.erase(old, [](const Status&) {});
  shared_.dependencies.journal.put(record, journal::Durability::Relaxed, [](const Status&) {});
  if (auto* policies = shared_.dependencies.policies) policies->known(policeable(record));
  if (record.doubt == Doubt::None) {
    shared_.dependencies.tell(report::Attached{record.pod, record.sandbox, record.interfaces});
  }
}

void Census::tellBypass(Entry& entry) {
  if (std::exchange(entry.toldBypass, true)) return;
  const journal::Record& record = entry.record;
  const Error why{Code::FailedPrecondition, "AgentBypassed",
                  "sandbox " + record.sandbox.str() + " of pod " + record.pod.str() +
                      " runs without the networks that the pod asks for: it wasn't made through "
                      "the node agent. Point the kubelet's containerRuntimeEndpoint at the "
                      "agent's socket, then delete the pod"};
  log::error("agent bypassed", {{"error", why}});
  shared_.dependencies.tell(report::Refused{record.pod, why});
}

void Census::tellCondition() {
  std::size_t bypassed = 0;
  std::string example;
  for (const EntryPtr& entry : shared_.table.all()) {
    if (!entry->toldBypass || entry->record.doubt != Doubt::NoLinks) continue;
    ++bypassed;
    example = entry->record.pod.str();
  }
  if (toldBypassed_ == bypassed) return;
  toldBypassed_ = bypassed;
  if (bypassed == 0) {
    shared_.dependencies.tell(
        report::NodeCondition{"AgentBypassed", k8s::ConditionStatus::False, "NoneFound",
                              "every sandbox that asks for networks was made through the agent"});
    return;
  }
  shared_.dependencies.tell(report::NodeCondition{
      "AgentBypassed", k8s::ConditionStatus::True, "SandboxesWithoutNetworks",
      std::to_string(bypassed) + " sandboxes, such as that of pod " + example +
          ", ask for networks and have none; point the kubelet at the agent's socket and delete "
          "the pods"});
}

// Its answer is for the next round.
void Census::askApi() {
  const BootTime now = shared_.dependencies.clock.now();
  if (!shared_.dependencies.sets || askingApi_) return;
  if (sets_.has_value() && now < nextAsk_) return;
  askingApi_ = true;
  nextAsk_ = now + kAskApiEvery;
  using Sets = std::vector<KnownSet>;
  shared_.dependencies.sets(onLane<Sets>(shared_.lane, [this](Result<Sets> sets) {
    askingApi_ = false;
    if (!sets.has_value()) return;
    const bool isFirst = !sets_.has_value();
    sets_ = std::move(*sets);
    if (isFirst) compare();
  }));
}

}  // namespace multinet::agent::sandbox
