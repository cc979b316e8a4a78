// All reconcilers together, on a server that does what they write.
#include <gtest/gtest.h>

#include "controller/plan/cluster_fixture.h"
#include "controller/plan/planner.h"
#include "controller/reconcilers.h"

namespace multinet::controller {
namespace {

using State = k8s::ConditionStatus;
using testing::blockOf;
using testing::nodeOf;
using testing::peerOf;
using testing::podOf;
using testing::reportOf;
using testing::setOf;
using testing::tunnelOf;

/// One tunnel network, one attachment to it, one pod with both, on one node.
class Small : public testing::Cluster {
 public:
  Small() {
    put(nodeOf("node-a"));
    k8s::Namespace home;
    home.metadata.name = "default";
    put(home);
    put(tunnelOf("blue", 1, 7001));
    put(api::testing::goodAttachment("nas", "blue"));
    const auto pod = podOf("web-0", "blue, attachment/nas");
    put(pod);
    put(setOf(pod, {"blue", "blue/nas"}));
    put(reportOf("node-a", "blue", State::True, "Probed"));
  }

  std::vector<Write> look() { return testing::wishes(planner_, world, now); }
  void converge() {
    for (int turn = 0; turn < 10; ++turn) {
      const auto writes = look();
      if (writes.empty()) return;
      for (const auto& write : writes) apply(write);
    }
    FAIL() << "it doesn't converge";
  }
  /// And until what is told in its time is told.
  void settle() {
    converge();
    pass(std::chrono::minutes(1));
    converge();
  }
  std::optional<Duration> idle() const { return planner_.idle(now.boot); }
  api::PodNetworkStatus status(const std::string& network) const {
    return get<api::PodNetwork>(network).status;
  }
  k8s::Condition nasReady() const {
    return *get<api::PodNetworkAttachment>("nas", "default").status.conditions.find("Ready");
  }

 private:
  Planner planner_{allReconcilers()};
};

TEST(Converge, AndThenNothingIsWritten) {
  Small cluster;
  cluster.settle();
  const auto status = cluster.status("blue");
  EXPECT_EQ(status.conditions.find("Ready")->reason, "Accepted");
  EXPECT_EQ(status.vni, 7001);
  EXPECT_EQ(status.attachedPods, 1);
  EXPECT_EQ(status.nodes, (api::NodeCounts{1, 1}));
  EXPECT_TRUE(cluster.get<api::PodNetwork>("blue").metadata.hasFinalizer(api::kInUseFinalizer));
  EXPECT_EQ(cluster.get<api::PodNetworkAttachment>("nas", "default").status.attachedPods, 1);
  EXPECT_EQ(cluster.nasReady().reason, "Accepted");
  EXPECT_TRUE(cluster.look().empty());
  EXPECT_FALSE(cluster.idle()) << "an idle cluster is looked at again only when it changes";
}

TEST(Converge, ALostIdentifierIsMadeAgainAndTakesNothingFromTheNetwork) {
  Small cluster;
  cluster.converge();
  cluster.remove<api::NetworkIdentifier>("vxlan-7001");
  const auto writes = cluster.look();
  ASSERT_EQ(writes.size(), 1U) << "agents would end its tunnels if its status changed";
  EXPECT_EQ(writes[0].item(), "create NetworkIdentifier vxlan-7001");
}

TEST(Converge, AttachmentsFollowTheirNetwork) {
  Small cluster;
  cluster.converge();
  auto blue = cluster.get<api::PodNetwork>("blue");
  blue.spec.enabled = false;
  cluster.put(blue);
  cluster.converge();
  EXPECT_EQ(cluster.nasReady().reason, "NetworkNotReady");
  EXPECT_NE(cluster.nasReady().message.find("AdministrativelyDisabled"), std::string::npos);
}

TEST(Converge, TwoNetworksOfOneVniEndWithOneReady) {
  Small cluster;
  cluster.put(tunnelOf("red", 2, 7001));
  cluster.converge();
  const auto red = cluster.status("red");
  const auto* loser = red.conditions.find("Ready");
  EXPECT_EQ(loser->reason, "Conflict");
  EXPECT_EQ(loser->message,
            "spec.vxlan.vni: 7001 belongs to the older network \"blue\": use another, or none to "
            "have one allocated.");
  EXPECT_EQ(cluster.status("blue").conditions.find("Ready")->reason, "Accepted");
  auto blue = cluster.get<api::PodNetwork>("blue");
  blue.metadata.deletionTimestamp = cluster.now.wall;
  cluster.put(blue);
  cluster.remove<k8s::Pod>("web-0", "default");
  cluster.converge();
  EXPECT_EQ(cluster.count<api::PodNetwork>(), 1U);
  EXPECT_EQ(cluster.status("red").conditions.find("Ready")->reason, "Accepted")
      << "it has the VNI now";
  EXPECT_EQ(cluster.status("red").vni, 7001);
}

TEST(Converge, ASetThatFitsNoPodCountsForNothingAndGoes) {
  Small cluster;
  cluster.converge();
  cluster.remove<k8s::Pod>("web-0", "default");
  cluster.settle();
  EXPECT_EQ(cluster.status("blue").attachedPods, 0);
  EXPECT_EQ(cluster.count<api::PodInterfaceSet>(), 0U);
}

TEST(Converge, CollectsAfterTheLastOfANetwork) {
  Small cluster;
  cluster.put(blockOf("blue", "node-a"));
  cluster.put(peerOf("blue", "node-a"));
  cluster.converge();
  EXPECT_TRUE(cluster.look().empty());
  cluster.remove<api::PodNetwork>("blue");
  cluster.converge();
  EXPECT_EQ(cluster.count<api::IPBlock>(), 0U);
  EXPECT_EQ(cluster.count<api::NetworkPeer>(), 0U);
  EXPECT_EQ(cluster.count<api::NetworkIdentifier>(), 0U);
  EXPECT_EQ(cluster.nasReady().reason, "NetworkNotFound");
}

TEST(Converge, WhatADeadNodeLeftGoesInTime) {
  Small cluster;
  cluster.put(blockOf("blue", "node-a"));
  cluster.put(peerOf("blue", "node-a"));
  cluster.converge();
  cluster.remove<k8s::Node>("node-a");
  cluster.converge();
  for (int i = 0; i < 3 && cluster.idle(); ++i) {
    cluster.pass(*cluster.idle());
    cluster.converge();
  }
  EXPECT_FALSE(cluster.idle());
  EXPECT_EQ(cluster.count<api::NetworkPeer>(), 0U);
  EXPECT_EQ(cluster.count<api::NodeNetworkSet>(), 0U);
  EXPECT_EQ(cluster.count<api::IPBlock>(), 0U);
  EXPECT_EQ(cluster.now.boot, BootTime(std::chrono::hours(10) + std::chrono::minutes(65)));
}

}  // namespace
}  // namespace multinet::controller
