#include "controller/sets/misfits.h"

#include "controller/plan/cluster_fixture.h"

namespace multinet::controller {
namespace {

using testing::Cluster;
using testing::podOf;
using testing::setOf;

k8s::Pod pod(const std::string& uid, const std::string& node) {
  auto made = podOf("web-0", "blue", node);
  made.metadata.uid = uid;
  return made;
}

std::vector<Write> writesOf(const Cluster& cluster) {
  return cluster.ask(setReconciler(), "web-0-set", "default").writes;
}

/// A set of pod `u1` on node `a`, and what is done about it beside that pod.
std::vector<Write> beside(const std::optional<k8s::Pod>& there) {
  Cluster cluster;
  if (there) cluster.put(*there);
  cluster.put(setOf(pod("u1", "a"), {"blue"}));
  return writesOf(cluster);
}

TEST(Sets, ThatFitAreLeftAlone) {
  EXPECT_TRUE(beside(pod("u1", "a")).empty());
}

TEST(Sets, OfGoneRecreatedOrMovedPodsAreRemoved) {
  EXPECT_EQ(beside(std::nullopt).size(), 1U);
  EXPECT_EQ(beside(pod("u2", "a")).size(), 1U);
  EXPECT_EQ(beside(pod("u1", "b")).size(), 1U);
}

TEST(Sets, APodOfTheSameNameInAnotherNamespaceIsNotThePod) {
  auto other = pod("u1", "a");
  other.metadata.nameSpace = "other";
  EXPECT_EQ(beside(other).size(), 1U);
}

TEST(Sets, AStaleCacheDeletesNothing) {
  Cluster cluster;
  cluster.put(setOf(pod("u1", "a"), {"blue"}));
  const auto writes = writesOf(cluster);
  ASSERT_EQ(writes.size(), 1U);
  cluster.changeUnseen(pod("u1", "a"));
  EXPECT_FALSE(cluster.apply(writes[0]));
  cluster.changeUnseen(pod("u2", "a"));
  EXPECT_TRUE(cluster.apply(writes[0]));
}

/// Not even where the pod has lost what told us that it concerns us.
TEST(Sets, APodWithoutARequestThatIsThereDeletesNothing) {
  Cluster cluster;
  cluster.put(setOf(pod("u1", "a"), {"blue"}));
  auto there = pod("u1", "a");
  there.metadata.annotations.clear();
  cluster.put(there);
  const auto writes = writesOf(cluster);
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_FALSE(cluster.apply(writes[0]));
}

TEST(Sets, APodIsKnownByItsGateToo) {
  Cluster cluster;
  cluster.put(setOf(pod("u1", "a"), {"blue"}));
  auto there = pod("u1", "a");
  there.metadata.annotations.clear();
  there.spec.readinessGates = {{api::kReadyGate}};
  cluster.put(there);
  EXPECT_TRUE(writesOf(cluster).empty());
}

TEST(Sets, ADeletionCarriesItsPreconditionsAndWhy) {
  Cluster cluster;
  cluster.put(pod("u2", "a"));
  cluster.put(setOf(pod("u1", "a"), {"blue"}));
  const auto writes = writesOf(cluster);
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].verb, Verb::Delete);
  EXPECT_EQ(writes[0].uid, "uid-web-0-set");
  EXPECT_EQ(writes[0].resourceVersion, "2");
  EXPECT_NE(writes[0].why.find("u2"), std::string::npos);
  cluster.put(setOf(pod("u2", "a"), {"blue"}));
  EXPECT_FALSE(cluster.apply(writes[0])) << "it isn't the version that was decided on";
}

TEST(Sets, BeingDeletedIsEnough) {
  Cluster cluster;
  auto set = setOf(pod("u1", "a"), {"blue"});
  set.metadata.deletionTimestamp = WallTime();
  cluster.put(set);
  EXPECT_TRUE(writesOf(cluster).empty());
}

}  // namespace
}  // namespace multinet::controller
