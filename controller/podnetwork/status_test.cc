#include "controller/podnetwork/status.h"

#include "controller/plan/cluster_fixture.h"

namespace multinet::controller {
namespace {

using k8s::Condition;
using State = k8s::ConditionStatus;
using testing::Cluster;
using testing::nodeOf;
using testing::podOf;
using testing::reportOf;
using testing::setOf;
using testing::tunnelOf;

/// A cluster of two nodes and one bridge network, and what its reconciler says of it.
struct Blue : Cluster {
  api::PodNetwork network = api::testing::goodNetwork("blue");

  Blue() {
    network.metadata.uid = "uid-blue";
    network.metadata.finalizers = {api::kInUseFinalizer};
    network.status = {};
    put(nodeOf("node-a"));
    put(nodeOf("node-b"));
    put(network);
  }
  template <class Change>
  void change(const Change& how) {
    how(network);
    put(network);
  }
  void deleteIt(WallTime when) {
    change([&](api::PodNetwork& one) { one.metadata.deletionTimestamp = when; });
  }
  NetworkWish wish() const { return wishFor(observe(world, *world.find<Network>("blue")), now); }
  Condition condition(const std::string& type) const {
    const auto status = wish().status;
    const auto* found = status.conditions.find(type);
    return found == nullptr ? Condition() : *found;
  }
  void addPod(const std::string& name, bool running, bool attached) {
    auto pod = podOf(name, "blue");
    if (!running) pod.status.phase = "Pending";
    put(pod);
    if (attached) put(setOf(pod, {"blue"}));
  }
};

TEST(PodNetwork, AValidOneIsAccepted) {
  const Blue blue;
  const auto ready = blue.condition("Ready");
  EXPECT_EQ(ready.status, State::True);
  EXPECT_EQ(ready.reason, "Accepted");
  EXPECT_EQ(ready.observedGeneration, 1);
}

TEST(PodNetwork, TheFirstViolationIsNamedAndTheRestCounted) {
  Blue blue;
  blue.change([](api::PodNetwork& network) {
    network.spec.mtu = 12;
    network.spec.ipam.subnets[0].cidr = "10.20.0.1/16";
  });
  const auto ready = blue.condition("Ready");
  EXPECT_EQ(ready.reason, "Invalid");
  const auto& violations = blue.world.violations(*blue.world.find<Network>("blue"));
  ASSERT_GT(violations.size(), 1U);
  EXPECT_EQ(ready.message,
            violations[0] + " (and " + std::to_string(violations.size() - 1) + " more)");
}

TEST(PodNetwork, OneThatCantBeReadIsInvalidAndThere) {
  Blue blue;
  blue.putJson<api::PodNetwork>(
      R"({"metadata": {"name": "odd", "uid": "u"}, "spec": {"type": 3}})");
  const auto* odd = blue.world.find<Network>("odd");
  const auto wish = wishFor(observe(blue.world, *odd), blue.now);
  EXPECT_EQ(wish.status.conditions.find("Ready")->reason, "Invalid");
  EXPECT_NE(wish.status.conditions.find("Ready")->message.find("spec.type"), std::string::npos);
}

TEST(PodNetwork, TheYoungerOfTwoThatShareADeviceLoses) {
  Blue blue;
  auto young = api::testing::otherNetwork("young", 60);
  young.metadata.creationTimestamp = WallTime(std::chrono::seconds(2));
  young.spec.bridge->name = "br-blue";
  blue.change([](api::PodNetwork& network) {
    network.metadata.creationTimestamp = WallTime(std::chrono::seconds(1));
  });
  blue.put(young);
  const auto wish = wishFor(observe(blue.world, *blue.world.find<Network>("young")), blue.now);
  const auto* ready = wish.status.conditions.find("Ready");
  EXPECT_EQ(ready->reason, "Conflict");
  EXPECT_NE(ready->message.find("network \"blue\""), std::string::npos) << ready->message;
  EXPECT_EQ(blue.condition("Ready").reason, "Accepted");
}

TEST(PodNetwork, ALoserOfAVniIsToldByWhom) {
  Cluster cluster;
  cluster.put(tunnelOf("red", 1, 7001));
  cluster.put(tunnelOf("blue", 2, 7001));
  const auto observed = observe(cluster.world, *cluster.world.find<Network>("blue"));
  EXPECT_EQ(observed.rival,
            "spec.vxlan.vni: 7001 belongs to the older network \"red\": use another, or none to "
            "have one allocated.");
}

TEST(PodNetwork, ATunnelWaitsForItsVni) {
  Cluster cluster;
  cluster.put(tunnelOf("blue", 1));
  auto observed = observe(cluster.world, *cluster.world.find<Network>("blue"));
  const auto reason = [&] {
    return wishFor(observed, cluster.now).status.conditions.find("Ready")->reason;
  };
  EXPECT_EQ(reason(), "VNIPending");
  observed.vni.exhausted = true;
  EXPECT_EQ(reason(), "VNIsExhausted");
  observed.vni = {.held = 7001, .create = {}, .loserTo = {}, .exhausted = false};
  EXPECT_EQ(reason(), "Accepted");
  EXPECT_EQ(wishFor(observed, cluster.now).status.vni, 7001);
}

TEST(PodNetwork, DisabledTakesNothingNew) {
  Blue blue;
  blue.change([](api::PodNetwork& network) { network.spec.enabled = false; });
  EXPECT_EQ(blue.condition("Ready").reason, "AdministrativelyDisabled");
}

TEST(PodNetwork, AnUnreadyNodeDegradesButNeverUnreadies) {
  Blue blue;
  blue.put(reportOf("node-a", "blue", State::True, "Probed"));
  blue.put(reportOf("node-b", "blue", State::False, "MTUNotCarried"));
  EXPECT_EQ(blue.condition("Ready").status, State::True);
  const auto degraded = blue.condition("Degraded");
  EXPECT_EQ(degraded.status, State::True);
  EXPECT_EQ(degraded.message, "Not ready on node-b (MTUNotCarried).");
  EXPECT_EQ(blue.wish().status.nodes, (api::NodeCounts{2, 1}));
  blue.put(reportOf("node-a", "blue", State::False, "NoUnderlay"));
  EXPECT_EQ(blue.condition("Degraded").message, "Not ready on node-a (NoUnderlay) and 1 more.");
  blue.put(reportOf("node-a", "blue", State::True, "Probed"));
  blue.put(reportOf("node-b", "blue", State::True, "Probed"));
  EXPECT_EQ(blue.condition("Degraded").reason, "NodesReady");
}

TEST(PodNetwork, ReportsOfNodesThatAreGoneCountForNothing) {
  Blue blue;
  blue.put(reportOf("node-a", "blue", State::True, "Probed"));
  blue.put(reportOf("node-b", "blue", State::False, "MTUNotCarried"));
  blue.remove<k8s::Node>("node-b");
  EXPECT_EQ(blue.condition("Degraded").reason, "NodesReady");
  blue.remove<k8s::Node>("node-a");
  EXPECT_EQ(blue.wish().status.nodes, (api::NodeCounts{0, 0}));
}

TEST(PodNetwork, ANodeThatNobodyWantsItOnIsNotMissed) {
  Blue blue;
  EXPECT_EQ(blue.condition("Degraded").status, State::False);
  EXPECT_EQ(blue.wish().status.nodes, (api::NodeCounts{0, 0}));
  blue.put(reportOf("node-a", "blue", State::True, "Probed"));
  EXPECT_EQ(blue.wish().status.nodes, (api::NodeCounts{1, 1}));
  blue.change([](api::PodNetwork& network) { network.spec.join = api::JoinMode::Always; });
  EXPECT_EQ(blue.wish().status.nodes, (api::NodeCounts{2, 1}));
}

TEST(PodNetwork, UnknownIsNeverCalledGood) {
  Blue blue;
  blue.change([](api::PodNetwork& network) { network.spec.join = api::JoinMode::Always; });
  EXPECT_EQ(blue.condition("Degraded").reason, "NotReported");
  blue.put(reportOf("node-a", "blue", State::Unknown, "NotProbed"));
  EXPECT_EQ(blue.condition("Degraded").status, State::Unknown);
  EXPECT_EQ(blue.condition("Degraded").reason, "NotProbed");
  EXPECT_EQ(blue.wish().status.nodes->ready, 0);
}

TEST(PodNetwork, TheFinalizerComesBeforeItIsNeeded) {
  Blue blue;
  blue.change([](api::PodNetwork& network) { network.metadata.finalizers = {"other"}; });
  EXPECT_EQ(blue.wish().finalizer, FinalizerWish::Keep) << "nobody is coming";
  blue.addPod("web-0", false, false);
  EXPECT_EQ(blue.wish().finalizer, FinalizerWish::Add);
  const auto writes = blue.ask(podNetworkReconciler(), "blue").writes;
  ASSERT_EQ(writes.size(), 1U) << "one write of an object at a time";
  ASSERT_TRUE(blue.apply(writes[0]));
  EXPECT_EQ(blue.get<api::PodNetwork>("blue").metadata.finalizers,
            (std::vector<std::string>{"other", api::kInUseFinalizer}));
  blue.change(
      [&](api::PodNetwork& network) { network.metadata.deletionTimestamp = blue.now.wall; });
  EXPECT_EQ(blue.wish().finalizer, FinalizerWish::Keep) << "none may be added any more";
}

TEST(PodNetwork, NobodysNetworkIsHeldByNothing) {
  Blue blue;
  blue.addPod("job-1", true, true);
  EXPECT_EQ(blue.wish().finalizer, FinalizerWish::Keep);
  blue.remove<k8s::Pod>("job-1", "default");
  EXPECT_EQ(blue.wish().finalizer, FinalizerWish::Remove);
  const auto reconciler = podNetworkReconciler();
  for (int turn = 0; turn < 2; ++turn) {
    for (const auto& write : blue.ask(reconciler, "blue").writes) {
      EXPECT_TRUE(write.premises.empty()) << "it stays: no list of all sets for it";
      EXPECT_TRUE(blue.apply(write));
    }
  }
  EXPECT_TRUE(blue.get<api::PodNetwork>("blue").metadata.finalizers.empty());
  EXPECT_TRUE(blue.ask(reconciler, "blue").writes.empty());
}

TEST(PodNetwork, DeletionWaitsAndNamesWhoHoldsIt) {
  Blue blue;
  blue.addPod("web-0", true, true);
  blue.deleteIt(blue.now.wall - std::chrono::hours(2));
  const auto wish = blue.wish();
  EXPECT_EQ(wish.finalizer, FinalizerWish::Keep);
  EXPECT_EQ(wish.status.blockers, std::vector<std::string>{"pod default/web-0"});
  EXPECT_EQ(wish.status.attachedPods, 1);
  EXPECT_EQ(blue.condition("Ready").reason, "Deleting");
  EXPECT_EQ(blue.condition("InUse").reason, "PodsAttached");
  blue.remove<k8s::Pod>("web-0", "default");
  EXPECT_EQ(blue.wish().finalizer, FinalizerWish::Remove);
}

TEST(PodNetwork, IsReleasedOnlyWhenNoSetAtAllHasAnInterfaceHere) {
  Blue blue;
  blue.deleteIt(blue.now.wall);
  const auto reconciler = podNetworkReconciler();
  auto writes = blue.ask(reconciler, "blue").writes;
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].verb, Verb::PatchStatus) << "what it says comes first";
  ASSERT_TRUE(blue.apply(writes[0]));
  blue.changeUnseen(setOf(podOf("late", "blue"), {"red", "blue"}));
  writes = blue.ask(reconciler, "blue").writes;
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_FALSE(blue.apply(writes[0])) << "caches lag";
  blue.changeUnseen(setOf(podOf("late", "blue"), {"red"}));
  EXPECT_TRUE(blue.apply(writes[0]));
  EXPECT_EQ(blue.count<api::PodNetwork>(), 0U);
}

