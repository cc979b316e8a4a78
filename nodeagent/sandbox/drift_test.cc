#include "nodeagent/sandbox/owner_fixture.h"

namespace multinet::agent::sandbox {
namespace {

/// An owner with one attached sandbox, `s1`, of a pod that moved its default route.
class DriftTest : public OwnerTest {
 protected:
  DriftTest() {
    api::PodNetwork& blue = caches_.content.networks["blue"];
    blue.spec.allow.defaultGateway = true;
    blue.spec.ipam.subnets[0].gateway = "10.9.0.1";
    api::PodNetworkAttachment out;
    out.metadata.name = "out";
    out.metadata.nameSpace = "default";
    out.spec.podNetworkName = "blue";
    out.spec.defaultGateway = api::DefaultGateway::IPv4;
    caches_.content.attachments[{"default", "out"}] = out;
    startRecovered();
    EXPECT_TRUE(run(request()).has_value());
  }
  static RunRequest request(std::uint32_t attempt = 0, const std::string& uid = "uid") {
    RunRequest request = OwnerTest::request(attempt, uid);
    request.annotations["multinet.dev/networks"] = "attachment/out";
    return request;
  }

  /// Lets the time of a look come, and waits for the look.
  void look() {
    const std::size_t before = engine_.maintained().size();
    eventually("a look", [&] {
      clock_.advance(seconds(1));
      settle();
      return engine_.maintained().size() > before;
    });
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
  RebuiltDriftTest() { link(linkOfKind("veth")); }
  void link(std::optional<Link> link) {
    node_.onNode.networks[0].link = std::move(link);
    node_.networks.publish(node_.onNode);
  }
  void runAndLook() {
    startRecovered();
    RunRequest one = request();
    one.annotations["multinet.dev/networks"] = "blue";
    EXPECT_TRUE(run(one).has_value());
    link(std::nullopt);
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
  const Link whole = drivers::vxlan::Link{"mnbblue"};
  runAndLook();
  link(whole);
  eventually("a look", [&] {
    clock_.advance(seconds(1));
    return !engine_.maintained().empty();
  });
  eventually("the whole plan in the journal",
             [&] { return journal_.records.begin()->second.interfaces.at(0).plan.link == whole; });
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
  const auto services = [this](std::vector<IpPrefix> ranges) {
    node_.onLane([&] { caches_.services = std::move(ranges); });
  };
  const std::vector<IpPrefix> ranges = {IpPrefix::parse("10.93.0.0/24").value(),
                                        node_.clusterPrefixes[0]};
  services({ranges[0]});
  look();
  EXPECT_EQ(engine_.maintained().back().at(0).clusterPrefixes, ranges);
  EXPECT_EQ(record().interfaces.at(0).plan.clusterPrefixes, ranges);
  // One that is gone stays where it is: the API server may just not say it.
  services({});
  look();
  EXPECT_EQ(engine_.maintained().back().at(0).clusterPrefixes.size(), 2U);
}

TEST_F(DriftTest, AStopIsNotRacedByARepair) {
  look();
  beginStop("s1");
  settle();
  const std::size_t before = engine_.maintained().size();
  clock_.advance(seconds(20));
  node_.ticks(10);
  EXPECT_EQ(engine_.maintained().size(), before) << "no look at a sandbox that is being stopped";
  stop("s1");
  clock_.advance(seconds(60));
  node_.ticks(10);
  EXPECT_EQ(engine_.maintained().size(), before);
}

TEST_F(DriftTest, AStopThatTheRuntimeRefusedBringsLooksBack) {
  look();
  beginStop("s1");
  settle();
  const std::size_t before = engine_.maintained().size();
  clock_.advance(seconds(31));
  ticking("looks again", [&] { return engine_.maintained().size() > before; });
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
