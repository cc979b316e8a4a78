#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "nodeagent/recover/recovery.h"
#include "nodeagent/sandbox/fake_node.h"

namespace multinet::agent::recover {
namespace {

using journal::State;
using sandbox::RecoveryAction;
using std::chrono::milliseconds;
using std::chrono::seconds;

journal::Record record(State state, const std::string& sandboxId,
                       const std::string& boot = "boot") {
  journal::Record made;
  made.id = IntentId("intent");
  made.pod = {PodUid("uid"), "default", "web-0", 2};
  made.sandbox = SandboxId(sandboxId);
  made.state = state;
  made.bootId = boot;
  InterfaceStatus status;
  status.plan.name = InterfaceName::parse("net1").value();
  status.plan.networkUid = NetworkUid("blue");
  status.plan.addresses = {{InterfaceAddress::parse("10.9.0.5/16").value(), std::nullopt}};
  made.interfaces.push_back(status);
  return made;
}

enum class Listed { Ready, NotReady, Absent };

Facts facts(Listed listed) {
  Facts made;
  made.bootId = "boot";
  if (listed != Listed::Absent) {
    made.sandboxes.push_back({SandboxId("s1"),
                              {PodUid("uid"), "default", "web-0", 2},
                              listed == Listed::Ready,
                              {},
                              {{"multinet.dev/networks", "blue"}}});
  }
  return made;
}

struct Case {
  const char* name;
  State state;
  const char* sandboxId;
  const char* boot;
  Listed listed;
  RecoveryAction action;
};

class DecideTest : public ::testing::TestWithParam<Case> {};

TEST_P(DecideTest, RecoveryAction) {
  const Case& c = GetParam();
  const auto restored = decide(record(c.state, c.sandboxId, c.boot), facts(c.listed));
  EXPECT_EQ(restored.action, c.action);
  if (c.action == RecoveryAction::Finish) {
    EXPECT_EQ(restored.record.sandbox, SandboxId("s1"));
  }
}

TEST(Decide, AStopThatWasNotCarriedOutLeavesThePodItsNetworks) {
  const auto runs = decide(record(State::Detaching, "s1"), facts(Listed::Ready));
  EXPECT_EQ(runs.record.state, State::Attached);
  const auto stopped = decide(record(State::Detaching, "s1"), facts(Listed::NotReady));
  EXPECT_EQ(stopped.record.state, State::Detaching);
}

INSTANTIATE_TEST_SUITE_P(
    Table, DecideTest,
    ::testing::Values(
        Case{"IntentNeverHeard", State::Intent, "", "boot", Listed::Absent,
             RecoveryAction::RollBack},
        Case{"IntentMade", State::Intent, "", "boot", Listed::Ready, RecoveryAction::Finish},
        Case{"IntentMadeAndDead", State::Intent, "", "boot", Listed::NotReady,
             RecoveryAction::Keep},
        Case{"BoundRuns", State::Bound, "s1", "boot", Listed::Ready, RecoveryAction::Finish},
        Case{"BoundDead", State::Bound, "s1", "boot", Listed::NotReady, RecoveryAction::Keep},
        Case{"BoundGone", State::Bound, "s1", "boot", Listed::Absent, RecoveryAction::RollBack},
        Case{"BoundOtherId", State::Bound, "s9", "boot", Listed::Ready, RecoveryAction::RollBack},
        Case{"BoundOtherBoot", State::Bound, "s1", "earlier", Listed::NotReady,
             RecoveryAction::Keep},
        Case{"IntentOtherBoot", State::Intent, "", "earlier", Listed::NotReady,
             RecoveryAction::Keep},
        Case{"IntentOtherBootGone", State::Intent, "", "earlier", Listed::Absent,
             RecoveryAction::RollBack},
        Case{"AttachedRuns", State::Attached, "s1", "boot", Listed::Ready, RecoveryAction::Keep},
        Case{"AttachedDead", State::Attached, "s1", "boot", Listed::NotReady, RecoveryAction::Keep},
        Case{"AttachedNotListed", State::Attached, "s1", "boot", Listed::Absent,
             RecoveryAction::Keep},
        Case{"AttachedOtherBoot", State::Attached, "s1", "earlier", Listed::NotReady,
             RecoveryAction::Keep},
        Case{"DetachingRuns", State::Detaching, "s1", "boot", Listed::Ready, RecoveryAction::Keep},
        Case{"DetachingDead", State::Detaching, "s1", "boot", Listed::NotReady,
             RecoveryAction::Detach},
        Case{"DetachingGone", State::Detaching, "s1", "boot", Listed::Absent,
             RecoveryAction::Detach},
        Case{"Rollback", State::Rollback, "s1", "boot", Listed::Ready, RecoveryAction::RollBack},
        Case{"Detached", State::Detached, "s1", "boot", Listed::Absent, RecoveryAction::Keep}),
    [](const auto& one) { return std::string(one.param.name); });

// The last that a journal said before a power cut may be INTENT where the pod had been attached.
TEST(Decide, WhatHasEndedKeepsItsAddressesAndIsTheKubeletsToRemove) {
  for (const State state : {State::Intent, State::Bound}) {
    const char* id = state == State::Intent ? "" : "s1";
    const auto cut = decide(record(state, id, "earlier"), facts(Listed::NotReady)).record;
    EXPECT_EQ(cut.state, State::Attached);
    EXPECT_EQ(cut.sandbox, SandboxId("s1"));
    EXPECT_EQ(cut.bootId, "earlier") << "so it gets no container";
    EXPECT_EQ(cut.interfaces.at(0).state, InterfaceState::Attached) << "for its next sandbox";
    EXPECT_EQ(holdings({cut}, "boot", BootTime(seconds(9)), seconds(60)).at(0).quarantine,
              Duration{});
    const auto dead = decide(record(state, id), facts(Listed::NotReady)).record;
    EXPECT_EQ(dead.doubt, journal::Doubt::Unseen) << "so it gets no container";
    EXPECT_EQ(holdings({dead}, "boot", BootTime(seconds(9)), seconds(60)).at(0).quarantine,
              Duration{});
  }
}

TEST(HoldingsTest, OfARollbackThatWaitsForALateSandboxRest) {
  const BootTime now(seconds(1000));
  journal::Record watched = record(State::Rollback, "");
  EXPECT_EQ(holdings({watched}, "boot", now, seconds(60)).at(0).quarantine, Duration{})
      << "not yet";
  watched.quarantinedUntil = now + seconds(10);
  EXPECT_EQ(holdings({watched}, "boot", now, seconds(60)).at(0).quarantine, seconds(10));
  watched.quarantinedUntil = now;
  EXPECT_TRUE(holdings({watched}, "boot", now, seconds(60)).empty());
}

TEST(HoldingsTest, RestByTheClockOfTheBootAndInFullAfterAnother) {
  const BootTime now(seconds(1000));
  journal::Record quarantined = record(State::Detached, "s1");
  quarantined.quarantinedUntil = now + seconds(10);
  EXPECT_EQ(holdings({quarantined}, "boot", now, seconds(60)).at(0).quarantine, seconds(10));
  EXPECT_EQ(holdings({quarantined}, "next", now, seconds(60)).at(0).quarantine, seconds(60));
  quarantined.quarantinedUntil = now - seconds(1);
  EXPECT_TRUE(holdings({quarantined}, "boot", now, seconds(60)).empty());
  const auto held = holdings({record(State::Bound, "s1")}, "boot", now, seconds(60));
  ASSERT_EQ(held.size(), 1U);
  EXPECT_EQ(held[0].quarantine, Duration{});
  EXPECT_EQ(held[0].address, IpAddress::parse("10.9.0.5").value());
}

attach::ObservedInterface link(const std::string& intent, const std::string& address) {
  attach::ObservedInterface made;
  made.intent = IntentId(intent);
  made.interface = "net1";
  made.link = "net1";
  made.ifindex = 3;
  made.inPod = true;
  made.up = true;
  made.addresses = {InterfaceAddress::parse(address).value()};
  return made;
}

TEST(DecideTest, TheKernelSaysWhatIsAttached) {
  Facts known = facts(Listed::Ready);
  known.seen.insert_or_assign(SandboxId("s1"), sandbox::Links{link("intent", "10.9.0.5/16")});
  for (const State state : {State::Intent, State::Bound}) {
    const char* id = state == State::Intent ? "" : "s1";
    const auto restored = decide(record(state, id), known);
    EXPECT_EQ(restored.action, RecoveryAction::Keep);
    EXPECT_EQ(restored.record.state, State::Attached);
    EXPECT_EQ(restored.record.sandbox, SandboxId("s1"));
    EXPECT_EQ(restored.record.interfaces.at(0).ifindex, 3);
    EXPECT_EQ(restored.record.interfaces.at(0).state, InterfaceState::Attached);
  }
  known.seen.insert_or_assign(SandboxId("s1"), sandbox::Links{link("intent", "10.9.0.6/16")});
  EXPECT_EQ(decide(record(State::Bound, "s1"), known).action, RecoveryAction::Finish);
  known.seen.insert_or_assign(SandboxId("s1"), sandbox::Links{});
  EXPECT_EQ(decide(record(State::Bound, "s1"), known).action, RecoveryAction::Finish);
  known.seen.insert_or_assign(SandboxId("s1"), fail(Code::NotFound, "NetnsGone", "gone"));
  EXPECT_EQ(decide(record(State::Bound, "s1"), known).action, RecoveryAction::Finish);
}

TEST(DecideTest, ALaterIntentsSandboxIsNotAnOlderRecords) {
  Facts known = facts(Listed::Ready);
  known.seen.insert_or_assign(SandboxId("s1"), sandbox::Links{link("later", "10.9.0.9/16")});
  const journal::Record older = record(State::Intent, "");
  EXPECT_EQ(suspects({older}, known), std::vector<SandboxId>{SandboxId("s1")});
  ASSERT_EQ(unknownSandboxes({older}, known).size(), 1U);
  const auto restored = decide(older, known);
  EXPECT_EQ(restored.action, RecoveryAction::RollBack);
  EXPECT_TRUE(restored.record.sandbox.empty()) << "it would be stopped with it";
}

TEST(UnknownSandboxesTest, OnlyThoseThatRunAskAndStandInNoRecord) {
  EXPECT_EQ(unknownSandboxes({}, facts(Listed::Ready)).size(), 1U);
  EXPECT_TRUE(unknownSandboxes({}, facts(Listed::NotReady)).empty());
  EXPECT_TRUE(unknownSandboxes({record(State::Attached, "s1")}, facts(Listed::Ready)).empty());
  EXPECT_TRUE(unknownSandboxes({record(State::Intent, "")}, facts(Listed::Ready)).empty());
  Facts plain = facts(Listed::Ready);
  plain.sandboxes[0].annotations.clear();
  EXPECT_TRUE(unknownSandboxes({}, plain).empty());
}

class RecoveryTest : public ::testing::Test {
 protected:
  RecoveryTest() {
    node_.make();
    recovery_.emplace(
        node_.dependencies(), *node_.owner,
        Options{.bootId = "boot", .firstWait = milliseconds(1), .longestWait = milliseconds(2)});
  }

