#include "controller/peers/plan.h"

namespace multinet::controller {
namespace {

constexpr BootTime kStart{Duration(1)};

NodeObject object(const std::string& node, const std::string& network) {
  NodeObject result;
  result.meta.name = network.empty() ? node : network + "-" + node;
  result.nodeName = node;
  result.networkUid = network;
  return result;
}

TEST(NodeObjects, OfLiveNodesAndNetworksStay) {
  const auto plan = planNodeObjects({object("a", "n1"), object("a", "")}, {"n1"}, {}, kStart);
  EXPECT_TRUE(plan.remove.empty());
  EXPECT_FALSE(plan.again);
}

TEST(NodeObjects, OfAGoneNetworkGo) {
  const auto plan = planNodeObjects({object("a", "n1"), object("a", "")}, {}, {}, kStart);
  ASSERT_EQ(plan.remove.size(), 1U) << "a report is of no one network";
  EXPECT_EQ(plan.remove[0].meta.name, "n1-a");
}

TEST(NodeObjects, OfAGoneNodeGoAfterASettleTime) {
  const std::vector<NodeObject> objects = {object("a", "n1"), object("a", "")};
  const auto early = planNodeObjects(objects, {"n1"}, {{"a", kStart}}, kStart);
  EXPECT_TRUE(early.remove.empty());
  EXPECT_EQ(early.again, kNodeSettle);
  EXPECT_EQ(planNodeObjects(objects, {"n1"}, {{"a", kStart}}, kStart + kNodeSettle).remove.size(),
            2U);
}

TEST(NodeObjects, BeingDeletedIsEnough) {
  auto dying = object("a", "n1");
  dying.meta.deleted = WallTime();
  EXPECT_TRUE(planNodeObjects({dying}, {}, {}, kStart).remove.empty());
}

}  // namespace
}  // namespace multinet::controller
