#include "nodeagent/sandbox/owner_fixture.h"

namespace multinet::agent::sandbox {
namespace {

TEST_F(OwnerTest, ThePodsNextAttemptNeverGetsANetworkMadeAgainUnderTheName) {
  startRecovered();
  ASSERT_TRUE(run(request(0)).has_value());
  stop("s1");
  node_.onLane([&] { caches_.content.networks["blue"].metadata.uid = "uid-new"; });
  node_.onNode.networks[0].uid = NetworkUid("uid-new");
  node_.networks.publish(node_.onNode);
  auto refused = submit(request(1));
  eventually("refused", [&] {
    clock_.advance(milliseconds(50));  // the caches may be behind
    return refused.wait_for(seconds(0)) == std::future_status::ready;
  });
  EXPECT_EQ(refused.get().error().reason, "NetworkReplaced");
  EXPECT_TRUE(run(request(0, "other")).has_value()) << "another pod had none before";
}

TEST_F(OwnerTest, AttachesAllInterfacesAndAnswersWithTheRuntimesBytes) {
  startRecovered();
  const auto result = run(request());
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->reply.bytes, "reply s1");
  ASSERT_EQ(result->interfaces.size(), 2U);
  EXPECT_EQ(result->interfaces[1].state, InterfaceState::Attached);
  EXPECT_NE(result->interfaces[0].plan.mac, result->interfaces[1].plan.mac);
  EXPECT_TRUE(view("s1").attached);
  EXPECT_EQ(view("s1").verdict, Verdict::Pass);
  EXPECT_EQ(journal_.synced, 1) << "INTENT's";
  ASSERT_EQ(journal_.records.size(), 1U);
  EXPECT_EQ(journal_.records.begin()->second.state, State::Attached);
  EXPECT_TRUE(mayCreateContainer("s1", request()).has_value());
  EXPECT_EQ(reporter_.told(), std::vector<std::string>{"attached default/web-uid s1 2"});
}

TEST_F(OwnerTest, StopReleasesAndForgetsAfterQuarantine) {
  startRecovered();
  ASSERT_TRUE(run(request()).has_value());
  stop("s1");
  runtime_.vanish(SandboxId("s1"));
  EXPECT_TRUE(engine_.attached().empty());
  EXPECT_TRUE(held().empty());
  EXPECT_FALSE(mayCreateContainer("s1", request()).has_value());
  EXPECT_EQ(reporter_.told().back(), "detached default/web-uid s1");
  stop("s1");
  owner_->afterRemove(SandboxId("s1"));
  EXPECT_EQ(engine_.detaches(), 1);
  EXPECT_EQ(journal_.records.begin()->second.state, State::Detached);
  eventually("resting", [&] { return owner_->snapshot()->intents.contains(State::Detached); });
  clock_.advance(seconds(61));
  ticking("forgotten", [&] { return !owner_->snapshot()->intents.contains(State::Detached); });
  owner_->stop();
  EXPECT_TRUE(journal_.records.empty());
}

TEST_F(OwnerTest, ARefusalChangesNothingAndIsTold) {
  caches_.content.networks.erase("blue");
  startRecovered();
  const auto result = run(request());
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::NotFound);
  EXPECT_NE(result.error().message.find("default/web-uid"), std::string::npos);
  EXPECT_EQ(runtime_.runs(), 0);
  EXPECT_TRUE(journal_.records.empty());
  EXPECT_EQ(reporter_.told().back(), "refused default/web-uid NetworkNotFound");
}

TEST_F(OwnerTest, NoAddressesMeansNoSandbox) {
  caches_.content.networks["blue"] = watch::readyNetwork("blue", "10.9.0.0/24");
  node_.store.give(node_.store.blocks().front(), NodeName("n2"));
  startRecovered();
  EXPECT_EQ(run(request()).error().reason, "PoolExhausted");
  EXPECT_EQ(runtime_.runs(), 0);
}

TEST_F(OwnerTest, AFullDiskRefusesBeforeAnySideEffect) {
  startRecovered();
  journal_.error = Error{Code::ResourceExhausted, "DiskFull", "disk is full"};
  const auto result = run(request());
  EXPECT_EQ(result.error().reason, "DiskFull");
  EXPECT_EQ(runtime_.runs(), 0);
  expectNothingLeft();
}

