#include "controller/pass/pass.h"

#include "lib/api/names.h"

namespace multinet::controller {
namespace {

const WallTime kWall = WallTime(std::chrono::hours(1000));
const BootTime kNow = BootTime(std::chrono::hours(10));

/// A cluster of one tunnel network, one attachment to it, one pod with both, on one node.
struct World {
  Snapshot snapshot;

  World() {
    NetworkState blue;
    blue.network.meta.name = "blue";
    blue.network.meta.uid = "uid-blue";
    blue.network.tunnel = true;
    blue.network.vni = 7001;
    snapshot.networks.push_back(blue);
    AttachmentState nas;
    nas.meta.namespaceName = "default";
    nas.meta.name = "nas";
    nas.networkName = "blue";
    nas.granted = true;
    snapshot.attachments.push_back(nas);
    Pod pod;
    pod.meta.namespaceName = "default";
    pod.meta.name = "web-0";
    pod.meta.uid = "uid-web-0";
    pod.nodeName = "node-a";
    pod.running = true;
    pod.networks = {"blue"};
    snapshot.pods.push_back(pod);
    InterfaceSet set;
    set.meta.namespaceName = "default";
    set.meta.name = "web-0-uid";
    set.podName = "web-0";
    set.podUid = "uid-web-0";
    set.nodeName = "node-a";
    set.interfaces = {{"blue", ""}, {"blue", "nas"}};
    snapshot.sets.push_back(set);
    snapshot.nodes["node-a"] = {true, false};
    snapshot.reports.push_back({"node-a", "blue", NodeReport::Ready::True, "Probed"});
  }
  Writes plan() const { return planPass(snapshot, kWall, kNow); }
  /// The store's part.
  void apply(const Writes& writes) {
    for (const auto& wish : writes.createIdentifiers) {
      Identifier made;
      made.meta.name = api::vxlanIdentifierName(wish.vni);
      made.vni = wish.vni;
      made.networkName = wish.networkName;
      made.networkUid = wish.networkUid;
      snapshot.identifiers.push_back(made);
    }
    for (auto& state : snapshot.networks) {
      for (const auto& write : writes.networks) {
        if (write.meta.uid != state.network.meta.uid) continue;
        state.status = write.status;
        state.statusCurrent = true;
      }
      for (const auto& meta : writes.addFinalizer) {
        if (meta.uid == state.network.meta.uid) state.network.holdsFinalizer = true;
      }
    }
    for (auto& state : snapshot.attachments) {
      for (const auto& write : writes.attachments) {
        state.status = write.status;
        state.statusCurrent = true;
      }
    }
  }
  void converge() {
    for (int pass = 0; pass < 5; ++pass) {
      const auto writes = plan();
      if (writes.empty()) return;
      apply(writes);
    }
    FAIL() << "it doesn't converge";
  }
};

TEST(Pass, ConvergesAndThenWritesNothing) {
  World world;
  world.converge();
  const auto& status = world.snapshot.networks[0].status;
  EXPECT_EQ(status.conditions.at(0).reason, "Accepted");
  EXPECT_EQ(status.vni, 7001U);
  EXPECT_EQ(status.attachedPods, 1);
  EXPECT_EQ(status.nodesDesired, 1);
  EXPECT_EQ(status.nodesReady, 1);
  EXPECT_TRUE(world.snapshot.networks[0].network.holdsFinalizer);
  EXPECT_EQ(world.snapshot.attachments[0].status.attachedPods, 1);
  EXPECT_TRUE(world.plan().empty());
  EXPECT_FALSE(world.plan().again) << "an idle cluster is looked at again only when it changes";
}

TEST(Pass, ALostIdentifierIsMadeAgainAndTakesNothingFromTheNetwork) {
  World world;
  world.converge();
  world.snapshot.identifiers.clear();
  const auto writes = world.plan();
  ASSERT_EQ(writes.createIdentifiers.size(), 1U);
  EXPECT_EQ(writes.createIdentifiers[0].vni, 7001U);
  EXPECT_TRUE(writes.networks.empty()) << "agents would end its tunnels";
}

TEST(Pass, AVerdictOfAnOlderGenerationIsWrittenAgain) {
  World world;
  world.converge();
  world.snapshot.networks[0].statusCurrent = false;
  EXPECT_EQ(world.plan().networks.size(), 1U);
}

TEST(Pass, AttachmentsFollowTheirNetwork) {
  World world;
  world.converge();
  world.snapshot.networks[0].network.enabled = false;
  world.converge();
  EXPECT_EQ(world.snapshot.attachments[0].status.ready.reason, "NetworkNotReady");
}

TEST(Pass, TwoNetworksOfOneVniEndWithOneReady) {
  World world;
  NetworkState red = world.snapshot.networks[0];
  red.network.meta.name = "red";
  red.network.meta.uid = "uid-red";
  red.network.meta.created = WallTime(std::chrono::hours(1));
  world.snapshot.networks.insert(world.snapshot.networks.begin(), red);
  world.converge();
  const auto& loser = world.snapshot.networks[0].status.conditions.at(0);
  EXPECT_EQ(loser.reason, "Conflict");
  EXPECT_EQ(loser.message,
            "spec.vxlan.vni: 7001 belongs to the older network \"blue\": use another, or none to "
            "have one allocated.");
  EXPECT_EQ(world.snapshot.networks[1].status.conditions.at(0).reason, "Accepted");
}

TEST(Pass, ASetThatFitsNoPodCountsForNothing) {
  World world;
  world.converge();
  world.snapshot.pods.clear();
  const auto writes = world.plan();
  EXPECT_EQ(writes.suspectSets.size(), 1U);
  ASSERT_EQ(writes.networks.size(), 1U);
  EXPECT_EQ(writes.networks[0].status.attachedPods, 0);
}

TEST(Pass, ReportsOfNodesThatAreGoneCountForNothing) {
  World world;
  world.converge();
  world.snapshot.nodes.clear();
  const auto writes = world.plan();
  ASSERT_EQ(writes.networks.size(), 1U);
  EXPECT_EQ(writes.networks[0].status.nodesReady, 0);
}

TEST(Pass, CollectsAfterTheLastOfANetwork) {
  World world;
  world.converge();
  Block block;
  block.meta.name = "blue-v4-0a140040-26";
  block.networkUid = "uid-blue";
  block.nodeName = "node-a";
  world.snapshot.blocks.push_back(block);
  world.snapshot.peers.push_back({block.meta, "node-a", "uid-blue"});
  EXPECT_TRUE(world.plan().empty());
  world.snapshot.networks.clear();
  const auto writes = world.plan();
  EXPECT_EQ(writes.removeBlocks.size(), 1U);
  EXPECT_EQ(writes.removePeers.size(), 1U);
  ASSERT_EQ(writes.removeIdentifiers.size(), 1U);
  EXPECT_EQ(writes.removeIdentifiers[0].goneNetworkUid, "uid-blue");
}

}  // namespace
}  // namespace multinet::controller
