// Against the kernel, in the test's own namespace.
#include "lib/nft/table_keeper.h"

#include <gtest/gtest.h>

namespace multinet::nft {
namespace {

using std::chrono::seconds;

Table sample() {
  return {"multinet_kept",
          {{"ports", "inet_service", {"4799"}}},
          {{"input", "input", -150, {"udp dport @ports counter drop"}}}};
}

class TableKeeperTest : public testing::Test {
 protected:
  void TearDown() override { static_cast<void>(other_.commit(renderDelete(sample().name))); }
  TableKeeper keeper_ = TableKeeper::open(seconds(10)).value();
  Committer other_ = Committer::open().value();
  BootTime now_{seconds(100)};
};

TEST_F(TableKeeperTest, CommitsWhatDiffersAndAdoptsTheRest) {
  EXPECT_FALSE(keeper_.isCommitted(sample(), now_).value());
  ASSERT_TRUE(keeper_.commit(sample()));
  EXPECT_TRUE(keeper_.isCommitted(sample(), now_).value());
  auto successor = TableKeeper::open(seconds(10)).value();
  EXPECT_TRUE(successor.isCommitted(sample(), now_).value());
  Table next = sample();
  next.sets[0].elements = {"4800"};
  EXPECT_FALSE(successor.isCommitted(next, now_).value());
  ASSERT_TRUE(successor.commit(next));
  EXPECT_TRUE(other_.matches(next).value());
  EXPECT_EQ(successor.commits(), 1U);
}

TEST_F(TableKeeperTest, FindsOutWhatOthersDidToIt) {
  ASSERT_TRUE(keeper_.commit(sample()));
  EXPECT_TRUE(keeper_.isCommitted(sample(), now_).value());
  ASSERT_TRUE(other_.commit("flush ruleset\n"));
  EXPECT_TRUE(keeper_.isCommitted(sample(), now_ + seconds(9)).value()) << "believed for a while";
  EXPECT_FALSE(keeper_.isCommitted(sample(), now_ + seconds(10)).value());
  ASSERT_TRUE(keeper_.commit(sample()));
  EXPECT_TRUE(other_.matches(sample()).value());
}

TEST_F(TableKeeperTest, ListsOnlyWhereSomebodyWrote) {
  ASSERT_FALSE(keeper_.isCommitted(sample(), now_).value());
  ASSERT_TRUE(keeper_.commit(sample()));
  const auto listed = keeper_.listings();
  for (int i = 1; i <= 5; ++i) {
    EXPECT_TRUE(keeper_.isCommitted(sample(), now_ + seconds(10 * i)).value());
  }
  EXPECT_EQ(keeper_.listings(), listed) << "nobody did";
  ASSERT_TRUE(other_.commit("add table ip somebodys\n"));
  for (int i = 6; i <= 9; ++i) {
    EXPECT_TRUE(keeper_.isCommitted(sample(), now_ + seconds(10 * i)).value());
  }
  EXPECT_EQ(keeper_.listings(), listed + 1) << "once for that transaction";
  ASSERT_TRUE(other_.commit("add element inet multinet_kept ports { 4801 }\n"));
  EXPECT_FALSE(keeper_.isCommitted(sample(), now_ + seconds(100)).value());
  ASSERT_TRUE(other_.commit("delete table ip somebodys\n"));
}

TEST_F(TableKeeperTest, ARefusedCommitIsNotBelieved) {
  ASSERT_TRUE(keeper_.commit(sample()));
  Table bad = sample();
  bad.sets[0].elements = {"no port"};
  ASSERT_FALSE(keeper_.commit(bad));
  EXPECT_TRUE(keeper_.isCommitted(sample(), now_).value());
}

/// Rules of which fill a set, which is told from what we put in.
Table remembering() {
  Table table = sample();
  table.sets.push_back({"seen", "inet_service", {}});
  table.sets[1].filledBy = "size 16; flags dynamic,timeout; timeout 1h;";
  return table;
}

TEST_F(TableKeeperTest, WhatRulesFilledStaysWithASuccessorAndWithOtherRules) {
  const auto has = [this](const char* element) {
    const auto listed = other_.list(remembering());
    return listed && *listed && !(*listed)->sets.at("seen").empty() &&
           !other_.commit("create element inet multinet_kept seen { " + std::string(element) +
                          " }\n");
  };
  ASSERT_TRUE(keeper_.commit(remembering()));
  ASSERT_TRUE(other_.commit("add element inet multinet_kept seen { 53 }\n"));
  Table next = remembering();
  next.chains[0].rules = {"udp dport @ports drop", "udp dport 7 drop"};
  ASSERT_TRUE(keeper_.commit(next)) << "other rules";
  EXPECT_TRUE(other_.matches(next).value());
  EXPECT_TRUE(has("53"));
  auto successor = TableKeeper::open(seconds(10)).value();
  next.sets[0].elements = {"4800", "4801"};
  EXPECT_FALSE(successor.isCommitted(next, now_).value());
  ASSERT_TRUE(successor.commit(next)) << "other elements, by one who begins";
  EXPECT_TRUE(other_.matches(next).value());
  EXPECT_TRUE(has("53"));
  ASSERT_TRUE(other_.commit("flush chain inet multinet_kept input\n"));
  EXPECT_FALSE(successor.isCommitted(next, now_ + seconds(10)).value());
  ASSERT_TRUE(successor.commit(next)) << "somebody took rules away";
  EXPECT_TRUE(other_.matches(next).value());
  EXPECT_TRUE(has("53"));
}

TEST_F(TableKeeperTest, WhatAnotherVersionMadeIsMadeAnew) {
  Table before = remembering();
  before.chains[0].priority = -100;
  ASSERT_TRUE(keeper_.commit(before));
  auto successor = TableKeeper::open(seconds(10)).value();
  Table next = remembering();
  next.chains[0].rules.emplace_back("udp dport 7 drop");
  ASSERT_TRUE(successor.commit(next));
  EXPECT_TRUE(other_.matches(next).value());
  Table more = next;
  more.sets.push_back({"more", "inet_service", {"1"}});
  auto third = TableKeeper::open(seconds(10)).value();
  ASSERT_TRUE(third.commit(more));
  EXPECT_TRUE(other_.matches(more).value());
}

TEST_F(TableKeeperTest, RemovesAlsoWhatAPredecessorLeft) {
  ASSERT_TRUE(keeper_.commit(sample()));
  auto successor = TableKeeper::open(seconds(10)).value();
  ASSERT_TRUE(successor.remove(sample(), now_));
  EXPECT_FALSE(other_.exists(sample().name).value());
  ASSERT_TRUE(successor.remove(sample(), now_ + seconds(20)));
  EXPECT_EQ(successor.commits(), 1U);
}

}  // namespace
}  // namespace multinet::nft