TEST_F(OwnerTest, AFailedAttachTakesTheSandboxBack) {
  engine_.failAttach({Code::Internal, "AttachFailed", "interface net2: parent is down"});
  startRecovered();
  const auto result = run(request());
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().message.find("interface net2: parent is down"), std::string::npos);
  expectNothingLeft();
}

TEST_F(OwnerTest, AVanishedNetnsTakesTheSandboxBack) {
  runtime_.failNetns(Error{Code::NotFound, "NetnsGone", "gone"});
  startRecovered();
  EXPECT_FALSE(run(request()).has_value());
  expectNothingLeft();
}

TEST_F(OwnerTest, TheRuntimesOwnErrorGoesOnUnchanged) {
  const Error own{Code::Unknown, "Runtime", "failed to reserve sandbox name \"web\""};
  runtime_.failRun(own);
  startRecovered();
  EXPECT_EQ(run(request()).error(), own);
  expectNothingLeft();
}

TEST_F(OwnerTest, ALostReplyIsFoundInTheRuntimesListAndTakenBack) {
  runtime_.loseReply(kUnavailable);
  startRecovered();
  EXPECT_EQ(run(request()).error(), kUnavailable);
  expectNothingLeft();
}

TEST_F(OwnerTest, ASandboxThatTheRuntimeMakesLateIsTakenBackToo) {
  runtime_.failRun(kUnavailable);
  startRecovered();
  EXPECT_FALSE(run(request()).has_value());
  EXPECT_TRUE(held().empty());
  runtime_.put({SandboxId("late"), request().pod, true, {}, {}});
  clock_.advance(seconds(6));
  eventually("late sandbox removed", [&] { return runtime_.sandboxes().empty(); });
  owner_->stop();
  expectNothingLeft();
}

TEST_F(OwnerTest, TheWatchForALateSandboxEnds) {
  runtime_.failRun(kUnavailable);
  startRecovered();
  EXPECT_FALSE(run(request()).has_value());
  clock_.advance(options_.lateWatch + seconds(1));
  eventually("watch ended", [&] { return held().empty(); });
  node_.ticks(10);
  owner_->stop();
  expectNothingLeft();
}

TEST_F(OwnerTest, ARetryAfterALostReplyEndsInOneSandbox) {
  runtime_.failRun(kUnavailable);
  startRecovered();
  EXPECT_FALSE(run(request()).has_value());
  runtime_.put({SandboxId("late"), request().pod, true, {}, {}});
  runtime_.failRun(std::nullopt);
  ASSERT_TRUE(run(request()).has_value());
  EXPECT_EQ(runtime_.sandboxes().size(), 1U);
  EXPECT_EQ(engine_.attached().size(), 1U);
  EXPECT_EQ(held().size(), 1U);
}

TEST_F(OwnerTest, AFailedRollbackShowsNotReadyAndIsTriedAgain) {
  engine_.failAttach({Code::Internal, "AttachFailed", "no"});
  runtime_.failTeardown(kUnavailable);
  startRecovered();
  EXPECT_FALSE(run(request()).has_value());
  EXPECT_EQ(view("s1").verdict, Verdict::NotReady);
  EXPECT_EQ(held().size(), 1U);
  runtime_.failTeardown(std::nullopt);
  clock_.advance(seconds(6));
  eventually("rollback done", [&] { return runtime_.sandboxes().empty(); });
  owner_->stop();
  expectNothingLeft();
}

TEST_F(OwnerTest, HiddenWhileItsRunIsUnderWay) {
  startRecovered();
  runtime_.hold();
  auto pending = submit(request());
  eventually("forwarded", [&] { return runtime_.runs() == 1; });
  EXPECT_EQ(owner_->snapshot()->running.size(), 1U);
  engine_.hold();
  runtime_.release();
  eventually("bound", [&] { return !owner_->snapshot()->sandboxes.empty(); });
  EXPECT_EQ(view("s1").verdict, Verdict::Hidden);
  EXPECT_FALSE(mayCreateContainer("s1", request()).has_value());
  engine_.release();
  EXPECT_TRUE(pending.get().has_value());
  EXPECT_EQ(view("s1").verdict, Verdict::Pass);
}

