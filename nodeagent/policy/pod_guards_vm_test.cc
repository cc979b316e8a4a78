// Policies in pods whose links are ipvlans, on a kernel that has them.
#include <gtest/gtest.h>
#include <linux/if_link.h>

#include "nodeagent/policy/pod_fixture.h"

namespace multinet::agent::policing {
namespace {

using policy::Program;

class IpvlanPolicyTest : public testing::TestWithParam<std::uint16_t> {
 protected:
  void attach(const Program& program) {
    commit(program);
    for (TestPod* pod : {&one_, &two_, &three_}) node_.attach(*pod);
  }
  void commit(const Program& program) {
    std::map<policy::PodKey, attach::PodPort> ports;
    for (const TestPod* pod : {&one_, &two_, &three_}) {
      ports.emplace(pod->key(), ParentNode::portOf(*pod));
    }
    const auto refused = node_.guards().commit(kBlue, program, nullptr,
                                               {ports, api::TrackConnections::Auto, gateways_});
    ASSERT_TRUE(refused.empty()) << refused.begin()->second.message;
  }
  /// Port 7000 of or from these.
  [[nodiscard]] static Program with(std::initializer_list<std::string> allowed) {
    Program program;
    for (const std::string& text : allowed) {
      const IpAddress address = IpAddress::parse(text).value();
      program.addresses.put({address, address}, 5);
    }
    program.permits = {{1, 5, api::Protocol::TCP, 7000, 7000},
                       {1, 5, api::Protocol::UDP, 7000, 7000}};
    return program;
  }
  [[nodiscard]] Program toTwo(std::initializer_list<std::string> allowed) const {
    Program program = with(allowed);
    program.ingress[two_.key()] = 1;
    return program;
  }
  [[nodiscard]] Program fromOne(std::initializer_list<std::string> allowed) const {
    Program program = with(allowed);
    program.egress[one_.key()] = 1;
    return program;
  }

  ParentNode node_{GetParam()};
  TestPod one_{1};
  TestPod two_{2};
  TestPod three_{3};
  std::set<IpAddress> gateways_;
};

TEST_P(IpvlanPolicyTest, APodGetsWhatItsPoliciesAllowAndATighterOneEndsFlows) {
  attach(toTwo({one_.v4(), one_.v6()}));
  for (const bool isV6 : {false, true}) {
    commit(toTwo({one_.v4(), one_.v6()}));
    UdpPair flow(one_, two_, 7000, isV6);
    EXPECT_TRUE(flow.exchange());
    TcpPair connection(one_, two_, 7000, isV6);
    EXPECT_TRUE(connection.exchange());
    EXPECT_FALSE(UdpPair(one_, two_, 7001, isV6).arrives(End::Client));
    EXPECT_FALSE(UdpPair(three_, two_, 7000, isV6).arrives(End::Client));
    EXPECT_TRUE(UdpPair(two_, three_, 7002, isV6).exchange());
    commit(toTwo({three_.v4(), three_.v6()}));
    EXPECT_FALSE(flow.arrives(End::Client));
    EXPECT_FALSE(flow.arrives(End::Server));
    EXPECT_FALSE(connection.arrives(End::Client));
    EXPECT_TRUE(UdpPair(three_, two_, 7000, isV6).exchange());
  }
  EXPECT_GT(node_.guards().denied().ingress, 0U);
}

TEST_P(IpvlanPolicyTest, APodSendsWhatItsPoliciesAllowAndNoRawFrame) {
  attach(fromOne({two_.v4(), two_.v6()}));
  for (const bool isV6 : {false, true}) {
    EXPECT_TRUE(UdpPair(one_, two_, 7000, isV6).exchange());
    EXPECT_FALSE(UdpPair(one_, two_, 7001, isV6).arrives(End::Client));
    EXPECT_FALSE(UdpPair(one_, three_, 7000, isV6).arrives(End::Client));
    EXPECT_TRUE(UdpPair(three_, one_, 7003, isV6).exchange());
  }
  const std::uint64_t before = node_.guards().denied().egress;
  const Bytes frame = ethernet(node_.parentMac(), node_.parentMac(), kIpv4,
                               ipv4(one_.v4(), three_.v4(), kUdp, udp(999, 7000)));
  for (int i = 0; i < 3; ++i) one_.raw().offer(frame);
  EXPECT_EQ(node_.guards().denied().egress, before + 3);
}

/// Three is the node's gateway.
TEST_P(IpvlanPolicyTest, ChecksOfTheNodesGatewayPassAndClientsWhomItJudged) {
  for (const std::string& text : {three_.v4(), three_.v6()}) {
    gateways_.insert(IpAddress::parse(text).value());
  }
  attach(toTwo({}));
  for (const bool isV6 : {false, true}) {
    ASSERT_TRUE(UdpPair(three_, two_, 7000, isV6, 2000).exchange());
    EXPECT_TRUE(TcpPair(three_, two_, 7000, isV6, 700).exchange());
    EXPECT_FALSE(UdpPair(three_, two_, 7000, isV6, 20000).arrives(End::Client));
    EXPECT_FALSE(UdpPair(one_, two_, 7000, isV6, 2000).arrives(End::Client)) << "a pod's";
  }
  gateways_.clear();
  commit(toTwo({}));
  EXPECT_FALSE(UdpPair(three_, two_, 7000, false, 2001).arrives(End::Client));
}

/// By the wire it comes another way than from a pod beside it.
TEST_P(IpvlanPolicyTest, WhatComesByTheWireIsJudgedToo) {
  attach(toTwo({"10.0.0.9"}));
  const RawSocket wire(node_.wire(), "wire0");
  const RoutedSocket receiver(two_);
  const auto gets = [&](const std::string& from, unsigned port) {
    const Bytes inner = udp(1234, port);
    wire.send(ethernet(node_.parentMac(), macOf("02:00:00:00:09:09"), kIpv4,
                       ipv4(from, two_.v4(), kUdp, inner)));
    for (int i = 0; i < 20; ++i) {
      if (receiver.heard(inner)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  };
  EXPECT_TRUE(gets("10.0.0.9", 7000));
  EXPECT_FALSE(gets("10.0.0.9", 7001));
  EXPECT_FALSE(gets("10.0.0.8", 7000));
}

INSTANTIATE_TEST_SUITE_P(Modes, IpvlanPolicyTest,
                         testing::Values(std::uint16_t{IPVLAN_MODE_L2},
                                         std::uint16_t{IPVLAN_MODE_L3}));

}  // namespace
}  // namespace multinet::agent::policing
