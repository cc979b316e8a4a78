#include "controller/blocks/reclaim.h"

#include "controller/plan/cluster_fixture.h"

namespace multinet::controller {
namespace {

using State = k8s::ConditionStatus;
using testing::blockOf;
using testing::Cluster;
using testing::nodeOf;

/// A block of network n1 on node a.
struct OneBlock : Cluster {
  explicit OneBlock(bool network = true) {
    if (network) put(api::testing::goodNetwork("n1"));
    put(blockOf("n1", "a"));
  }
  Outcome outcome() const { return ask(blockReconciler(), "n1-v4-a"); }
  std::size_t removals() const { return outcome().writes.size(); }
};

TEST(Blocks, OfLiveNetworksOnLiveNodesStay) {
  OneBlock cluster;
  cluster.put(nodeOf("a"));
  EXPECT_EQ(cluster.removals(), 0U);
  EXPECT_FALSE(cluster.outcome().again);
}

TEST(Blocks, OfAGoneNetworkGoOnceTheNodeCanHaveSeenIt) {
  OneBlock cluster(false);
  cluster.put(nodeOf("a", State::False));
  EXPECT_EQ(cluster.removals(), 0U) << "a node that isn't Ready saw nothing";
  cluster.put(nodeOf("a"));
  const auto writes = cluster.outcome().writes;
  ASSERT_EQ(writes.size(), 1U);
  cluster.changeUnseen(api::testing::goodNetwork("n1"));
  EXPECT_FALSE(cluster.apply(writes[0])) << "the network is there";
}

TEST(Blocks, OfAGoneNetworkStayWhilePodsOfTheirNodeAreOnIt) {
  OneBlock cluster(false);
  cluster.put(nodeOf("a"));
  const auto reconciler = blockReconciler();
  const auto concerned = [&] {
    Keys keys;
    for (const auto& change : cluster.world.changes()) {
      reconciler.concerned(cluster.world, change, keys);
    }
    return !keys.empty();
  };
  auto pod = testing::podOf("web-0", "n1", "a");
  pod.metadata.uid = "uid-web-0";
  cluster.put(pod);
  auto set = testing::setOf(pod, {"n1"});
  set.interfaces.front().podNetworkUID = "uid-n1";
  cluster.put(set);
  EXPECT_EQ(cluster.removals(), 0U) << "its finalizer was taken by force";
  static_cast<void>(concerned());
  set.interfaces.front().podNetworkUID = "uid-of-the-next";
  cluster.put(set);
  EXPECT_EQ(cluster.removals(), 1U) << "the pod is on a network made again under the name";
  EXPECT_TRUE(concerned());
  set.interfaces.front().podNetworkUID = "uid-n1";
  set.nodeName = "b";
  cluster.put(set);
  EXPECT_EQ(cluster.removals(), 1U) << "another node's pods have blocks of their own";
}

TEST(Blocks, OfALostNodeWaitForTheSafeTime) {
  OneBlock cluster;
  cluster.pass(std::chrono::minutes(5));
  EXPECT_EQ(cluster.removals(), 0U);
  EXPECT_EQ(cluster.outcome().again, kReclaimAfter - std::chrono::minutes(5));
  cluster.pass(kReclaimAfter - std::chrono::minutes(5));
  const auto writes = cluster.outcome().writes;
  ASSERT_EQ(writes.size(), 1U);
  cluster.changeUnseen(nodeOf("a"));
  EXPECT_FALSE(cluster.apply(writes[0])) << "the node is there";
}

TEST(Blocks, OfALostNodeAndAGoneNetworkWaitTheSame) {
  EXPECT_EQ(OneBlock(false).removals(), 0U);
}

TEST(Blocks, OfANodeOutOfServiceGoAtOnce) {
  OneBlock cluster;
  auto node = nodeOf("a", State::False);
  node.spec.taints = {{"node.kubernetes.io/out-of-service", "", "NoExecute"}};
  cluster.put(node);
  EXPECT_EQ(cluster.removals(), 0U);
  cluster.remove<k8s::Node>("a");
  EXPECT_EQ(cluster.removals(), 1U) << "remembered across the deletion";
}

TEST(Blocks, WithoutANodeBelongToAClaim) {
  Cluster cluster;
  cluster.put(blockOf("n1", ""));
  cluster.pass(kReclaimAfter * 2);
  EXPECT_TRUE(cluster.ask(blockReconciler(), "n1-v4-").writes.empty());
}

TEST(Blocks, TimeAwayCountsFromWhenTheNodeWasFirstMissed) {
  OneBlock cluster;
  cluster.put(nodeOf("a"));
  cluster.pass(std::chrono::hours(3));
  cluster.remove<k8s::Node>("a");
  EXPECT_EQ(cluster.outcome().again, kReclaimAfter);
  cluster.pass(std::chrono::minutes(64));
  cluster.put(blockOf("n2", "a"));
  EXPECT_EQ(cluster.outcome().again, std::chrono::minutes(1)) << "not from its last mention";
  cluster.put(nodeOf("a"));
  cluster.pass(std::chrono::hours(3));
  cluster.remove<k8s::Node>("a");
  EXPECT_EQ(cluster.outcome().again, kReclaimAfter) << "a node that came back starts anew";
}

TEST(Blocks, ANodeThatNothingNamesIsForgotten) {
  OneBlock cluster;
  EXPECT_TRUE(cluster.world.gone(NodeName("a")));
  cluster.remove<api::IPBlock>("n1-v4-a");
  EXPECT_FALSE(cluster.world.gone(NodeName("a")));
}

/// A /18: 4 of them are a node's share.
api::IPBlock large(int number, const char* node, WallTime made) {
  auto block = blockOf("n1", node);
  block.metadata.name = "n1-v4-" + std::to_string(number) + node;
  block.metadata.creationTimestamp = made;
  block.spec.cidr = "10." + std::to_string(20 + number) + ".0.0/18";
  return block;
}

TEST(Blocks, BeyondANodesShareTheYoungestGo) {
  Cluster cluster;
  cluster.put(api::testing::goodNetwork("n1"));
  cluster.put(nodeOf("a"));
  cluster.put(nodeOf("b"));
  const WallTime begin = cluster.now.wall;
  for (int i = 0; i < 4; ++i) cluster.put(large(i, "a", begin + std::chrono::seconds(i)));
  cluster.put(large(0, "b", begin));
  auto v6 = large(5, "a", begin);
  v6.spec.cidr = "fd00::/122";
  cluster.put(v6);
  const auto removals = [&](const std::string& name) {
    return cluster.ask(blockReconciler(), name).writes.size();
  };
  EXPECT_EQ(removals("n1-v4-3a"), 0U) << "another node's and the other family's don't count";
  cluster.put(large(4, "a", begin + std::chrono::seconds(9)));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(removals("n1-v4-" + std::to_string(i) + "a"), 0U) << i;
  EXPECT_EQ(removals("n1-v4-4a"), 1U);
  cluster.remove<api::IPBlock>("n1-v4-0a");
  EXPECT_EQ(removals("n1-v4-4a"), 0U) << "there is room for it";
}

TEST(Blocks, AreLookedAtWhenTheirNodeOrNetworkIsAnother) {
  OneBlock cluster;
  const auto reconciler = blockReconciler();
  const auto concerned = [&] {
    Keys keys;
    for (const auto& change : cluster.world.changes()) {
      reconciler.concerned(cluster.world, change, keys);
    }
    return keys.size();
  };
  EXPECT_EQ(concerned(), 1U);
  cluster.put(nodeOf("other"));
  EXPECT_EQ(concerned(), 0U);
  cluster.put(nodeOf("a"));
  EXPECT_EQ(concerned(), 1U);
  cluster.put(nodeOf("a", State::Unknown));
  EXPECT_EQ(concerned(), 1U);
  cluster.remove<api::PodNetwork>("n1");
  EXPECT_EQ(concerned(), 1U);
  cluster.remove<k8s::Node>("a");
  EXPECT_EQ(concerned(), 1U);
}

}  // namespace
}  // namespace multinet::controller