TEST_F(OwnerTest, AStopAbortsAnAttachAndWaitsForItsRollback) {
  startRecovered();
  engine_.hold();
  auto pending = submit(request());
  eventually("bound", [&] { return !owner_->snapshot()->sandboxes.empty(); });
  std::promise<void> stopped;
  owner_->beforeStop(SandboxId("s1"), [&](const Status&) { stopped.set_value(); });
  // Posted after the stop: when it answers, the abort flag is up.
  std::promise<void> passed;
  owner_->afterStop(SandboxId("other"), [&](const Status&) { passed.set_value(); });
  passed.get_future().get();
  engine_.release();
  EXPECT_EQ(pending.get().error().code, Code::Cancelled);
  stopped.get_future().get();
  expectNothingLeft();
}

TEST_F(OwnerTest, AStopOfASandboxWhoseIdIsNotKnownYetFindsItsRun) {
  startRecovered();
  runtime_.hold();
  auto pending = submit(request());
  eventually("forwarded", [&] { return runtime_.runs() == 1; });
  runtime_.put({SandboxId("s1"), request().pod, true, {}, {}});
  std::promise<void> stopped;
  owner_->beforeStop(SandboxId("s1"), [&](const Status&) { stopped.set_value(); });
  std::promise<void> passed;
  owner_->afterStop(SandboxId("other"), [&](const Status&) { passed.set_value(); });
  passed.get_future().get();
  runtime_.release();
  EXPECT_EQ(pending.get().error().code, Code::Cancelled);
  stopped.get_future().get();
  expectNothingLeft();
}

TEST_F(OwnerTest, ACancelledCallIsRolledBack) {
  startRecovered();
  runtime_.hold();
  const RunRequest call = request();
  auto pending = submit(call);
  eventually("forwarded", [&] { return runtime_.runs() == 1; });
  call.abort->store(true);
  std::promise<void> passed;
  owner_->afterStop(SandboxId("other"), [&](const Status&) { passed.set_value(); });
  passed.get_future().get();
  runtime_.release();
  EXPECT_EQ(pending.get().error().code, Code::Cancelled);
  expectNothingLeft();
}

TEST_F(OwnerTest, TwoCallsForOneAttemptEndInOneAttach) {
  startRecovered();
  runtime_.hold();
  auto first = submit(request());
  auto second = submit(request());
  eventually("forwarded", [&] { return runtime_.runs() == 1; });
  runtime_.release();
  EXPECT_TRUE(first.get().has_value());
  EXPECT_EQ(second.get().error().reason, "SandboxExists");
  EXPECT_EQ(runtime_.sandboxes().size(), 1U);
  EXPECT_EQ(engine_.attached().size(), 1U);
}

TEST_F(OwnerTest, AnAttemptWhoseSandboxTheRuntimeLostIsMadeAgain) {
  startRecovered();
  ASSERT_TRUE(run(request()).has_value());
  runtime_.vanish(SandboxId("s1"));
  ASSERT_TRUE(run(request()).has_value());
  EXPECT_TRUE(view("s2").attached);
  EXPECT_EQ(engine_.attached().size(), 1U);
  EXPECT_EQ(held().size(), 1U);
}

TEST_F(OwnerTest, TheNextAttemptDoesNotWaitForTheOldSandbox) {
  startRecovered();
  ASSERT_TRUE(run(request(0)).has_value());
  ASSERT_TRUE(run(request(1)).has_value());
  EXPECT_EQ(engine_.attached().size(), 2U);
  stop("s1");
  EXPECT_TRUE(view("s2").attached);
  EXPECT_EQ(engine_.attached().size(), 1U);
}

TEST_F(OwnerTest, OnePodsSlowRunHoldsUpNobodyElse) {
  startRecovered();
  runtime_.hold();
  auto slow = submit(request(0, "slow"));
  eventually("forwarded", [&] { return runtime_.runs() == 1; });
  auto other = submit(request(0, "other"));
  eventually("forwarded too", [&] { return runtime_.runs() == 2; });
  runtime_.release();
  EXPECT_TRUE(slow.get().has_value());
  EXPECT_TRUE(other.get().has_value());
}

