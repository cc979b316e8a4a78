#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <chrono>
#include <map>
#include <set>

#include "lib/ipam/block.h"
#include "lib/ipam/subnet.h"

namespace multinet::ipam {
namespace {

using std::chrono::seconds;

IpPrefix prefix(const char* text) {
  return IpPrefix::parse(text).value();
}
IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}
Subnet subnet(const char* cidr) {
  return Subnet{prefix(cidr), {}, {}, {}};
}
BootTime at(int second) {
  return BootTime(seconds(second));
}

TEST(SubnetTest, ChoosesTheBlockLengthFromThePool) {
  const std::map<std::string, unsigned> expected = {
      {"10.0.0.0/8", 26},   {"10.20.0.0/16", 26},  {"10.20.0.0/20", 28},   {"10.20.1.0/24", 29},
      {"10.20.1.0/26", 30}, {"10.20.1.0/27", 32},  {"10.20.1.0/30", 32},   {"10.20.1.0/31", 32},
      {"fd00::/48", 122},   {"fd00:20::/64", 122}, {"fd00:20::/120", 125}, {"fd00:20::/123", 128},
      {"fd00::/127", 128}};
  for (const auto& [cidr, length] : expected) {
    EXPECT_EQ(subnet(cidr.c_str()).blockLength(), length) << cidr;
  }
  Subnet configured = subnet("10.20.0.0/16");
  configured.blockSize = 28;
  EXPECT_EQ(configured.blockLength(), 28U);
}

TEST(SubnetTest, ANodesShareIs4096AddressesAndFourBlocksInAnyCase) {
  EXPECT_EQ(mostBlocks(IpFamily::V4, 32), 4096U);
  EXPECT_EQ(mostBlocks(IpFamily::V4, 26), 64U);
  EXPECT_EQ(mostBlocks(IpFamily::V4, 22), 4U);
  EXPECT_EQ(mostBlocks(IpFamily::V4, 8), 4U);
  EXPECT_EQ(mostBlocks(IpFamily::V6, 122), 64U);
  EXPECT_EQ(mostBlocks(IpFamily::V6, 64), 4U);
}

TEST(SubnetTest, KnowsWhatAPodCanHave) {
  Subnet wide = subnet("10.20.0.0/24");
  wide.gateway = address("10.20.0.1");
  wide.exclude = {prefix("10.20.0.16/28")};
  for (const char* no : {"10.20.0.0", "10.20.0.255", "10.20.0.1", "10.20.0.16", "10.20.0.31",
                         "10.20.1.5", "fd00::1"}) {
    EXPECT_FALSE(wide.usable(address(no))) << no;
  }
  for (const char* yes : {"10.20.0.2", "10.20.0.15", "10.20.0.32", "10.20.0.254"}) {
    EXPECT_TRUE(wide.usable(address(yes))) << yes;
  }
  EXPECT_TRUE(subnet("10.20.0.4/31").usable(address("10.20.0.4")));
  EXPECT_TRUE(subnet("10.20.0.4/31").usable(address("10.20.0.5")));
  EXPECT_TRUE(subnet("10.20.0.4/32").usable(address("10.20.0.4")));
  EXPECT_TRUE(subnet("fd00::/127").usable(address("fd00::")));
  EXPECT_FALSE(subnet("fd00::/126").usable(address("fd00::")));
  EXPECT_TRUE(subnet("fd00::/64").usable(address("fd00::ffff:ffff:ffff:ffff")));
}

TEST(BlockWalkTest, VisitsEachBlockOnce) {
  BlockWalk walk(subnet("10.20.0.0/20"), "blue/n1");
  EXPECT_EQ(walk.size(), 256U);
  std::set<IpPrefix> seen;
  while (auto block = walk.next()) {
    EXPECT_EQ(block->length(), 28U);
    EXPECT_TRUE(prefix("10.20.0.0/20").contains(*block));
    EXPECT_TRUE(seen.insert(*block).second) << block->str();
  }
  EXPECT_EQ(seen.size(), 256U);
}

TEST(BlockWalkTest, NodesStartAtDifferentPlaces) {
  std::set<IpPrefix> firsts;
  for (int node = 0; node < 20; ++node) {
    BlockWalk walk(subnet("10.20.0.0/16"), "blue/n" + std::to_string(node));
    firsts.insert(walk.next().value());
  }
  EXPECT_GE(firsts.size(), 18U);
}

TEST(BlockWalkTest, SingleAddressesLeaveOutWhatNoPodCanHave) {
  Subnet tiny = subnet("10.20.0.0/29");
  tiny.gateway = address("10.20.0.1");
  tiny.exclude = {prefix("10.20.0.6/32")};
  BlockWalk walk(tiny, "seed");
  std::set<std::string> seen;
  while (auto block = walk.next()) seen.insert(block->str());
  EXPECT_EQ(seen, (std::set<std::string>{"10.20.0.2/32", "10.20.0.3/32", "10.20.0.4/32",
                                         "10.20.0.5/32"}));
}

TEST(BlockWalkTest, FindsTheOneBlockThatHugeExclusionsLeave) {
  Subnet wide = subnet("fd00:20::/64");
  // All but the /122 at the very end: the complement of one block, as 58 prefixes.
  const IpPrefix last(wide.cidr.last(), 122);
  for (unsigned length = 65; length <= 122; ++length) {
    const U128 flipped = last.first().number() ^ (static_cast<U128>(1) << (128 - length));
    wide.exclude.emplace_back(IpAddress(IpFamily::V6, flipped), length);
  }
  BlockWalk walk(wide, "seed");
  EXPECT_EQ(walk.size(), 1U);
  EXPECT_EQ(walk.next(), last);
  EXPECT_EQ(walk.next(), std::nullopt);
}

TEST(BlockWalkTest, AnyPrefixCostsTheSame) {
  for (const char* cidr : {"0.0.0.0/0", "10.0.0.0/8", "::/0", "fd00::/8", "fd00::/64"}) {
    BlockWalk walk(subnet(cidr), "seed");
    std::set<IpPrefix> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(walk.next().value());
    EXPECT_EQ(seen.size(), 1000U) << cidr;
  }
  Subnet singles = subnet("::/0");
  singles.blockSize = 128;
  EXPECT_TRUE(BlockWalk(singles, "seed").next().has_value());
  Subnet excluded = subnet("10.0.0.0/8");
  excluded.exclude = {prefix("10.0.0.0/8")};
  EXPECT_EQ(BlockWalk(excluded, "seed").next(), std::nullopt);
}

TEST(BlockTest, QuarantineHoldsAnAddressBack) {
  Block block(subnet("10.20.0.0/31"), prefix("10.20.0.0/31"));
  const IpAddress first = block.allocate(at(0)).value();
  ASSERT_TRUE(block.allocate(at(0)).has_value());
  EXPECT_EQ(block.allocate(at(0)), std::nullopt);
  block.release(first, at(60));
  EXPECT_EQ(block.allocate(at(59)), std::nullopt);
  EXPECT_EQ(block.quarantined(), 1U);
  EXPECT_EQ(block.allocate(at(60)), first);
  EXPECT_EQ(block.quarantined(), 0U);
}

TEST(BlockTest, AnOldQuarantineDoesNotFreeANewerOne) {
  Block block(subnet("10.20.0.4/32"), prefix("10.20.0.4/32"));
  const IpAddress only = block.allocate(at(0)).value();
  block.release(only, at(10));
  ASSERT_TRUE(block.reclaim(only));
  block.release(only, at(50));
  EXPECT_EQ(block.allocate(at(20)), std::nullopt);
  EXPECT_EQ(block.allocate(at(50)), only);
}

TEST(BlockTest, RefusesToTakeWhatIsNotItsOwn) {
  Block block(subnet("10.20.0.0/24"), prefix("10.20.0.0/29"));
  EXPECT_EQ(block.capacity(), 7U);
  EXPECT_FALSE(block.take(address("10.20.0.0")));
  EXPECT_FALSE(block.take(address("10.20.0.8")));
  EXPECT_TRUE(block.take(address("10.20.0.1")));
  EXPECT_FALSE(block.take(address("10.20.0.1")));
  block.release(address("10.20.0.0"), at(1));
  block.release(address("10.20.0.9"), at(1));
  EXPECT_EQ(block.quarantined(), 0U);
}

TEST(BlockTest, WhatIsPutBackIsFreeAtOnce) {
  Block block(subnet("10.20.0.4/32"), prefix("10.20.0.4/32"));
  const IpAddress only = block.allocate(at(0)).value();
  block.putBack(only);
  block.putBack(only);
  EXPECT_EQ(block.available(), 1U);
  EXPECT_EQ(block.allocate(at(0)), only);
}

TEST(BlockTest, AHugeBlockIsBounded) {
  Block block(subnet("fd00::/64"), prefix("fd00::/64"));
  EXPECT_EQ(block.capacity(), 65'535U);
  EXPECT_TRUE(block.allocate(at(0)).has_value());
}

TEST(BlockTest, FindsTheOneThatIsFreeWhereverItIs) {
  Block block(subnet("10.0.0.0/16"), prefix("10.0.0.0/16"));
  while (block.allocate(at(0)).has_value()) {
  }
  // Before and after where the last one was found, in the same word, group of words, and others.
  for (const U128 offset : {100U, 65U, 66U, 64U, 127U, 128U, 4095U, 4096U, 4097U, 65534U, 1U, 63U,
                            40000U, 39999U, 40001U}) {
    const IpAddress one = block.prefix().at(offset);
    block.putBack(one);
    EXPECT_EQ(block.allocate(at(0)), one);
    EXPECT_FALSE(block.allocate(at(0)).has_value());
  }
}

// The model: any order of allocate, release, reclaim, take and time never gives one address twice,
// and the counts always add up.
TEST(BlockProperty, NeverDoubleAndNothingLost) {
  const bool held = rc::check("block keeps its books", [] {
    const auto length = *rc::gen::inRange(24, 33);
    const IpPrefix range(address("10.20.0.0"), static_cast<unsigned>(length));
    Subnet whole = subnet("10.20.0.0/24");
    whole.gateway = address("10.20.0.1");
    Block block(whole, range);
    std::set<IpAddress> live;
    std::map<IpAddress, BootTime> quarantine;
    int now = 0;
    for (const int op : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 100))) {
      if (op < 50) {
        const auto got = block.allocate(at(now));
        if (!got.has_value()) {
          for (const auto& [waiting, until] : quarantine) RC_ASSERT(until > at(now));
          RC_ASSERT(live.size() + quarantine.size() == block.capacity());
          continue;
        }
        RC_ASSERT(range.contains(*got) && whole.usable(*got));
        if (const auto old = quarantine.find(*got); old != quarantine.end()) {
          RC_ASSERT(old->second <= at(now));
          quarantine.erase(old);
        }
        RC_ASSERT(live.insert(*got).second);
      } else if (op < 80 && !live.empty()) {
        const IpAddress gone = *std::next(live.begin(), op % static_cast<int>(live.size()));
        block.release(gone, at(now + 10));
        live.erase(gone);
        quarantine[gone] = at(now + 10);
      } else if (op < 90 && !quarantine.empty()) {
        const auto one = std::next(quarantine.begin(), op % static_cast<int>(quarantine.size()));
        if (block.reclaim(one->first)) {
          RC_ASSERT(live.insert(one->first).second);
          quarantine.erase(one);
        }
      } else {
        now += 4;
        block.expire(at(now));
        std::erase_if(quarantine, [&](const auto& entry) { return entry.second <= at(now); });
      }
      RC_ASSERT(block.taken() == live.size());
      RC_ASSERT(block.taken() + block.available() + block.quarantined() == block.capacity());
    }
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace multinet::ipam
