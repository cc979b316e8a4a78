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
