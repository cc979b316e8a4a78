#include "nodeagent/sandbox/owner_fixture.h"

namespace multinet::agent::sandbox {
namespace {

/// An owner with one attached sandbox, `s1`, of a pod that moved its default route.
class DriftTest : public OwnerTest {
 protected:
  DriftTest() {
    resolver_.interfaces.pop_back();
    resolver_.interfaces[0].plan.defaultGatewayV4 = true;
    startRecovered();
    EXPECT_TRUE(run(request()).has_value());
  }

  /// Lets the time of a look come, and waits for the look.
  void look() {
    const std::size_t before = engine_.maintained().size();
    eventually("a look", [&] {
      clock_.advance(seconds(1));
      return engine_.maintained().size() > before;
    });
    settle();
  }
  /// A look's steps come one after the other through the lane.
  void settle() {
    for (int step = 0; step < 8; ++step) beginStop("unknown");
  }
  void beginStop(const std::string& id) {
    std::promise<void> promise;
    owner_->beforeStop(SandboxId(id), [&promise](const Status&) { promise.set_value(); });
    promise.get_future().get();
  }
  std::size_t told(const std::string& line) const {
    const auto all = reporter_.told();
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), line));
  }
  journal::Record record() const { return journal_.records.begin()->second; }
  static void noCarrier(InterfaceStatus& status) {
    status.link = LinkState::Down;
    status.reason = "NoCarrier";
    status.message = "link \"net1\" has no carrier";
  }
};

TEST_F(DriftTest, WhatIsWellIsLookedAtAndNotToldAgain) {
  look();
  look();
  EXPECT_EQ(told("attached default/web-uid s1 1"), 1U);
}

/// The same after its journal was lost: of the link its kind is known, and its network.
class RebuiltDriftTest : public OwnerTest {
 protected:
  RebuiltDriftTest() {
    resolver_.interfaces.pop_back();
    resolver_.interfaces[0].plan.link = linkOfKind("veth");
  }
  void runAndLook() {
    startRecovered();
    EXPECT_TRUE(run(request()).has_value());
    for (int i = 0; i < 20; ++i) {
      clock_.advance(seconds(1));
      std::promise<void> turn;
      owner_->beforeStop(SandboxId("unknown"), [&turn](const Status&) { turn.set_value(); });
      turn.get_future().get();
    }
  }
};

TEST_F(RebuiltDriftTest, APlanThatSaysTooLittleIsNotHeldAgainstThePod) {
  runAndLook();
  EXPECT_TRUE(engine_.maintained().empty());
  EXPECT_EQ(journal_.records.begin()->second.interfaces.at(0).state, InterfaceState::Attached);
}

TEST_F(RebuiltDriftTest, TheNodesNetworkSaysWhatItsLinkStandsOn) {
  const Link link = drivers::vxlan::Link{"mnbblue"};
  resolver_.links.emplace(NetworkUid("uid-blue"), link);
  runAndLook();
  eventually("a look", [&] {
    clock_.advance(seconds(1));
    return !engine_.maintained().empty();
  });
  eventually("the whole plan in the journal",
             [&] { return journal_.records.begin()->second.interfaces.at(0).plan.link == link; });
}

TEST_F(DriftTest, TroubleIsToldOnceAnEpisodeAndSoIsItsEnd) {
  look();
  engine_.disturb(noCarrier);
  look();
  look();
  EXPECT_EQ(told("event default/web-uid NoCarrier"), 1U);
  EXPECT_EQ(told("attached default/web-uid s1 1"), 2U) << "the set says what is wrong";
  EXPECT_EQ(record().interfaces.at(0).link, LinkState::Down);
  EXPECT_EQ(owner_->snapshot()->sandboxes.at(SandboxId("s1")).interfaces->at(0).reason,
            "NoCarrier");
  engine_.disturb(nullptr);
  look();
  EXPECT_EQ(told("attached default/web-uid s1 1"), 3U);
  EXPECT_EQ(record().interfaces.at(0).link, LinkState::Up);
  engine_.disturb(noCarrier);
  look();
  EXPECT_EQ(told("event default/web-uid NoCarrier"), 2U) << "another episode";
}

TEST_F(DriftTest, AnAttachsTimeStays) {
  const WallTime attachedAt = record().interfaces.at(0).attachedAt;
  engine_.disturb(noCarrier);
  look();
  EXPECT_EQ(record().interfaces.at(0).attachedAt, attachedAt);
}

TEST_F(DriftTest, ARangeThatTheClusterGotLaterReachesARunningPod) {
  resolver_.clusterPrefixes = {IpPrefix::parse("10.93.0.0/24").value()};
  look();
  EXPECT_EQ(engine_.maintained().back().at(0).clusterPrefixes, resolver_.clusterPrefixes);
  EXPECT_EQ(record().interfaces.at(0).plan.clusterPrefixes, resolver_.clusterPrefixes);
  // One that is gone stays where it is: the API server may just not say it.
  resolver_.clusterPrefixes.clear();
  look();
  EXPECT_EQ(engine_.maintained().back().at(0).clusterPrefixes.size(), 1U);
}

TEST_F(DriftTest, AStopIsNotRacedByARepair) {
  look();
  beginStop("s1");
  settle();
  const std::size_t before = engine_.maintained().size();
  clock_.advance(seconds(20));
  std::this_thread::sleep_for(milliseconds(20));  // ten ticks
  EXPECT_EQ(engine_.maintained().size(), before) << "no look at a sandbox that is being stopped";
  stop("s1");
  clock_.advance(seconds(60));
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(engine_.maintained().size(), before);
}

TEST_F(DriftTest, AStopThatTheRuntimeRefusedBringsLooksBack) {
  look();
  beginStop("s1");
  settle();
  const std::size_t before = engine_.maintained().size();
  clock_.advance(seconds(31));
  eventually("looks again", [&] { return engine_.maintained().size() > before; });
}

TEST_F(DriftTest, AStopEndsALookUnderWayAndItsResultCountsNoMore) {
  engine_.disturb(noCarrier);
  engine_.hold();
  eventually("a look", [&] {
    clock_.advance(seconds(1));
    return engine_.waiting() == 1;
  });
  beginStop("s1");
  engine_.release();
  stop("s1");
  EXPECT_TRUE(engine_.maintained().empty()) << "aborted before it began";
  EXPECT_EQ(told("event default/web-uid NoCarrier"), 0U);
}

TEST_F(DriftTest, ANamespaceThatAnotherSandboxHasIsRefused) {
  runtime_.shareNetns();
  look();  // now its namespace is known
  const auto refused = run(request(0, "other"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, "NetnsShared");
  EXPECT_NE(refused.error().message.find("sandbox s1 of pod default/web-uid"), std::string::npos)
      << refused.error().message;
}

TEST_F(DriftTest, TheNumberOfANamespaceThatIsGoneMayComeAgain) {
  runtime_.shareNetns();
  look();
  runtime_.vanish(SandboxId("s1"));
  EXPECT_TRUE(run(request(0, "other")).has_value());
}

TEST_F(DriftTest, APodsSandboxesHaveTheSameMac) {
  const auto mac = record().interfaces.at(0).plan.mac;
  stop("s1");
  const auto next = run(request(1));
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->interfaces.at(0).plan.mac, mac);
  const auto other = run(request(0, "other"));
  ASSERT_TRUE(other.has_value());
  EXPECT_NE(other->interfaces.at(0).plan.mac, mac);
}

}  // namespace
}  // namespace multinet::agent::sandbox
