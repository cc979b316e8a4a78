#include "nodeagent/sandbox/way.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "nodeagent/sandbox/owner_fixture.h"

namespace multinet::agent::sandbox {
namespace {

TEST(WayTest, EachStepHasANameOfItsOwnAndEachUndoToo) {
  std::set<std::string_view> names;
  for (const Step& step : way()) {
    EXPECT_TRUE(names.insert(step.name).second) << step.name;
    EXPECT_EQ(step.undoName.empty(), step.undo == nullptr) << step.name;
    if (step.undo == nullptr) continue;
    EXPECT_TRUE(names.insert(step.undoName).second) << step.undoName;
  }
}

TEST(TraceTest, IsTheKubeletsTraceOrNone) {
  const std::string id = "4bf92f3577b34da6a3ce929d0e0e4736";
  EXPECT_EQ(traceId({{"traceparent", "00-" + id + "-00f067aa0ba902b7-01"}}), id);
  EXPECT_EQ(traceId({{"traceparent", "00-4bf9"}}), "");
  EXPECT_EQ(traceId({{"user-agent", "kubelet"}}), "");
}

using WayOwnerTest = OwnerTest;

TEST_F(WayOwnerTest, TheCallsIdIsTheIntentsInTheJournalAndInTheKernel) {
  startRecovered();
  RunRequest call = request();
  call.id = newIntentId();
  ASSERT_TRUE(run(call).has_value());
  EXPECT_EQ(journal_.records.begin()->first, call.id);
  EXPECT_EQ(engine_.attached().count(call.id), 1U);
  EXPECT_EQ(held().count(call.id), 1U);
}

// What is known is decided without a change of threads: only disk, runtime and kernel are waited
// for, and none of them answers here but on the owner's own lane.
TEST_F(WayOwnerTest, NobodyWaitsForTheCommitOfAttached) {
  startRecovered();
  runtime_.hold();
  auto call = submit(request());
  eventually("forwarded", [&] { return runtime_.runs() == 1; });
  node_.onLane([&] { journal_.disk.hang(); });  // INTENT is synced by then
  runtime_.release();
  EXPECT_TRUE(call.get().has_value());
  EXPECT_TRUE(view("s1").attached);
  EXPECT_EQ(journal_.disk.held(), 1U) << "ATTACHED";
}

TEST_F(WayOwnerTest, WhatTakesLongIsToldAndWritten) {
  startRecovered();
  runtime_.hold();
  engine_.hold();
  auto call = submit(request());
  eventually("told", [&] {
    return reporter_.told() == std::vector<std::string>{"starting default/web-uid"};
  });
  runtime_.release();
  eventually("bound", [&] {
    State state{};
    node_.onLane([&] { state = journal_.records.begin()->second.state; });
    return state == State::Bound;
  });
  engine_.release();
  EXPECT_TRUE(call.get().has_value());
  EXPECT_EQ(reporter_.told().back(), "attached default/web-uid s1 2");
}

TEST_F(WayOwnerTest, TheDiskWorksBesideTheRuntimeAndNoLinkComesBeforeItsWord) {
  journal_.onlySyncsHang = true;
  journal_.disk.hang();
  startRecovered();
  auto call = submit(request());
  eventually("bound", [&] { return owner_->snapshot()->sandboxes.contains(SandboxId("s1")); });
  node_.onLane([] {});
  EXPECT_EQ(engine_.attached().size(), 0U);
  journal_.disk.release();
  EXPECT_TRUE(call.get().has_value());
  EXPECT_EQ(engine_.attached().size(), 1U);
}

TEST_F(WayOwnerTest, AnIntentThatCantBeSyncedTakesTheSandboxBack) {
  journal_.syncError = Error{Code::ResourceExhausted, "DiskFull", "disk is full"};
  startRecovered();
  const auto refused = run(request());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, "DiskFull");
  EXPECT_EQ(engine_.attached().size(), 0U);
  expectNothingLeft();
}

TEST_F(WayOwnerTest, ADiskThatFillsUpAfterTheIntentTakesNothingFromThePod) {
  startRecovered();
  runtime_.hold();
  auto call = submit(request());
  eventually("forwarded", [&] { return runtime_.runs() == 1; });
  node_.onLane(
      [&] { journal_.error = Error{Code::ResourceExhausted, "DiskFull", "disk is full"}; });
  runtime_.release();
  EXPECT_TRUE(call.get().has_value());
  EXPECT_EQ(engine_.attached().size(), 1U);
  EXPECT_EQ(journal_.records.begin()->second.state, State::Intent) << "the kernel knows the rest";
}

TEST_F(WayOwnerTest, AWatchForALateSandboxKeepsTheQuarantineInTheJournal) {
  runtime_.failRun(kUnavailable);
  startRecovered();
  EXPECT_FALSE(run(request()).has_value());
  owner_->stop();
  const journal::Record& record = journal_.records.begin()->second;
  EXPECT_EQ(record.state, State::Rollback);
  EXPECT_EQ(record.interfaces.size(), 2U);
  EXPECT_EQ(record.quarantinedUntil, clock_.now() + options_.quarantine);
  EXPECT_TRUE(isReleased(record));
}

}  // namespace
}  // namespace multinet::agent::sandbox