TEST(PodNetwork, BlockersAreAtMostTenThenACount) {
  Blue blue;
  for (int index = 0; index < 13; ++index) blue.addPod("p" + std::to_string(index), true, true);
  blue.deleteIt(blue.now.wall);
  const auto blockers = blue.wish().status.blockers;
  ASSERT_EQ(blockers.size(), 11U);
  EXPECT_EQ(blockers.front(), "pod default/p0");
  EXPECT_EQ(blockers.back(), "and 3 more");
}

TEST(PodNetwork, AnAttachUnderWayHoldsItForAWhile) {
  Blue blue;
  blue.addPod("starting", false, false);
  blue.deleteIt(blue.now.wall);
  const auto early = blue.wish();
  EXPECT_EQ(early.finalizer, FinalizerWish::Keep);
  EXPECT_EQ(early.again, kAttachGrace);
  blue.pass(kAttachGrace);
  EXPECT_EQ(blue.wish().finalizer, FinalizerWish::Remove)
      << "refused by its agent, it waits for ever";
}

TEST(PodNetwork, HowLongAnAttachHoldsItGoesByOneClock) {
  // The server's is an hour behind, or ahead.
  for (const Duration off : {Duration(-std::chrono::hours(1)), Duration(std::chrono::hours(1))}) {
    Blue blue;
    blue.addPod("starting", false, false);
    blue.deleteIt(blue.now.wall + off);
    EXPECT_EQ(blue.wish().finalizer, FinalizerWish::Keep);
    EXPECT_EQ(blue.wish().again, kAttachGrace);
    blue.pass(kAttachGrace / 2);
    blue.now.wall += std::chrono::hours(5);  // somebody sets ours
    blue.change([](api::PodNetwork& one) { one.metadata.labels.edit()["touched"] = "yes"; });
    EXPECT_EQ(blue.wish().again, kAttachGrace / 2);
    blue.pass(kAttachGrace / 2);
    EXPECT_EQ(blue.wish().finalizer, FinalizerWish::Remove);
  }
}