  bool isRecovered() const { return node_.owner->snapshot()->recovered; }
  /// While time passes.
  template <class Condition>
  bool eventually(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      node_.ticks(1);
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return condition();
  }
  bool recovers() {
    recovery_->start();
    return eventually([this] { return isRecovered(); });
  }
  sandbox::SandboxView view() const {
    return node_.owner->snapshot()->sandboxes.at(SandboxId("s1"));
  }

  sandbox::FakeNode node_;
  sandbox::FakeRuntime& runtime_ = node_.runtime;
  journal::FakeJournal& journal_ = node_.journal;
  attach::FakeAttachEngine& engine_ = node_.engine;
  std::optional<Recovery> recovery_;
};

TEST_F(RecoveryTest, WaitsForTheRuntimeThenServes) {
  runtime_.failList(Error{Code::Unavailable, "", "runtime is away"});
  recovery_->start();
  EXPECT_TRUE(eventually([this] { return runtime_.lists() > 3; }));
  EXPECT_FALSE(isRecovered());
  runtime_.failList(std::nullopt);
  EXPECT_TRUE(eventually([this] { return isRecovered(); }));
}

TEST_F(RecoveryTest, KeepsWhatIsAttachedAndHoldsItsAddresses) {
  journal_.records[IntentId("intent")] = record(State::Attached, "s1");
  runtime_.put(facts(Listed::Ready).sandboxes[0]);
  ASSERT_TRUE(recovers());
  EXPECT_TRUE(view().attached);
  EXPECT_EQ(node_.held().at(IntentId("intent")).size(), 1U);
}

TEST_F(RecoveryTest, WhatRunsAndStandsInNoRecordIsInDoubtAndItsAddressesAreHeld) {
  // Not lost: a file that was cut to nothing, or an older copy of it, is a valid one.
  runtime_.put(facts(Listed::Ready).sandboxes[0]);
  InterfacePlan plan = record(State::Attached, "s1").interfaces[0].plan;
  plan.mac = MacAddress::derive("seed");
  engine_.put(IntentId("made"), "s1", {plan});
  ASSERT_TRUE(recovers());
  const sandbox::SandboxView seen = view();
  EXPECT_EQ(seen.verdict, sandbox::Verdict::Pass);
  EXPECT_FALSE(seen.attached);
  EXPECT_EQ(seen.doubt, journal::Doubt::Unconfirmed);
  EXPECT_EQ(runtime_.sandboxes().size(), 1U);
  EXPECT_EQ(node_.books(), addresses::Books::Complete);
  EXPECT_EQ(node_.held().at(IntentId("made")).size(), 1U);
  const journal::Record written = journal_.records.at(IntentId("made"));
  EXPECT_EQ(written.doubt, journal::Doubt::Unconfirmed) << "a restart must not forget it";
  EXPECT_EQ(node_.reporter.told(), std::vector<std::string>{});
}

TEST_F(RecoveryTest, BooksAreIncompleteWhileNobodyCanLook) {
  journal_.lost = true;
  runtime_.put(facts(Listed::Ready).sandboxes[0]);
  engine_.failObserve(Error{Code::Unavailable, "", "no"});
  ASSERT_TRUE(recovers());
  EXPECT_EQ(view().doubt, journal::Doubt::Unseen);
  EXPECT_EQ(node_.books(), addresses::Books::Incomplete);
}

TEST_F(RecoveryTest, WhatTheKernelHasHoldsItsAddressesWhoeverListsIt) {
  journal_.lost = true;  // and the runtime lists nothing
  engine_.put(IntentId("made"), "s1", {record(State::Attached, "s1").interfaces[0].plan});
  ASSERT_TRUE(recovers());
  EXPECT_EQ(node_.held().at(IntentId("made")).size(), 1U);
  EXPECT_EQ(engine_.detaches(), 0);
}

TEST_F(RecoveryTest, ABoundSandboxWithAllItsLinksNeedsNoAttach) {
  const journal::Record bound = record(State::Bound, "s1");
  journal_.records[IntentId("intent")] = bound;
  runtime_.put(facts(Listed::Ready).sandboxes[0]);
  engine_.put(IntentId("intent"), "s1", {bound.interfaces[0].plan});
  engine_.failAttach({Code::FailedPrecondition, "ParentMissing", "the parent is gone"});
  ASSERT_TRUE(recovers());
  EXPECT_TRUE(view().attached);
  EXPECT_EQ(journal_.records.at(IntentId("intent")).state, State::Attached);
  EXPECT_EQ(runtime_.sandboxes().size(), 1U);
}

}  // namespace
}  // namespace multinet::agent::recover