TEST_F(OwnerTest, ARepeatedIdIsRefusedAndLeavesItsOwnerAlone) {
  startRecovered();
  ASSERT_TRUE(run(request(0, "a")).has_value());
  runtime_.repeatId(SandboxId("s1"));
  EXPECT_EQ(run(request(0, "b")).error().reason, "SandboxIdRepeated");
  EXPECT_TRUE(view("s1").attached);
  EXPECT_EQ(runtime_.sandboxes().size(), 1U);
  EXPECT_EQ(engine_.attached().size(), 1U);
}

TEST_F(OwnerTest, CallsWaitForRecoveryButNotForEver) {
  startOwner();
  auto waits = submit(request(0, "a"));
  EXPECT_EQ(mayCreateContainer("x", request()).error().code, Code::Unavailable);
  stop("x");
  clock_.advance(options_.decisionWait + seconds(1));
  EXPECT_EQ(waits.get().error().reason, "Recovering");
  EXPECT_EQ(owner_->ready().error().reason, "Recovering");
  owner_->waitsFor({Code::Unavailable, "JournalUnusable", "the disk is read-only"});
  eventually("told", [&] { return owner_->ready().error().reason == "JournalUnusable"; });
  auto refused = submit(request(1, "a"));
  stop("y");  // after it in the lane
  clock_.advance(options_.decisionWait + seconds(1));
  EXPECT_THAT(refused.get().error().message, ::testing::HasSubstr("the disk is read-only"));
  auto served = submit(request(0, "b"));
  owner_->restore({});
  EXPECT_TRUE(served.get().has_value());
  EXPECT_TRUE(owner_->ready().has_value());
  node_.onLane([&] { caches_.error = Error{Code::Unavailable, "NotConnected", "no kubeconfig"}; });
  EXPECT_EQ(owner_->ready().error().reason, "NotConnected");
}

TEST_F(OwnerTest, AFailedDetachIsTriedAgainAndTheStopGoesOn) {
  startRecovered();
  ASSERT_TRUE(run(request()).has_value());
  engine_.answerDetach(fail(Code::Internal, "Busy", "busy"));
  stop("s1");
  EXPECT_EQ(held().size(), 1U);
  engine_.answerDetach({});
  clock_.advance(seconds(6));
  eventually("detached", [&] { return held().empty(); });
}

TEST_F(OwnerTest, ASandboxThatIsGoneTwiceInARowIsDetached) {
  startRecovered();
  ASSERT_TRUE(run(request()).has_value());
  runtime_.vanish(SandboxId("s1"));
  engine_.loseNetns("s1");
  runtime_.failList(kUnavailable);
  const auto round = [&] {
    const auto before = owner_->comparisons();
    clock_.advance(options_.compareEvery + seconds(1));
    ticking("a round", [&] { return owner_->comparisons() > before; });
  };
  for (int i = 0; i < 3; ++i) round();
  EXPECT_EQ(held().size(), 1U) << "a list that failed says nothing";
  runtime_.failList(std::nullopt);
  for (int i = 0; i < 3; ++i) round();
  eventually("detached", [&] { return held().empty(); });
}

TEST_F(OwnerTest, RecoveryFinishesACutOffAttach) {
  runtime_.put({SandboxId("s0"), request().pod, true, {}, {}});
  startOwner();
  owner_->restore({{interrupted(State::Bound, "s0"), RecoveryAction::Finish}});
  eventually("attached", [&] { return view("s0").attached; });
  EXPECT_EQ(engine_.attached().count(IntentId("old")), 1U);
}

TEST_F(OwnerTest, RecoveryTakesBackWhatNeverAttached) {
  runtime_.put({SandboxId("s0"), request().pod, true, {}, {}});
  startOwner();
  owner_->restore({{interrupted(State::Intent, ""), RecoveryAction::RollBack}});
  eventually("taken back", [&] { return runtime_.sandboxes().empty(); });
}