TEST(PodNetwork, ARunningPodHoldsItEvenIfItsNodeNeverReported) {
  Blue blue;
  blue.addPod("silent", true, false);
  blue.deleteIt(blue.now.wall - kAttachGrace * 10);
  EXPECT_EQ(blue.wish().finalizer, FinalizerWish::Keep);
  EXPECT_EQ(blue.wish().status.attachedPods, 0);
}

TEST(PodNetwork, PodsThatAreFinishedOrNotPlacedHoldNothing) {
  Blue blue;
  auto done = podOf("done", "blue");
  done.status.phase = "Succeeded";
  blue.put(done);
  blue.put(podOf("unplaced", "blue", ""));
  blue.deleteIt(blue.now.wall);
  EXPECT_EQ(blue.wish().finalizer, FinalizerWish::Remove);
}

TEST(PodNetwork, ASubnetIsRemovableOnceItIsExcludedAndNoBlockOfItIsLeased) {
  Blue blue;
  const auto removable = [&] { return blue.wish().status.removableSubnets; };
  blue.put(testing::blockOf("blue", "node-a"));
  EXPECT_TRUE(removable().empty());
  blue.change([](api::PodNetwork& one) {
    for (auto& subnet : one.spec.ipam.subnets) subnet.exclude = {subnet.cidr};
  });
  const std::string& held = blue.network.spec.ipam.subnets[0].cidr;
  const std::string& free = blue.network.spec.ipam.subnets[1].cidr;
  EXPECT_EQ(removable(), (std::vector<std::string>{free}));
  static_cast<void>(blue.world.changes());
  blue.remove<api::IPBlock>(testing::blockOf("blue", "node-a").metadata.name);
  const auto changes = blue.world.changes();
  ASSERT_EQ(changes.size(), 1U);
  Keys keys;
  podNetworkReconciler().concerned(blue.world, changes[0], keys);
  EXPECT_EQ(keys.size(), 1U) << "looked at again";
  EXPECT_EQ(removable(), (std::vector<std::string>{held, free}));
}

