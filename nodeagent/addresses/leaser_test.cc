// What a lease costs the API server, and that no two nodes get one block.
#include "nodeagent/addresses/leaser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "nodeagent/addresses/fake_block_server.h"

namespace multinet::agent::addresses {
namespace {

Pool poolOf(const char* cidr, unsigned blockSize) {
  return {NetworkName("blue"),
          NetworkUid("uid-blue"),
          {{IpPrefix::parse(cidr).value(), {}, {}, blockSize}}};
}
std::string node(int i) {
  return "node-" + std::to_string(i);
}

class LeaserTest : public ::testing::Test {
 protected:
  Result<LeasedBlock> lease(int i, const Pool& pool, Room room = Room::Likely,
                            std::vector<IpPrefix> own = {}) {
    Blocks blocks(server_.client(), NodeName(node(i)));
    return leaseBlock(blocks, {{pool.uid, IpFamily::V4}, pool, std::move(own), room},
                      NodeName(node(i)), 64);
  }
  [[nodiscard]] std::ptrdiff_t lists() const {
    const auto all = server_.requests();
    return std::ranges::count_if(
        all, [](const std::string& request) { return request.starts_with("GET"); });
  }
  FakeBlockServer server_;
};

TEST_F(LeaserTest, CostsTheSameHoweverManyNodesHaveBlocks) {
  const Pool pool = poolOf("10.0.0.0/10", 26);  // 65,536 blocks
  int leased = 0;
  for (const int nodes : {10, 100, 1000}) {
    for (; leased < nodes; ++leased) ASSERT_TRUE(lease(leased, pool)) << leased;
    const auto calls = server_.calls();
    const auto bytes = server_.bytes();
    constexpr int kMore = 5;
    for (int i = 0; i < kMore; ++i, ++leased) ASSERT_TRUE(lease(leased, pool)) << leased;
    EXPECT_LE(server_.calls() - calls, kMore + 1U) << "requests with " << nodes << " nodes";
    EXPECT_LE((server_.bytes() - bytes) / kMore, 1000U) << "bytes with " << nodes << " nodes";
  }
  EXPECT_EQ(lists(), 0);
  EXPECT_EQ(server_.blocks().size(), static_cast<std::size_t>(leased));
}

TEST_F(LeaserTest, ListsWhereLittleIsLeft) {
  const Pool pool = poolOf("10.20.0.0/24", 30);  // 64 blocks
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(lease(i, pool)) << i;
  EXPECT_LT(lists(), 40);
  EXPECT_EQ(server_.blocks().size(), 64U);
  const auto full = lease(64, pool);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().reason, kPoolExhausted);
  const auto calls = server_.calls();
  ASSERT_FALSE(lease(64, pool, Room::Unlikely));
  EXPECT_EQ(server_.calls() - calls, 1U) << "one that was full is looked at first";
}

TEST_F(LeaserTest, NodesThatLeaseAtOnceGetBlocksOfTheirOwn) {
  const Pool pool = poolOf("10.20.0.0/26", 30);  // 16 blocks
  std::vector<std::thread> nodes;
  std::atomic<int> leased = 0;
  for (int i = 0; i < 16; ++i) {
    nodes.emplace_back([this, i, &pool, &leased] {
      if (lease(i, pool)) ++leased;
    });
  }
  for (auto& one : nodes) one.join();
  EXPECT_EQ(leased, 16);
  std::set<NodeName> owners;
  for (const LeasedBlock& block : server_.blocks()) owners.insert(block.node);
  EXPECT_EQ(owners.size(), 16U);
}

TEST_F(LeaserTest, KnowsItsOwnBlocksWithoutAsking) {
  const Pool pool = poolOf("10.0.0.0/10", 26);
  const auto first = lease(1, pool);
  ASSERT_TRUE(first);
  const auto calls = server_.calls();
  const auto second = lease(1, pool, Room::Likely, {first->prefix});
  ASSERT_TRUE(second);
  EXPECT_NE(second->prefix, first->prefix);
  EXPECT_EQ(server_.calls() - calls, 1U);
}

// The list that said that it is gone may have been older than the block.
TEST_F(LeaserTest, ABlockThatIsThereIsntAnothersForBeingCreatedAgain) {
  Blocks mine(server_.client(), NodeName("n1"));
  Blocks theirs(server_.client(), NodeName("n2"));
  const auto block = mine.create(NetworkName("blue"), NetworkUid("uid-blue"),
                                 IpPrefix::parse("10.20.0.0/26").value());
  ASSERT_TRUE(block);
  EXPECT_EQ(mine.createAgain(*block), block);
  const auto refused = theirs.createAgain(*block);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::AlreadyExists);
  LeasedBlock newer = *block;
  newer.networkUid = NetworkUid("uid-newer");
  EXPECT_FALSE(mine.createAgain(newer)) << "it is of a network that is gone";
}

TEST_F(LeaserTest, ABlockUnderAnotherNameHoldsNothing) {
  Blocks blocks(server_.client(), NodeName("n1"));
  ASSERT_TRUE(blocks.create(NetworkName("blue"), NetworkUid("uid-blue"),
                            IpPrefix::parse("10.20.0.0/26").value()));
  EXPECT_EQ(blocks.listOwn()->size(), 1U);
  server_.misname();
  EXPECT_EQ(blocks.listOwn()->size(), 1U);
}

}  // namespace
}  // namespace multinet::agent::addresses
