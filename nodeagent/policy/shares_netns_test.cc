// What one sender may hold of the kernel's table of flows, and what that leaves to others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nodeagent/policy/shares_fixture.h"

namespace multinet::agent::policing {
namespace {

/// Of such a table, see shares_fixture.h.
constexpr std::uint32_t kPortExactly = 1200;
constexpr std::uint32_t kPortMost = 2000;
constexpr std::uint32_t kWireExactly = 2400;
constexpr std::uint32_t kWireMost = 3800;

TEST_F(PolicySharesTest, APortHoldsItsShareAndNobodyPaysForIt) {
  plug({&one_, &two_, &three_});
  for (const TestPod* pod : {&one_, &two_, &three_}) pod->address();
  ASSERT_TRUE(commit());
  UdpPair own(one_, two_, 6999, false);
  ASSERT_TRUE(own.exchange());
  begin(one_, 5000);
  EXPECT_GE(held(), kPortExactly);
  EXPECT_LE(held(), kPortMost);
  EXPECT_FALSE(arrives(one_, first(one_, 60000), two_));
  EXPECT_FALSE(arrives(one_, forged(one_, 1), two_)) << "whatever address it takes";
  const Bytes datagram6 = ipv6(one_.v6(), two_.v6(), kUdp, udp(60000, 7000));
  EXPECT_FALSE(arrives(one_, ethernet(two_.mac(), one_.mac(), kIpv6, datagram6), two_));
  // What it has goes on, and whatever is no flow.
  EXPECT_TRUE(own.exchange());
  EXPECT_TRUE(arrives(one_, one_.question(isolation::of(two_.mac())), two_));
  for (unsigned i = 0; i < 300; ++i) {
    ASSERT_TRUE(arrives(three_, first(three_, 2000 + i), two_)) << i;
  }
  EXPECT_GE(node_.guard().beyond(), 5000 - kPortMost);
  EXPECT_THAT(node_.guard().beyondByPort(),
              testing::ElementsAre(testing::Pair(one_.port(), node_.guard().beyond())));
  EXPECT_EQ(node_.guard().denied(), Denied{}) << "no policy denied it";
  // Where its flows end, as their next packet says when, it may begin others.
  {
    const auto scope = netns::Scope::enter(node_.netns()).value();
    ASSERT_TRUE(netns::writeSysctl("netfilter/nf_conntrack_udp_timeout", "1"));
  }
  begin(one_, 5000);
  EXPECT_TRUE(eventually([&] { return arrives(one_, first(one_, 60001), two_); }));
}

TEST_F(PolicySharesTest, WhatAPolicyDeniesTakesNothing) {
  plug({&one_, &two_, &three_});
  ASSERT_TRUE(commit());
  begin(one_, 5000, 7001);
  EXPECT_LE(held(), 1U);
  EXPECT_TRUE(eventually([&] { return arrives(one_, first(one_, 60000), two_); }));
}

TEST_F(PolicySharesTest, WhoComesByAWireLeavesHalfOfTheTable) {
  plug({&one_, &two_, &three_});
  TestNode other{{"br-blue"}};
  if (!other.guard().tracking()) GTEST_SKIP() << "the kernel tells no flows of bridges";
  node_.wire(other);
  TestPod far(9, "f");
  far.plug(other);
  far.announce();
  ASSERT_TRUE(commit());
  begin(far, 8000);
  EXPECT_GE(held(), kWireExactly);
  EXPECT_LE(held(), kWireMost);
  EXPECT_FALSE(arrives(far, first(far, 60000), two_));
  EXPECT_TRUE(arrives(one_, first(one_, 60000), two_));
  EXPECT_THAT(node_.guard().beyondByPort(),
              testing::ElementsAre(testing::Pair("mnx1", testing::_)));
}

TEST_F(PolicySharesTest, ConnectionsThatAreClosedTakeNothing) {
  plug({&one_, &two_, &three_});
  for (const TestPod* pod : {&one_, &two_}) pod->address();
  Policed wanted;
  wanted.program.ingress[two_.key()] = 1;
  wanted.program.permits = {{1, policy::kEverybody, api::Protocol::TCP, 7000, 7000}};
  for (const TestPod* pod : {&one_, &two_}) wanted.ports[pod->key()] = pod->port();
  ASSERT_TRUE(node_.guard().commit(kBlue, "br-blue", std::move(wanted)));
  constexpr unsigned kConnections = 4000;  // more than twice what it may have open
  for (unsigned i = 0; i < kConnections; ++i) {
    TcpPair connection(one_, two_, 7000, false, 1024 + i);
    if (i % 1000 == 0) {
      ASSERT_TRUE(connection.arrivesInTime(End::Client));
    }
  }
  EXPECT_EQ(node_.guard().beyond(), 0U);
}

TEST_F(PolicySharesTest, ARestartWritesNothingAndForgetsNoFlow) {
  plug({&one_, &two_, &three_});
  ASSERT_TRUE(commit());
  begin(one_, 5000);
  node_.start({.mostFlows = kTable});
  ASSERT_TRUE(commit());
  EXPECT_EQ(node_.guard().commits(), 0U);
  EXPECT_FALSE(arrives(one_, first(one_, 60000), two_));
  EXPECT_GT(node_.guard().beyond(), 0U);
}

TEST_F(PolicySharesTest, TablesOfBeforeAreReplacedUnderOpenFlows) {
  plug({&one_, &two_, &three_});
  for (const TestPod* pod : {&one_, &two_}) pod->address();
  node_.start({.mostFlows = 0});
  ASSERT_TRUE(commit());
  UdpPair open(one_, two_, 6999, false);
  ASSERT_TRUE(open.exchange());
  begin(one_, 5000);
  EXPECT_GE(held(), 5000U) << "nobody was limited";
  EXPECT_TRUE(node_.guard().beyondByPort().empty());
  node_.start({.mostFlows = kTable});
  ASSERT_TRUE(commit());
  EXPECT_TRUE(open.exchange());
  begin(three_, 5000);
  EXPECT_GT(node_.guard().beyond(), 0U);
  EXPECT_EQ(node_.elements()["networks"].size(), 3U);
}

TEST_F(PolicySharesTest, WhatIsHeldOfTheTableIsTold) {
  EXPECT_EQ(node_.guard().flows(), std::nullopt) << "nothing is tracked";
  plug({&one_, &two_, &three_});
  ASSERT_TRUE(commit());
  EXPECT_LE(held(), 4U);
  begin(one_, 100);
  const FlowTable table = node_.guard().flows().value();
  EXPECT_GE(table.held, 100U);
  const auto scope = netns::Scope::enter(node_.netns()).value();
  EXPECT_EQ(std::to_string(table.most), netns::readSysctl("netfilter/nf_conntrack_max").value());
}

}  // namespace
}  // namespace multinet::agent::policing