TEST(PodNetwork, WritesWhatDiffersAndNothingWhereOnlyTimePassed) {
  Blue blue;
  blue.change([](api::PodNetwork& network) { network.metadata.finalizers = {}; });
  const auto reconciler = podNetworkReconciler();
  auto writes = blue.ask(reconciler, "blue").writes;
  ASSERT_EQ(writes.size(), 1U);
  ASSERT_TRUE(blue.apply(writes[0]));
  blue.pass(std::chrono::hours(1));
  EXPECT_TRUE(blue.ask(reconciler, "blue").writes.empty());
  blue.network = blue.get<api::PodNetwork>("blue");
  blue.addPod("web-0", true, true);
  blue.pass(kCountsGather);
  ASSERT_TRUE(blue.apply(blue.ask(reconciler, "blue").writes.at(0))) << "the finalizer";
  writes = blue.ask(reconciler, "blue").writes;
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_FALSE(writes[0].body["status"].contains("nodes")) << "which is as it was";
  ASSERT_TRUE(blue.apply(writes[0]));
  const auto status = blue.get<api::PodNetwork>("blue").status;
  EXPECT_EQ(status.attachedPods, 1);
  EXPECT_EQ(*status.conditions.find("InUse")->lastTransitionTime, blue.now.wall);
  EXPECT_EQ(*status.conditions.find("Ready")->lastTransitionTime,
            blue.now.wall - std::chrono::hours(1) - kCountsGather);
}

