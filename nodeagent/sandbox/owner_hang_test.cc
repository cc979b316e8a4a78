// The owner while something that it needs never answers, or refuses, or answers too late.
#include "nodeagent/sandbox/owner_fixture.h"

namespace multinet::agent::sandbox {
namespace {

using std::chrono::minutes;
using Answer = std::future<Result<RunResult>>;

bool answered(const Answer& call) {
  return call.wait_for(seconds(0)) == std::future_status::ready;
}

class OwnerHangTest : public OwnerTest {
 protected:
  // What is posted after it is done when it returns.
  void passThroughTheLane() {
    std::promise<void> passed;
    owner_->afterStop(SandboxId("nobody's"), [&](const Status&) { passed.set_value(); });
    passed.get_future().get();
  }
};

TEST_F(OwnerHangTest, ADiskThatHangsIsAnsweredForInTimeAndLeavesNothing) {
  startRecovered();
  journal_.disk.hang();
  Answer call = submit(request());
  eventually("it waits", [&] { return journal_.disk.held() == 1; });
  clock_.advance(options_.decisionWait - milliseconds(1));
  passThroughTheLane();
  EXPECT_FALSE(answered(call));
  clock_.advance(milliseconds(1));
  const auto result = call.get();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::Unavailable);
  EXPECT_EQ(result.error().reason, "TooSlow");
  EXPECT_THAT(result.error().message,
              ::testing::HasSubstr("attach networks of pod default/web-uid"));
  EXPECT_EQ(reporter_.told().back(), "refused default/web-uid TooSlow");
  // The next ones don't queue behind it, and another pod's end isn't held up.
  const auto again = run(request(1));
  EXPECT_EQ(again.error().reason, "TooSlow");
  journal_.disk.release();
  eventually("taken back", [&] { return run(request(2)).has_value(); });
  stop("s1");
  EXPECT_EQ(runtime_.runs(), 1);
  runtime_.vanish(SandboxId("s1"));
  owner_->stop();
  expectNothingLeft();
}

TEST_F(OwnerHangTest, AnApiServerThatTellsNoNamespaceIsAnsweredForInTimeAndLeavesNothing) {
  startRecovered();
  caches_.api.hang();
  Answer call = submit(request());
  eventually("it waits", [&] { return caches_.api.held() == 1; });
  clock_.advance(options_.decisionWait - milliseconds(1));
  passThroughTheLane();
  EXPECT_FALSE(answered(call));
  clock_.advance(milliseconds(1));
  EXPECT_EQ(call.get().error().code, Code::Unavailable);
  caches_.api.release();
  eventually("served", [&] { return run(request(1)).has_value(); });
  EXPECT_EQ(runtime_.runs(), 1);
  EXPECT_EQ(held().size(), 1U);
}

TEST_F(OwnerHangTest, AnApiServerThatLeasesNothingIsAnsweredForInTimeAndLeavesNothing) {
  node_.store.clear();
  startRecovered();
  eventually("asked for its blocks", [&] { return node_.store.calls() > 0; });
  auto hang = node_.store.hang();
  Answer call = submit(request());
  passThroughTheLane();
  clock_.advance(options_.decisionWait - milliseconds(1));
  passThroughTheLane();
  EXPECT_FALSE(answered(call));
  clock_.advance(milliseconds(1));
  EXPECT_EQ(call.get().error().code, Code::Unavailable);
  EXPECT_TRUE(held().empty());
  hang.unlock();
  eventually("served", [&] { return run(request(1)).has_value(); });
  EXPECT_EQ(runtime_.runs(), 1);
}

TEST_F(OwnerHangTest, OneLimitHoldsForAllThatIsOurs) {
  startOwner();
  RunRequest early = request();
  early.arrived = clock_.now();
  clock_.advance(seconds(2));  // so long it waited for the start
  Answer call = submit(early);
  passThroughTheLane();
  clock_.advance(seconds(1));  // for recovery
  caches_.api.hang();
  owner_->restore({});
  eventually("it waits", [&] { return caches_.api.held() == 1; });
  clock_.advance(options_.decisionWait - seconds(3));
  EXPECT_EQ(call.get().error().reason, "TooSlow");
}

TEST_F(OwnerHangTest, TheRuntimesTimeIsNotOurs) {
  startRecovered();
  runtime_.hold();
  Answer call = submit(request());
  eventually("forwarded", [&] { return runtime_.runs() == 1; });
  clock_.advance(minutes(3));
  node_.ticks(10);
  EXPECT_FALSE(answered(call));
  runtime_.release();
  EXPECT_TRUE(call.get().has_value());
}

TEST_F(OwnerHangTest, AKernelThatHangsIsToldInTimeAndTheSandboxTakenBackLater) {
  startRecovered();
  engine_.hold();
  Answer call = submit(request());
  eventually("bound", [&] { return !owner_->snapshot()->sandboxes.empty(); });
  passThroughTheLane();
  clock_.advance(options_.attachWait);
  EXPECT_EQ(call.get().error().reason, "TooSlow");
  EXPECT_EQ(view("s1").verdict, Verdict::Hidden);
  engine_.release();
  eventually("taken back", [&] { return runtime_.sandboxes().empty(); });
  owner_->stop();
  expectNothingLeft();
}

TEST_F(OwnerHangTest, CallsBehindAHangDontFillTheQueueThatEndsNeed) {
  startRecovered();
  ASSERT_TRUE(run(request(0, "other")).has_value());
  journal_.disk.hang();
  Answer first = submit(request(0, "stuck"));
  eventually("it waits", [&] { return journal_.disk.held() == 1; });
  clock_.advance(options_.decisionWait);
  EXPECT_FALSE(first.get().has_value());
  for (int i = 0; i < 2000; ++i) {
    EXPECT_EQ(run(request(0, "stuck")).error().reason, "TooSlow");
  }
  owner_->afterStop(SandboxId("s1"), [](const Status&) {});
  eventually("the other's links are gone", [&] { return engine_.attached().empty(); });
}

TEST_F(OwnerHangTest, OneStuckDeleteHoldsUpNobodyElse) {
  startRecovered();
  ASSERT_TRUE(run(request(0, "a")).has_value());
  ASSERT_TRUE(run(request(0, "b")).has_value());
  engine_.hold();
  int stopped = 0;
  owner_->beforeStop(SandboxId("s1"), [&](const Status&) { ++stopped; });
  owner_->afterStop(SandboxId("s1"), [](const Status&) {});
  owner_->beforeStop(SandboxId("s2"), [&](const Status&) { ++stopped; });
  owner_->afterStop(SandboxId("s2"), [](const Status&) {});
  passThroughTheLane();
  EXPECT_EQ(stopped, 2);
  engine_.release();
  eventually("both are gone", [&] { return engine_.attached().empty(); });
}

TEST_F(OwnerHangTest, AStopThatTheRuntimeRefusesChangesNothing) {
  startRecovered();
  ASSERT_TRUE(run(request()).has_value());
  std::promise<void> goesOn;
  owner_->beforeStop(SandboxId("s1"), [&](const Status&) { goesOn.set_value(); });
  goesOn.get_future().get();
  passThroughTheLane();
  // The runtime says no, or the kubelet gave up: nothing more is heard of it.
  EXPECT_TRUE(view("s1").attached);
  EXPECT_TRUE(mayCreateContainer("s1", request()).has_value());
  EXPECT_EQ(journal_.records.begin()->second.state, State::Attached);
  stop("s1");  // the next one goes well
  EXPECT_TRUE(engine_.attached().empty());
}

TEST_F(OwnerHangTest, AnEndThatTheQueueRefusedIsMadeUpFor) {
  startRecovered();
  ASSERT_TRUE(run(request()).has_value());
  engine_.answerDetach(fail(Code::ResourceExhausted, "QueueFull", "256 are waiting already"));
  stop("s1");
  engine_.answerDetach({});
  clock_.advance(seconds(6));
  eventually("detached", [&] { return held().empty(); });
}

TEST_F(OwnerHangTest, TheCancelOfASecondCallLeavesTheFirstAlone) {
  startRecovered();
  runtime_.hold();
  Answer first = submit(request());
  eventually("forwarded", [&] { return runtime_.runs() == 1; });
  const RunRequest another = request();
  Answer second = submit(another);
  another.abort->store(true);
  passThroughTheLane();
  runtime_.release();
  EXPECT_TRUE(first.get().has_value());
  EXPECT_EQ(second.get().error().code, Code::Cancelled);
  EXPECT_TRUE(view("s1").attached);
  EXPECT_EQ(engine_.attached().size(), 1U);
}

TEST_F(OwnerHangTest, TheCancelOfTheFirstLeavesTheSecondAlone) {
  startRecovered();
  runtime_.hold();
  const RunRequest one = request();
  Answer first = submit(one);
  eventually("forwarded", [&] { return runtime_.runs() == 1; });
  Answer second = submit(request());
  one.abort->store(true);
  passThroughTheLane();
  runtime_.release();
  EXPECT_EQ(first.get().error().code, Code::Cancelled);
  EXPECT_TRUE(second.get().has_value());
  EXPECT_EQ(runtime_.sandboxes().size(), 1U);
  EXPECT_EQ(engine_.attached().size(), 1U);
}

TEST_F(OwnerHangTest, ACallThatIsCancelledWhileItWaitsForRecoveryBeginsNothing) {
  startOwner();
  const RunRequest one = request();
  Answer gone = submit(one);
  Answer stays = submit(request());
  one.abort->store(true);
  owner_->restore({});
  EXPECT_EQ(gone.get().error().code, Code::Cancelled);
  EXPECT_TRUE(stays.get().has_value());
  EXPECT_EQ(runtime_.runs(), 1);
}

TEST_F(OwnerHangTest, AThreadThatHangsIsShownAndNoPodWaitsForIt) {
  const auto hangs = std::make_shared<std::atomic<bool>>(false);  // asked for until the owner ends
  node_.watchdog.watch(
      [hangs] {
        async::LaneHealth health;
        health.name = "mn-reaper";
        if (*hangs) health.busy = seconds(20);
        return health;
      },
      seconds(15));
  startRecovered();
  passThroughTheLane();
  EXPECT_TRUE(owner_->ready().has_value());
  *hangs = true;
  EXPECT_EQ(owner_->ready().error().reason, "LaneStuck");
  EXPECT_THAT(owner_->ready().error().message, ::testing::HasSubstr("mn-reaper"));
  EXPECT_TRUE(run(request()).has_value()) << "others go on";
  *hangs = false;
  EXPECT_TRUE(owner_->ready().has_value());
}

TEST_F(OwnerHangTest, LateSandboxesAreLookedForWithOneListForAll) {
  startRecovered();
  runtime_.failRun(kUnavailable);
  constexpr int kPods = 50;
  for (int i = 0; i < kPods; ++i) {
    EXPECT_FALSE(run(request(0, "pod" + std::to_string(i))).has_value());
  }
  const int before = runtime_.lists();
  clock_.advance(seconds(6));
  eventually("looked", [&] { return runtime_.lists() > before; });
  passThroughTheLane();
  EXPECT_LE(runtime_.lists(), before + 2) << "one for them, one to compare";
  runtime_.put({SandboxId("late"), request(0, "pod7").pod, true, {}, {}});
  clock_.advance(seconds(6));
  eventually("taken back", [&] { return runtime_.sandboxes().empty(); });
  clock_.advance(options_.lateWatch);
  ticking("all ended", [&] {
    const auto intents = owner_->snapshot()->intents;
    return !intents.contains(State::Rollback);
  });
}

TEST_F(OwnerHangTest, TheRuntimesOwnWordsGoOnAndNothingIsSaidOfNetworks) {
  // As the real client tells it: with a reason of ours, which is no sign of whose error it is.
  const Error own{Code::NotFound, "Runtime", "failed to pull image \"pause\""};
  runtime_.failRun(own);
  startRecovered();
  EXPECT_EQ(run(request()).error(), own);
  EXPECT_EQ(reporter_.told(), std::vector<std::string>());
  expectNothingLeft();
}

}  // namespace
}  // namespace multinet::agent::sandbox
