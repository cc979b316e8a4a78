#include "controller/podnetwork/status.h"

namespace multinet::controller {
namespace {

using State = ConditionWish::Status;
const WallTime kNow = WallTime(std::chrono::hours(1000));

struct World {
  Network network;
  std::vector<Pod> pods;
  std::vector<InterfaceSet> sets;
  NetworkObservation observed;

  World() {
    network.meta.name = "blue";
    network.meta.uid = "uid-blue";
    network.holdsFinalizer = true;
    observed.nodesDesired = 2;
  }
  void addPod(const std::string& name, bool running, bool attached) {
    Pod pod;
    pod.meta.namespaceName = "default";
    pod.meta.name = name;
    pod.meta.uid = "uid-" + name;
    pod.nodeName = "node-a";
    pod.running = running;
    pods.push_back(pod);
    if (!attached) return;
    InterfaceSet set;
    set.meta.namespaceName = "default";
    set.podName = name;
    set.podUid = pod.meta.uid;
    sets.push_back(set);
  }
  void report(const std::string& node, NodeReport::Ready ready, const std::string& reason) {
    observed.reports.push_back({node, "blue", ready, reason});
  }
  NetworkWish reconcile(WallTime now = kNow) {
    observed.network = &network;
    observed.pods.clear();
    observed.sets.clear();
    for (const auto& pod : pods) observed.pods.push_back(&pod);
    for (const auto& set : sets) observed.sets.push_back(&set);
    return reconcileNetwork(observed, now);
  }
  ConditionWish condition(const std::string& type) {
    for (const auto& one : reconcile().status.conditions) {
      if (one.type == type) return one;
    }
    return {};
  }
};

TEST(ReconcileNetwork, AcceptsAValidNetwork) {
  World world;
  const auto ready = world.condition("Ready");
  EXPECT_EQ(ready.status, State::True);
  EXPECT_EQ(ready.reason, "Accepted");
}

TEST(ReconcileNetwork, NamesTheFirstViolationAndCountsTheRest) {
  World world;
  world.network.violations = {"spec.mtu: 12: at least 576", "spec.type: none"};
  const auto ready = world.condition("Ready");
  EXPECT_EQ(ready.reason, "Invalid");
  EXPECT_EQ(ready.message, "spec.mtu: 12: at least 576 (and 1 more)");
}

TEST(ReconcileNetwork, NamesTheRival) {
  World world;
  world.observed.rival = {"red", "VNI 7001 belongs to the older network \"red\"."};
  const auto ready = world.condition("Ready");
  EXPECT_EQ(ready.status, State::False);
  EXPECT_EQ(ready.reason, "Conflict");
  EXPECT_NE(ready.message.find("red"), std::string::npos);
}

TEST(ReconcileNetwork, ATunnelWaitsForItsVni) {
  World world;
  world.network.tunnel = true;
  EXPECT_EQ(world.condition("Ready").reason, "VNIPending");
  world.observed.vnisExhausted = true;
  EXPECT_EQ(world.condition("Ready").reason, "VNIsExhausted");
  world.observed.vnisExhausted = false;
  world.observed.heldVni = 7001;
  EXPECT_EQ(world.condition("Ready").status, State::True);
  EXPECT_EQ(world.reconcile().status.vni, 7001U);
}

TEST(ReconcileNetwork, DisabledTakesNothingNew) {
  World world;
  world.network.enabled = false;
  EXPECT_EQ(world.condition("Ready").reason, "AdministrativelyDisabled");
}

TEST(ReconcileNetwork, AnUnreadyNodeDegradesButNeverUnreadies) {
  World world;
  world.report("node-a", NodeReport::Ready::True, "Probed");
  world.report("node-b", NodeReport::Ready::False, "MTUNotCarried");
  EXPECT_EQ(world.condition("Ready").status, State::True);
  const auto degraded = world.condition("Degraded");
  EXPECT_EQ(degraded.status, State::True);
  EXPECT_EQ(degraded.message, "Not ready on node-b (MTUNotCarried).");
  EXPECT_EQ(world.reconcile().status.nodesReady, 1);
  EXPECT_EQ(world.reconcile().status.nodesDesired, 2);
}

TEST(ReconcileNetwork, UnknownIsNeverCalledGood) {
  World world;
  EXPECT_EQ(world.condition("Degraded").reason, "NotReported");
  world.report("node-a", NodeReport::Ready::Unknown, "NotProbed");
  EXPECT_EQ(world.condition("Degraded").status, State::Unknown);
  EXPECT_EQ(world.reconcile().status.nodesReady, 0);
}

TEST(ReconcileNetwork, AddsTheFinalizerBeforeItIsNeeded) {
  World world;
  world.network.holdsFinalizer = false;
  EXPECT_EQ(world.reconcile().finalizer, FinalizerWish::Add);
  world.network.meta.deleted = kNow;
  EXPECT_EQ(world.reconcile().finalizer, FinalizerWish::Keep) << "none may be added any more";
}

TEST(ReconcileNetwork, DeletionWaitsAndNamesWhoHoldsIt) {
  World world;
  world.addPod("web-0", true, true);
  world.network.meta.deleted = kNow - std::chrono::hours(2);
  const auto wish = world.reconcile();
  EXPECT_EQ(wish.finalizer, FinalizerWish::Keep);
  EXPECT_EQ(wish.status.blockers, std::vector<std::string>{"pod default/web-0"});
  EXPECT_EQ(wish.status.attachedPods, 1);
  EXPECT_EQ(wish.status.conditions.at(0).reason, "Deleting");
  EXPECT_EQ(wish.status.conditions.at(1).reason, "PodsAttached");
  world.pods.clear();
  world.sets.clear();
  EXPECT_EQ(world.reconcile().finalizer, FinalizerWish::Remove);
}

TEST(ReconcileNetwork, BlockersAreAtMostTenThenACount) {
  World world;
  for (int index = 0; index < 13; ++index) world.addPod("p" + std::to_string(index), true, true);
  world.network.meta.deleted = kNow;
  const auto blockers = world.reconcile().status.blockers;
  ASSERT_EQ(blockers.size(), 11U);
  EXPECT_EQ(blockers.back(), "and 3 more");
}

TEST(ReconcileNetwork, AnAttachUnderWayHoldsTheNetworkForAWhile) {
  World world;
  world.addPod("starting", false, false);
  world.network.meta.deleted = kNow;
  const auto early = world.reconcile();
  EXPECT_EQ(early.finalizer, FinalizerWish::Keep);
  EXPECT_EQ(early.again, kAttachGrace);
  const auto late = world.reconcile(kNow + kAttachGrace);
  EXPECT_EQ(late.finalizer, FinalizerWish::Remove) << "refused by its agent, it waits for ever";
}

TEST(ReconcileNetwork, ARunningPodHoldsItEvenIfItsNodeNeverReported) {
  World world;
  world.addPod("silent", true, false);
  world.network.meta.deleted = kNow - kAttachGrace * 10;
  EXPECT_EQ(world.reconcile().finalizer, FinalizerWish::Keep);
}

TEST(ReconcileNetwork, PodsThatAreFinishedOrNotPlacedHoldNothing) {
  World world;
  world.addPod("done", false, false);
  world.pods.back().finished = true;
  world.addPod("unplaced", false, false);
  world.pods.back().nodeName = "";
  world.network.meta.deleted = kNow;
  EXPECT_EQ(world.reconcile().finalizer, FinalizerWish::Remove);
}

}  // namespace
}  // namespace multinet::controller
