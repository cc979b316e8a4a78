#include "controller/peers/departed.h"

#include "controller/plan/cluster_fixture.h"

namespace multinet::controller {
namespace {

using testing::Cluster;
using testing::nodeOf;
using testing::peerOf;
using testing::reportOf;

/// A peer of network n1 on node a, and that node's report.
struct OneNode : Cluster {
  OneNode() {
    put(api::testing::goodNetwork("n1"));
    put(nodeOf("a"));
    put(peerOf("n1", "a"));
    put(reportOf("a", "n1", k8s::ConditionStatus::True, "Probed"));
  }
  Outcome peer() const { return ask(peerReconciler(), "n1.a"); }
  Outcome report() const { return ask(nodeSetReconciler(), "a"); }
};

TEST(Departed, LiveNodesAndNetworksKeepTheirs) {
  const OneNode cluster;
  for (const auto& outcome : {cluster.peer(), cluster.report()}) {
    EXPECT_TRUE(outcome.writes.empty());
    EXPECT_FALSE(outcome.again);
  }
}

TEST(Departed, PeersOfAGoneNetworkGo) {
  OneNode cluster;
  cluster.remove<api::PodNetwork>("n1");
  const auto writes = cluster.peer().writes;
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_TRUE(cluster.report().writes.empty()) << "a report is of no one network";
  cluster.changeUnseen(api::testing::goodNetwork("n1"));
  EXPECT_FALSE(cluster.apply(writes[0])) << "the network is there";
}

TEST(Departed, OfAGoneNodeGoAfterASettleTime) {
  OneNode cluster;
  cluster.remove<k8s::Node>("a");
  for (const auto& outcome : {cluster.peer(), cluster.report()}) {
    EXPECT_TRUE(outcome.writes.empty());
    EXPECT_EQ(outcome.again, kNodeSettle);
  }
  cluster.pass(kNodeSettle);
  for (const auto& outcome : {cluster.peer(), cluster.report()}) {
    ASSERT_EQ(outcome.writes.size(), 1U);
    EXPECT_TRUE(cluster.apply(outcome.writes[0]));
  }
}

TEST(Departed, ANodeThatIsThereAllTheSameKeepsTheirs) {
  OneNode cluster;
  cluster.remove<k8s::Node>("a");
  cluster.pass(kNodeSettle);
  cluster.changeUnseen(nodeOf("a"));
  EXPECT_FALSE(cluster.apply(cluster.peer().writes.at(0)));
  EXPECT_FALSE(cluster.apply(cluster.report().writes.at(0)));
}

TEST(Departed, BeingDeletedIsEnough) {
  OneNode cluster;
  auto dying = peerOf("n1", "a");
  dying.metadata.deletionTimestamp = WallTime();
  cluster.put(dying);
  cluster.remove<api::PodNetwork>("n1");
  EXPECT_TRUE(cluster.peer().writes.empty());
}

TEST(Departed, AreLookedAtWhenTheirNodeOrNetworkGoes) {
  OneNode cluster;
  static_cast<void>(cluster.world.changes());
  const auto concerned = [&](const Reconciler& reconciler) {
    Keys keys;
    cluster.world.everything([&](const Change& change) {
      if (std::holds_alternative<Changed<Node>>(change)) {
        reconciler.concerned(cluster.world, change, keys);
      }
    });
    return keys.size();
  };
  EXPECT_EQ(concerned(peerReconciler()), 1U);
  EXPECT_EQ(concerned(nodeSetReconciler()), 1U);
  cluster.remove<api::PodNetwork>("n1");
  Keys keys;
  for (const auto& change : cluster.world.changes()) {
    peerReconciler().concerned(cluster.world, change, keys);
  }
  EXPECT_EQ(keys.size(), 1U);
}

}  // namespace
}  // namespace multinet::controller
