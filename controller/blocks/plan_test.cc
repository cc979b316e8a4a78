#include "controller/blocks/plan.h"

namespace multinet::controller {
namespace {

constexpr BootTime kStart{Duration(1)};

Block block(const std::string& network, const std::string& node) {
  Block result;
  result.meta.name = network + "-" + node;
  result.networkUid = network;
  result.nodeName = node;
  return result;
}

TEST(Blocks, OfLiveNetworksOnLiveNodesStay) {
  BlockObservation observed{{block("n1", "a")}, {"n1"}, {{"a", {}}}, {}};
  EXPECT_TRUE(planBlocks(observed, kStart).remove.empty());
}

TEST(Blocks, OfAGoneNetworkGoOnceTheNodeCanHaveSeenIt) {
  BlockObservation observed{{block("n1", "a")}, {}, {{"a", {}}}, {}};
  EXPECT_TRUE(planBlocks(observed, kStart).remove.empty()) << "a node that isn't Ready saw nothing";
  observed.nodes["a"].ready = true;
  EXPECT_EQ(planBlocks(observed, kStart).remove.size(), 1U);
}

TEST(Blocks, OfALostNodeWaitForTheSafeTime) {
  BlockObservation observed{{block("n1", "a")}, {"n1"}, {}, {{"a", {kStart, false}}}};
  const auto early = planBlocks(observed, kStart + std::chrono::minutes(5));
  EXPECT_TRUE(early.remove.empty());
  EXPECT_EQ(early.again, kReclaimAfter - std::chrono::minutes(5));
  EXPECT_EQ(planBlocks(observed, kStart + kReclaimAfter).remove.size(), 1U);
}

TEST(Blocks, OfALostNodeAndAGoneNetworkWaitTheSame) {
  BlockObservation observed{{block("n1", "a")}, {}, {}, {{"a", {kStart, false}}}};
  EXPECT_TRUE(planBlocks(observed, kStart).remove.empty());
}

TEST(Blocks, OfANodeOutOfServiceGoAtOnce) {
  BlockObservation observed{{block("n1", "a")}, {"n1"}, {}, {{"a", {kStart, true}}}};
  EXPECT_EQ(planBlocks(observed, kStart).remove.size(), 1U);
}

TEST(Blocks, WithoutANodeBelongToAClaim) {
  BlockObservation observed{{block("n1", "")}, {}, {}, {{"", {kStart, true}}}};
  EXPECT_TRUE(planBlocks(observed, kStart).remove.empty());
}

TEST(NodeMemory, CountsFromWhenItFirstSawTheNodeMissing) {
  NodeMemory memory;
  memory.update({{"a", {true, false}}}, {"a"}, kStart);
  const auto later = kStart + std::chrono::minutes(1);
  EXPECT_EQ(memory.update({}, {"a"}, later).at("a").since, later);
  EXPECT_EQ(memory.update({}, {"a"}, later + std::chrono::hours(1)).at("a").since, later);
}

TEST(NodeMemory, RemembersTheTaintAcrossTheDeletion) {
  NodeMemory memory;
  memory.update({{"a", {false, true}}}, {"a"}, kStart);
  EXPECT_TRUE(memory.update({}, {"a"}, kStart).at("a").outOfService);
}

TEST(NodeMemory, ANodeThatComesBackStartsAnew) {
  NodeMemory memory;
  memory.update({}, {"a"}, kStart);
  EXPECT_TRUE(memory.update({{"a", {}}}, {"a"}, kStart).empty());
  const auto later = kStart + std::chrono::hours(2);
  EXPECT_EQ(memory.update({}, {"a"}, later).at("a").since, later);
}

TEST(NodeMemory, ForgetsNodesThatNothingNames) {
  NodeMemory memory;
  memory.update({}, {"a"}, kStart);
  EXPECT_TRUE(memory.update({}, {}, kStart).empty());
}

}  // namespace
}  // namespace multinet::controller