/// Asks and carries out, as often as is wished for, until `time` is over. Returns the writes.
int writesWithin(Blue& blue, const Duration time) {
  const auto reconciler = podNetworkReconciler();
  const BootTime end = blue.now.boot + time;
  int writes = 0;
  while (true) {
    const auto outcome = blue.ask(reconciler, "blue");
    for (const auto& write : outcome.writes) {
      EXPECT_TRUE(blue.apply(write));
      ++writes;
    }
    if (!outcome.writes.empty()) continue;
    const Duration left = end - blue.now.boot;
    if (!outcome.again || *outcome.again > left) {
      blue.pass(left);
      return writes;
    }
    blue.pass(*outcome.again);
  }
}

/// In a cluster of so many nodes one that is settled, with two pods counted, and quiet for long.
struct Busy : Blue {
  explicit Busy(int nodes = 5000) {
    for (int i = 2; i < nodes; ++i) put(nodeOf("node-" + std::to_string(i)));
    addPod("a", true, true);
    addPod("b", true, true);
    writesWithin(*this, std::chrono::minutes(10));
    pass(std::chrono::hours(1));
  }
  std::int32_t counted() const { return *get<api::PodNetwork>("blue").status.attachedPods; }
};

TEST(PodNetwork, CountsWhatComesTogetherAtOnce) {
  Busy blue;
  blue.addPod("c", true, true);
  blue.addPod("d", true, true);
  EXPECT_EQ(writesWithin(blue, Duration::zero()), 0);
  EXPECT_EQ(blue.ask(podNetworkReconciler(), "blue").again, kCountsGather);
  EXPECT_EQ(writesWithin(blue, kCountsGather), 1);
  EXPECT_EQ(blue.counted(), 4);
}

TEST(PodNetwork, CountsOnceAMinuteWhateverComesAndGoes) {
  Busy blue;
  int writes = 0;
  for (int second = 0; second < 600; ++second) {
    blue.addPod("p" + std::to_string(second), true, true);
    writes += writesWithin(blue, Duration::zero());
    blue.pass(std::chrono::seconds(1));
  }
  EXPECT_EQ(writes, 10);
  EXPECT_LT(blue.counted(), 602);
  EXPECT_EQ(writesWithin(blue, kCountsStand), 1) << "the last of them isn't forgotten";
  EXPECT_EQ(blue.counted(), 602);
  EXPECT_FALSE(blue.ask(podNetworkReconciler(), "blue").again);
}

TEST(PodNetwork, CountsInAPaceThatGoesByTheNodesThatAreSentThem) {
  EXPECT_EQ(countsStand(0), kCountsGather);
  EXPECT_EQ(countsStand(100), kCountsGather);
  EXPECT_EQ(countsStand(1000), std::chrono::seconds(12));
  EXPECT_EQ(countsStand(5000), kCountsStand);
  EXPECT_EQ(countsStand(1000000), kCountsStand);
  Busy blue(2);
  for (const int pods : {3, 4}) {
    blue.addPod("p" + std::to_string(pods), true, true);
    EXPECT_EQ(writesWithin(blue, kCountsGather), 1);
    EXPECT_EQ(blue.counted(), pods);
  }
}

