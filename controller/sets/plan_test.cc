#include "controller/sets/plan.h"

namespace multinet::controller {
namespace {

Pod pod(const std::string& uid, const std::string& node) {
  Pod result;
  result.meta.namespaceName = "default";
  result.meta.name = "web-0";
  result.meta.uid = uid;
  result.nodeName = node;
  return result;
}

InterfaceSet setOf(const std::string& uid, const std::string& node) {
  InterfaceSet result;
  result.meta.namespaceName = "default";
  result.meta.name = "web-0-" + uid;
  result.meta.uid = "set-uid";
  result.meta.resourceVersion = "41";
  result.podName = "web-0";
  result.podUid = uid;
  result.nodeName = node;
  return result;
}

TEST(Sets, ThatFitAreLeftAlone) {
  EXPECT_TRUE(suspects({setOf("u1", "a")}, {pod("u1", "a")}).empty());
}

TEST(Sets, OfGoneRecreatedOrMovedPodsAreSuspect) {
  EXPECT_EQ(suspects({setOf("u1", "a")}, {}).size(), 1U);
  EXPECT_EQ(suspects({setOf("u1", "a")}, {pod("u2", "a")}).size(), 1U);
  EXPECT_EQ(suspects({setOf("u1", "a")}, {pod("u1", "b")}).size(), 1U);
}

TEST(Sets, APodOfTheSameNameInAnotherNamespaceIsNotThePod) {
  auto other = pod("u1", "a");
  other.meta.namespaceName = "other";
  EXPECT_EQ(suspects({setOf("u1", "a")}, {other}).size(), 1U);
}

TEST(Sets, AStaleCacheDeletesNothing) {
  const auto set = setOf("u1", "a");
  ASSERT_EQ(suspects({set}, {}).size(), 1U);
  EXPECT_FALSE(confirmMisfit(set, pod("u1", "a")));
}

TEST(Sets, ADeletionCarriesItsPreconditionsAndWhy) {
  const auto deletion = confirmMisfit(setOf("u1", "a"), pod("u2", "a"));
  ASSERT_TRUE(deletion);
  EXPECT_EQ(deletion->meta.uid, "set-uid");
  EXPECT_EQ(deletion->meta.resourceVersion, "41");
  EXPECT_NE(deletion->why.find("u2"), std::string::npos);
}

TEST(Sets, BeingDeletedIsEnough) {
  auto set = setOf("u1", "a");
  set.meta.deleted = WallTime();
  EXPECT_TRUE(suspects({set}, {}).empty());
}

}  // namespace
}  // namespace multinet::controller