TEST_F(OwnerTest, DoubtKeepsAPodRunningButStartsNothingInIt) {
  startOwner();
  journal::Record record = interrupted(State::Attached, "s0");
  record.doubt = journal::Doubt::Unseen;
  owner_->restore({{record, RecoveryAction::Keep}});
  eventually("recovered", [&] { return owner_->snapshot()->recovered; });
  EXPECT_EQ(view("s0").verdict, Verdict::Pass);
  EXPECT_EQ(mayCreateContainer("s0", request()).error().reason, "NetworksInDoubt");
  RunRequest unaware = request();
  unaware.annotations.clear();
  EXPECT_FALSE(mayCreateContainer("s0", unaware).has_value())
      << "what is known of the sandbox counts too";
  EXPECT_EQ(reporter_.told(), std::vector<std::string>{}) << "the set may know more";
  stop("s0");
  EXPECT_TRUE(owner_->snapshot()->sandboxes.empty());
}

TEST_F(OwnerTest, NotReadyAfterAFailedRollbackIsSoAfterARestartToo) {
  engine_.failAttach({Code::Internal, "AttachFailed", "no"});
  runtime_.failTeardown(kUnavailable);
  startRecovered();
  EXPECT_FALSE(run(request()).has_value());
  EXPECT_EQ(view("s1").verdict, Verdict::NotReady);
  owner_->stop();
  ASSERT_EQ(journal_.records.size(), 1U);
  const journal::Record left = journal_.records.begin()->second;
  startOwner();
  engine_.hold();  // the rollback's next try is under way
  owner_->restore({{left, RecoveryAction::RollBack}});
  eventually("recovered", [&] { return owner_->snapshot()->recovered; });
  EXPECT_EQ(view("s1").verdict, Verdict::NotReady);
}

TEST_F(OwnerTest, AStopBeforeRecoveryIsCarriedOutByIt) {
  startOwner();
  stop("s0");
  owner_->restore({{interrupted(State::Attached, "s0"), RecoveryAction::Keep}});
  eventually("detached", [&] {
    return owner_->snapshot()->recovered && owner_->snapshot()->sandboxes.empty();
  });
}

TEST_F(OwnerTest, AnAttachOfAnEarlierBootIsNoneNow) {
  journal::Record record = interrupted(State::Attached, "s0");
  record.bootId = "earlier";
  startOwner();
  owner_->restore({{record, RecoveryAction::Keep}});
  eventually("recovered", [&] { return owner_->snapshot()->recovered; });
  EXPECT_FALSE(view("s0").attached);
}

TEST_F(OwnerTest, AnAddressThatAnotherNodeMayGiveIsToldOnceForPodAndNode) {
  const auto lease = [this](const char* node) {
    node_.store.give(node_.store.blocks().front(), NodeName(node));
  };
  lease("n2");
  runtime_.put({SandboxId("s0"), request().pod, true, {}, {}});
  startOwner();
  node_.addresses->restore({{IntentId("old"), PodUid("uid"), InterfaceName::parse("net1").value(),
                             NetworkUid("uid-blue"), IpAddress::parse("10.9.0.2").value()}},
                           addresses::Books::Complete);
  addresses::Pool blue{NetworkName("blue"), NetworkUid("uid-blue"), {}};
  blue.subnets = resolve::subnetsOf(caches_.content.networks["blue"]);
  node_.addresses->setWanted({blue});  // contested before it is known whose address it is
  owner_->restore({{interrupted(State::Attached, "s0"), RecoveryAction::Keep}});
  const auto nodeSays = [this](const char* what) {
    clock_.advance(seconds(5));
    return reporter_.conditions()["AddressesContested"] == what;
  };
  eventually("the node has the condition", [&] { return nodeSays("True BlockLeasedByAnother"); });
  lease("n1");
  eventually("it is this node's again", [&] { return nodeSays("not True NoContest"); });
  owner_->stop();
  const auto told = reporter_.told();
  EXPECT_EQ(std::count(told.begin(), told.end(), "event default/web-uid AddressContested"), 1);
}

TEST_F(OwnerTest, APlainPodIsNoBusinessOfOurs) {
  startRecovered();
  RunRequest plain = request();
  plain.annotations.clear();
  EXPECT_FALSE(asksForNetworks(plain));
  EXPECT_TRUE(mayCreateContainer("any", plain).has_value());
}

}  // namespace
}  // namespace multinet::agent::sandbox