TEST(PodNetwork, ANewLeaderKeepsThePace) {
  Busy blue;
  auto there = blue.get<api::PodNetwork>("blue");
  there.status.attachedPods = 9;
  blue.put(there);  // by another leader, a moment ago
  EXPECT_EQ(writesWithin(blue, kCountsStand - std::chrono::seconds(1)), 0);
  EXPECT_EQ(writesWithin(blue, std::chrono::seconds(1)), 1);
  EXPECT_EQ(blue.counted(), 2);
}

TEST(PodNetwork, TellsVerdictsAtOnceAndTheNumbersInTheirTime) {
  Busy blue;
  blue.put(reportOf("node-a", "blue", State::True, "Probed"));
  blue.put(reportOf("node-b", "blue", State::False, "NoUnderlay"));
  EXPECT_EQ(writesWithin(blue, Duration::zero()), 1) << "it is degraded";
  const auto status = [&] { return blue.get<api::PodNetwork>("blue").status; };
  EXPECT_EQ(status().conditions.find("Degraded")->reason, "NodesNotReady");
  EXPECT_EQ(status().nodes, (api::NodeCounts{0, 0}));
  EXPECT_EQ(writesWithin(blue, kCountsGather), 1);
  EXPECT_EQ(status().nodes, (api::NodeCounts{2, 1}));
  blue.put(reportOf("node-a", "blue", State::False, "NoUnderlay"));
  EXPECT_EQ(writesWithin(blue, kCountsStand - std::chrono::seconds(1)), 0);
  EXPECT_EQ(status().conditions.find("Degraded")->message, "Not ready on node-b (NoUnderlay).");
  EXPECT_EQ(writesWithin(blue, std::chrono::seconds(1)), 1);
  EXPECT_EQ(status().conditions.find("Degraded")->message,
            "Not ready on node-a (NoUnderlay) and 1 more.");
}

TEST(PodNetwork, NamesWhoHoldsItAtOnceAndCountsTheRestInTime) {
  Blue blue;
  for (int index = 10; index < 30; ++index) blue.addPod("p" + std::to_string(index), true, true);
  writesWithin(blue, std::chrono::minutes(10));
  blue.deleteIt(blue.now.wall - std::chrono::hours(2));
  const auto blockers = [&] { return blue.get<api::PodNetwork>("blue").status.blockers; };
  writesWithin(blue, Duration::zero());
  EXPECT_EQ(blockers().back(), "and 10 more");
  blue.network = blue.get<api::PodNetwork>("blue");
  blue.pass(std::chrono::hours(1));
  blue.remove<k8s::Pod>("p29", "default");
  EXPECT_EQ(writesWithin(blue, Duration::zero()), 0);
  for (int index = 20; index < 29; ++index) {
    blue.remove<k8s::Pod>("p" + std::to_string(index), "default");
  }
  EXPECT_EQ(writesWithin(blue, Duration::zero()), 1) << "all that are left have a name";
  EXPECT_EQ(blockers().size(), 10U);
  blue.remove<k8s::Pod>("p10", "default");
  EXPECT_EQ(writesWithin(blue, Duration::zero()), 1);
  EXPECT_EQ(blockers().size(), 9U);
}

TEST(PodNetwork, ConditionsOfOthersStay) {
  Blue blue;
  blue.change([](api::PodNetwork& network) {
    network.status.conditions.items = {{"Theirs", State::True, 0, std::nullopt, "X", ""}};
  });
  ASSERT_TRUE(blue.apply(blue.ask(podNetworkReconciler(), "blue").writes.at(0)));
  EXPECT_TRUE(blue.get<api::PodNetwork>("blue").status.conditions.isTrue("Theirs"));
}

TEST(PodNetwork, AVerdictOfAnOlderGenerationIsWrittenAgain) {
  Blue blue;
  ASSERT_TRUE(blue.apply(blue.ask(podNetworkReconciler(), "blue").writes.at(0)));
  blue.network = blue.get<api::PodNetwork>("blue");
  blue.change([](api::PodNetwork& network) { network.metadata.generation = 2; });
  EXPECT_EQ(blue.ask(podNetworkReconciler(), "blue").writes.size(), 1U);
}

}  // namespace
}  // namespace multinet::controller
