// The guard against the kernel: what it commits, adopts and puts back, and what becomes of flows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <cstdlib>

#include "nodeagent/isolation/test_xdp.h"
#include "nodeagent/policy/flows_fixture.h"

namespace multinet::agent::policing {
namespace {

using policy::kEverybody;
using policy::Program;

class PolicyGuardTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(failpoint::arm(""));
    if (!node_.guard().tracking()) GTEST_SKIP() << "the kernel tells no flows of bridges";
  }
  void TearDown() override { static_cast<void>(failpoint::arm("")); }

  void plug(std::initializer_list<TestPod*> pods) {
    for (TestPod* pod : pods) pod->plug(node_);
    for (TestPod* pod : pods) pod->announce();
  }
  [[nodiscard]] Status commit(Program program, std::initializer_list<const TestPod*> pods) {
    Policed wanted{std::move(program), {}};
    for (const TestPod* pod : pods) wanted.ports[pod->key()] = pod->port();
    return node_.guard().commit(kBlue, "br-blue", std::move(wanted));
  }
  /// Every port is open to whom it was, but `two` gets what class 5 sends to port 7000.
  [[nodiscard]] Program toTwo(std::initializer_list<const TestPod*> allowed) const {
    Program program;
    program.ingress[two_.key()] = 1;
    for (const TestPod* pod : allowed) allow(program, *pod, 5);
    if (allowed.size() > 0) {
      program.permits = {{1, 5, api::Protocol::TCP, 7000, 7000},
                         {1, 5, api::Protocol::UDP, 6999, 7000}};
    }
    return program;
  }
  static void allow(Program& program, const TestPod& pod, policy::Number peers) {
    for (const std::string& text : {pod.v4(), pod.v6()}) {
      const IpAddress address = IpAddress::parse(text).value();
      program.addresses.put({address, address}, peers);
    }
  }
  [[nodiscard]] bool isTracked() {
    return netlink::findLink(node_.socket(), {0, "br-blue"}).value().callsInet;
  }
  [[nodiscard]] Bytes datagram(const TestPod& from, const TestPod& to, unsigned source,
                               unsigned port) const {
    return ethernet(to.mac(), from.mac(), kIpv4, ipv4(from.v4(), to.v4(), kUdp, udp(source, port)));
  }

  TestNode node_{{"br-blue", "br-red"}};
  TestPod one_{1};
  TestPod two_{2};
  TestPod three_{3};
};

TEST_F(PolicyGuardTest, ATighterPolicyEndsOpenFlowsAtTheNextPacket) {
  plug({&one_, &two_, &three_});
  for (const TestPod* pod : {&one_, &two_, &three_}) pod->address();
  ASSERT_TRUE(commit(toTwo({&one_, &three_}), {&one_, &two_, &three_}));
  for (const bool isV6 : {false, true}) {
    UdpPair ended(one_, two_, 7000, isV6);
    TcpPair connection(one_, two_, 7000, isV6);
    UdpPair other(three_, two_, 6999, isV6);
    TcpPair otherConnection(three_, two_, 7000, isV6);
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(ended.exchange());
      EXPECT_TRUE(connection.exchange());
      EXPECT_TRUE(other.exchange());
      EXPECT_TRUE(otherConnection.exchange());
    }
    ASSERT_TRUE(commit(toTwo({&three_}), {&one_, &two_, &three_}));
    // Both ways, and not only until flows have a generation again.
    for (int i = 0; i < 2; ++i) {
      EXPECT_FALSE(ended.arrives(End::Client));
      EXPECT_FALSE(ended.arrives(End::Server));
      EXPECT_FALSE(connection.arrives(End::Client));
      EXPECT_FALSE(connection.arrives(End::Server));
      EXPECT_TRUE(other.exchange());
      EXPECT_TRUE(otherConnection.exchange());
    }
    ASSERT_TRUE(commit(toTwo({&one_, &three_}), {&one_, &two_, &three_}));
    EXPECT_TRUE(ended.exchange());
    EXPECT_TRUE(connection.arrivesInTime(End::Client));
    EXPECT_TRUE(otherConnection.exchange());
  }
}

/// Three is a gateway's port.
TEST_F(PolicyGuardTest, OfTheNodesGatewayChecksPassAndClientsWhomItJudged) {
  plug({&one_, &two_, &three_});
  for (const TestPod* pod : {&one_, &two_, &three_}) pod->address();
  Program closed = toTwo({});
  closed.egress[two_.key()] = 2;
  const auto hold = [&](const Program& program) {
    Policed wanted{program, {{two_.key(), two_.port()}}, {three_.port()}};
    return node_.guard().commit(kBlue, "br-blue", std::move(wanted));
  };
  ASSERT_TRUE(hold(closed));
  const auto syn = [&](const TestPod& from, const TestPod& to, unsigned source) {
    return ethernet(to.mac(), from.mac(), kIpv4,
                    ipv4(from.v4(), to.v4(), kTcp, tcpSyn(source, 7000)));
  };
  for (const unsigned source : {512U, 1023U, 1024U, 16383U}) {
    EXPECT_TRUE(arrives(three_, syn(three_, two_, source), two_)) << source;
    EXPECT_FALSE(arrives(one_, syn(one_, two_, source), two_)) << "a pod's from " << source;
  }
  for (const unsigned source : {511U, 16384U, 65535U}) {
    EXPECT_FALSE(arrives(three_, syn(three_, two_, source), two_)) << "another's from " << source;
  }
  EXPECT_FALSE(arrives(three_, datagram(three_, two_, 1023, 7000), two_)) << "no check is UDP";
  EXPECT_TRUE(arrives(three_, datagram(three_, two_, 1024, 7000), two_));
  EXPECT_FALSE(arrives(one_, datagram(one_, two_, 1024, 7000), two_));
  EXPECT_FALSE(arrives(three_, datagram(three_, two_, 16384, 7000), two_));
  EXPECT_FALSE(arrives(two_, syn(two_, three_, 7000), three_)) << "it begins nothing";
  for (const bool isV6 : {false, true}) {
    TcpPair check(three_, two_, 7000, isV6, 700);
    UdpPair client(three_, two_, 7000, isV6, 2000);
    EXPECT_TRUE(client.exchange());
    EXPECT_TRUE(check.exchange());
    // Flows are judged again, and answers too.
    Program more = closed;
    more.egress[two_.key()] = 3;
    more.permits = {{3, kEverybody, api::Protocol::UDP, 9, 9}};
    ASSERT_TRUE(hold(more));
    EXPECT_TRUE(check.arrivesInTime(End::Server));
    EXPECT_TRUE(check.arrivesInTime(End::Client));
    EXPECT_TRUE(client.exchange());
    ASSERT_TRUE(hold(closed));
    EXPECT_TRUE(check.exchange());
  }
  ASSERT_TRUE(eventually([&] { return node_.elements()["current"].size() == 1; }));
  node_.start();
  ASSERT_TRUE(hold(closed));
  EXPECT_EQ(node_.guard().commits(), 0U) << "a restart writes nothing";
  EXPECT_EQ(node_.elements()["gateways"], std::set<std::string>{three_.port()});
  // Without the gateway its port is nobody's.
  ASSERT_TRUE(commit(closed, {&two_}));
  EXPECT_TRUE(node_.elements()["gateways"].empty());
  EXPECT_FALSE(arrives(three_, syn(three_, two_, 800), two_));
}

TEST_F(PolicyGuardTest, AnOpenFlowIsntJudgedAgainWhileNothingTightens) {
  plug({&one_, &two_, &three_});
  for (const TestPod* pod : {&one_, &two_}) pod->address();
  ASSERT_TRUE(commit(toTwo({&one_}), {&one_, &two_}));
  UdpPair flow(one_, two_, 7000, false);
  ASSERT_TRUE(flow.exchange());
  ASSERT_TRUE(
      node_.nft("table bridge spy {\n counter judged { }\n chain c {\n"
                "type filter hook forward priority 20; policy accept;\n"
                "ether type ip meta mark 0x4d4e0004 counter name \"judged\"\n}\n}\n"));
  const auto judged = [&] {
    const auto scope = netns::Scope::enter(node_.netns()).value();
    nft::Table spy;
    spy.name = "spy";
    spy.family = "bridge";
    spy.counters = {"judged"};
    return nft::Committer::open().value().counters(spy).value().at("judged");
  };
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(flow.exchange());
  EXPECT_EQ(judged(), 0U);
  // Who isn't isolated and one peer more tighten nothing.
  Program more = toTwo({&one_, &three_});
  ASSERT_TRUE(commit(more, {&one_, &two_, &three_}));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(flow.exchange());
  EXPECT_EQ(judged(), 0U);
  ASSERT_TRUE(commit(toTwo({&one_}), {&one_, &two_, &three_}));
  EXPECT_TRUE(flow.exchange());
  EXPECT_GT(judged(), 0U);
  // Once settled it passes again.
  EXPECT_TRUE(eventually([&] {
    const std::uint64_t before = judged();
    return flow.exchange() && judged() == before;
  }));
}

TEST_F(PolicyGuardTest, WhatIsNoConnectionIsntJudged) {
  plug({&one_, &two_});
  Program program;  // neither may do anything
  for (const TestPod* pod : {&one_, &two_}) {
    program.ingress[pod->key()] = 1;
    program.egress[pod->key()] = 1;
  }
  ASSERT_TRUE(commit(program, {&one_, &two_}));
  const auto v4 = [&](std::uint8_t protocol, const Bytes& payload) {
    return ethernet(two_.mac(), one_.mac(), kIpv4, ipv4(one_.v4(), two_.v4(), protocol, payload));
  };
  const auto v6 = [&](std::uint8_t protocol, const Bytes& payload) {
    return ethernet(two_.mac(), one_.mac(), kIpv6, ipv6(one_.v6(), two_.v6(), protocol, payload));
  };
  EXPECT_TRUE(arrives(one_, one_.question(isolation::of(two_.mac())), two_));
  for (const std::uint8_t type : Bytes{133, 134, 135, 136, 137, 130, 131, 132, 143}) {
    EXPECT_TRUE(arrives(one_, v6(58, neighbour(type, two_.v6())), two_)) << int{type};
  }
  EXPECT_TRUE(arrives(one_, v4(2, icmp(0x22)), two_)) << "IGMP";
  for (const std::uint8_t type : Bytes{1, 2, 3, 4, 128, 129}) {
    EXPECT_FALSE(arrives(one_, v6(58, icmp(type)), two_)) << int{type};
  }
  for (const std::uint8_t type : Bytes{0, 3, 5, 8, 11}) {
    EXPECT_FALSE(arrives(one_, v4(1, icmp(type)), two_)) << int{type};
  }
  EXPECT_FALSE(arrives(one_, v4(47, Bytes(24, 0)), two_)) << "GRE";
  const Bytes honest = v4(kUdp, udp(5000, 7000));
  EXPECT_FALSE(arrives(one_, honest, two_));
  EXPECT_FALSE(arrives(one_, isolation::tagged(honest, 7), two_, honest));
  for (const unsigned type : {0x8847U, 0x88CCU, 0x8863U, 38U}) {
    const Bytes frame = ethernet(two_.mac(), one_.mac(), type, Bytes(60, 1));
    EXPECT_FALSE(arrives(one_, frame, two_)) << type;
  }
  // One that may do anything with everybody may do that, too.
  program.permits = {{1, kEverybody, std::nullopt, 0, 0}};
  ASSERT_TRUE(commit(program, {&one_, &two_}));
  EXPECT_TRUE(arrives(one_, ethernet(two_.mac(), one_.mac(), 0x8847, Bytes(60, 1)), two_));
  EXPECT_TRUE(arrives(one_, isolation::tagged(honest, 7), two_, honest));
  EXPECT_TRUE(arrives(one_, v4(47, Bytes(24, 0)), two_));
}

TEST_F(PolicyGuardTest, NoSocketSendsPastItsRules) {
  plug({&one_, &two_});
  Program program;
  program.egress[one_.key()] = 1;
  allow(program, two_, 5);
  program.permits = {{1, 5, api::Protocol::UDP, 7000, 7000}};
  ASSERT_TRUE(commit(program, {&one_, &two_}));
  const Bytes allowed = datagram(one_, two_, 5000, 7000);
  const Bytes denied = datagram(one_, two_, 5000, 7001);
  const RawSocket past(one_.netns(), "net1", true);
  past.send(denied);
  EXPECT_TRUE(arrives(one_, allowed, two_));
  EXPECT_TRUE(eventually([&] { return node_.guard().denied().egress == 1; }));
  auto xdp = isolation::XdpSocket::open(one_.netns(), "net1");
  if (!xdp) return;  // a kernel without AF_XDP has one way less
  xdp->send(denied);
  EXPECT_TRUE(eventually([&] { return node_.guard().denied().egress == 2; }));
}

TEST_F(PolicyGuardTest, AnswersAndErrorsOfAFlowPass) {
  plug({&one_, &two_});
  for (const TestPod* pod : {&one_, &two_}) pod->address();
  Program program = toTwo({&one_});
  program.egress[two_.key()] = 2;   // it may begin nothing
  program.ingress[one_.key()] = 2;  // and nobody may begin anything with the other
  ASSERT_TRUE(commit(program, {&one_, &two_}));
  for (const bool isV6 : {false, true}) {
    UdpPair flow(one_, two_, 7000, isV6);
    EXPECT_TRUE(flow.exchange());
    // Nobody listens there any more, and the client is told so.
    flow.closeServer();
    EXPECT_TRUE(flow.isRefused());
    EXPECT_FALSE(UdpPair(one_, two_, 7001, isV6).exchange());
    EXPECT_FALSE(UdpPair(two_, one_, 7000, isV6).exchange());
  }
}

TEST_F(PolicyGuardTest, FragmentsAreJudgedAsOnePacket) {
  plug({&one_, &two_});
  for (const TestPod* pod : {&one_, &two_}) pod->address();
  ASSERT_TRUE(commit(toTwo({&one_}), {&one_, &two_}));
  constexpr std::size_t kBig = 6000;
  for (const bool isV6 : {false, true}) {
    EXPECT_TRUE(UdpPair(one_, two_, 7000, isV6).exchange(kBig));
    EXPECT_FALSE(UdpPair(one_, two_, 7001, isV6).arrives(End::Client, kBig));
  }
  // Nor does a later fragment pass by itself.
  const Bytes later = ethernet(two_.mac(), one_.mac(), kIpv4,
                               ipv4(one_.v4(), two_.v4(), kUdp, Bytes(64, 1), 0x2004));
  EXPECT_FALSE(arrives(one_, later, two_));
}

TEST_F(PolicyGuardTest, TwoNetworksWithOneSubnetShareNothing) {
  TestPod redOne(1, "r");
  TestPod redTwo(2, "r");
  plug({&one_, &two_});
  for (TestPod* pod : {&redOne, &redTwo}) pod->plug(node_, "br-red");
  for (TestPod* pod : {&redOne, &redTwo}) pod->announce();
  ASSERT_TRUE(commit(toTwo({&one_}), {&one_, &two_}));
  const auto commitRed = [&](Program program) {
    Policed wanted{std::move(program), {{redTwo.key(), redTwo.port()}}};
    return node_.guard().commit(kRed, "br-red", std::move(wanted));
  };
  ASSERT_TRUE(commitRed(toTwo({})));
  EXPECT_TRUE(arrives(one_, datagram(one_, two_, 5000, 7000), two_));
  EXPECT_TRUE(arrives(two_, datagram(two_, one_, 7000, 5000), one_));
  EXPECT_TRUE(arrives(one_, datagram(one_, two_, 5000, 7000), two_));
  EXPECT_FALSE(arrives(redOne, datagram(redOne, redTwo, 5000, 7000), redTwo));
  EXPECT_TRUE(arrives(redTwo, datagram(redTwo, redOne, 7000, 5000), redOne)) << "it may begin";
  EXPECT_TRUE(arrives(redOne, datagram(redOne, redTwo, 5000, 7000), redTwo)) << "an answer";
  // Nor fragments: halves of two networks don't make one packet.
  const auto half = [&](const TestPod& from, const TestPod& to, const Bytes& payload,
                        unsigned fragment) {
    return ethernet(to.mac(), from.mac(), kIpv4, ipv4(from.v4(), to.v4(), kUdp, payload, fragment));
  };
  const Bytes first = udp(5000, 7000) + Bytes(8, 0);
  const Bytes rest = Bytes(32, 2);
  EXPECT_FALSE(arrives(one_, half(one_, two_, first, 0x2000), two_));
  EXPECT_FALSE(arrives(redOne, half(redOne, redTwo, rest, 4), redTwo));
  // One network's end isn't the other's.
  node_.guard().forget(kRed);
  EXPECT_TRUE(arrives(redOne, datagram(redOne, redTwo, 5001, 7000), redTwo));
  EXPECT_FALSE(arrives(one_, datagram(one_, two_, 5001, 7001), two_));
}

TEST_F(PolicyGuardTest, ARestartWritesNothing) {
  plug({&one_, &two_, &three_});
  for (const TestPod* pod : {&one_, &two_}) pod->address();
  Program program = toTwo({&one_});
  program.egress[three_.key()] = 9;
  allow(program, three_, 11);
  program.permits.insert({9, 5, std::nullopt, 0, 0});
  program.permits.insert({1, 11, api::Protocol::SCTP, 1, 65535});
  const IpPrefix wide = IpPrefix::parse("10.7.0.0/16").value();
  program.addresses.put({wide.first(), wide.last()}, 12);
  ASSERT_TRUE(commit(program, {&one_, &two_, &three_}));
  ASSERT_TRUE(eventually([&] { return node_.elements()["current"].size() == 1; }));
  UdpPair flow(one_, two_, 7000, false);
  EXPECT_TRUE(flow.exchange());
  const auto before = node_.elements();
  node_.start();
  // Its successor counts otherwise.
  Program again;
  again.ingress[two_.key()] = 21;
  again.egress[three_.key()] = 20;
  allow(again, one_, 4);
  allow(again, three_, 3);
  again.addresses.put({wide.first(), wide.last()}, 1);
  again.permits = {{21, 4, api::Protocol::TCP, 7000, 7000},
                   {21, 4, api::Protocol::UDP, 6999, 7000},
                   {20, 4, std::nullopt, 0, 0},
                   {21, 3, api::Protocol::SCTP, 1, 65535}};
  ASSERT_TRUE(commit(again, {&one_, &two_, &three_}));
  EXPECT_EQ(node_.guard().commits(), 0U);
  EXPECT_EQ(node_.elements(), before);
  EXPECT_TRUE(flow.exchange());
  // And goes on from there.
  again.permits.erase({21, 4, api::Protocol::UDP, 6999, 7000});
  ASSERT_TRUE(commit(again, {&one_, &two_, &three_}));
  EXPECT_FALSE(flow.arrives(End::Client));
}

TEST_F(PolicyGuardTest, APolicyThatChangedBetweenTwoAgentsIsTakenOver) {
  plug({&one_, &two_});
  Program program = toTwo({&one_});
  const auto allowing = [&](std::uint16_t first, std::uint16_t last) {
    program.permits = {{1, 5, api::Protocol::UDP, first, last}};
    return commit(program, {&one_, &two_});
  };
  ASSERT_TRUE(allowing(7000, 7010));
  for (const auto& [first, last] :
       {std::pair{7000, 7020}, {7005, 7008}, {7000, 7000}, {1, 65535}}) {
    node_.start();
    const Status done =
        allowing(static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last));
    ASSERT_TRUE(done) << first << "-" << last << ": " << done.error().message;
    for (const int port : {7000, 7005, 7010, 7020}) {
      EXPECT_EQ(arrives(one_, datagram(one_, two_, 5000, static_cast<unsigned>(port)), two_),
                first <= port && port <= last)
          << port << " of " << first << "-" << last;
    }
  }
}

TEST_F(PolicyGuardTest, WhatSomebodyElseChangesIsPutBack) {
  plug({&one_, &two_});
  ASSERT_TRUE(commit(toTwo({&one_}), {&one_, &two_}));
  const std::string flows = node_.guard().tracking() == Tracking::Bridge ? "bridge multinet-flows"
                                                                         : "inet multinet-flows";
  const auto rules = [&] {
    auto elements = node_.elements();
    for (const char* const set : kGenerationSets) elements.erase(set);
    return elements;
  };
  const auto before = rules();
  for (const std::string& change :
       {std::string("flush set bridge multinet-policy isolated\n"),
        std::string("delete table bridge multinet-policy\n"), "delete table " + flows + "\n",
        std::string("flush chain bridge multinet-policy forward\n"), std::string("flush ruleset\n"),
        std::string("add element bridge multinet-policy every { 0:1 . 0 }\n")}) {
    ASSERT_TRUE(node_.nft(change)) << change;
    EXPECT_TRUE(eventually([&] {
      return rules() == before && !arrives(one_, datagram(one_, two_, 5000, 7001), two_);
    })) << change;
    EXPECT_TRUE(arrives(one_, datagram(one_, two_, 5000, 7000), two_)) << change;
  }
  EXPECT_TRUE(eventually([&] { return node_.elements()["current"].size() == 1; }));
}

TEST_F(PolicyGuardTest, WhatCantBePutBackIsTroubleTillItIs) {
  plug({&one_, &two_});
  ASSERT_TRUE(commit(toTwo({&one_}), {&one_, &two_}));
  EXPECT_EQ(node_.guard().trouble(), std::nullopt);
  ASSERT_TRUE(failpoint::arm("policy.commit.before=error"));
  ASSERT_FALSE(commit(toTwo({}), {&one_, &two_}));
  EXPECT_EQ(node_.guard().trouble(), std::nullopt) << "what was committed is there";
  ASSERT_TRUE(node_.nft("flush ruleset\n"));
  ASSERT_TRUE(eventually([&] { return node_.guard().trouble().has_value(); }));
  EXPECT_EQ(node_.guard().trouble()->reason, "CommitFailed");
  ASSERT_TRUE(failpoint::arm(""));
  EXPECT_TRUE(eventually([&] { return !node_.guard().trouble(); }));
  EXPECT_FALSE(node_.elements().empty());
}

TEST_F(PolicyGuardTest, AFlushBetweenTwoLooksIsNoReasonToRefuse) {
  plug({&one_, &two_, &three_});
  ASSERT_TRUE(commit(toTwo({&one_}), {&one_, &two_}));
  // Often enough that most come before a look.
  for (unsigned i = 0; i < 5; ++i) {
    ASSERT_TRUE(node_.nft("flush ruleset\n"));
    const bool isMore = i % 2 == 0;
    const Status held = commit(isMore ? toTwo({&one_, &three_}) : toTwo({&one_}), {&one_, &two_});
    ASSERT_TRUE(held) << i << ": " << held.error().message;
    EXPECT_EQ(arrives(three_, datagram(three_, two_, 5000, 7000), two_), isMore) << i;
    ASSERT_TRUE(node_.nft("flush ruleset\n"));
    policy::AddressChange change;
    const IpAddress address = IpAddress::parse(three_.v4()).value();
    (isMore ? change.removed : change.added)
        .emplace_back(policy::AddressRange{address, address}, 5);
    const Status changed = node_.guard().change(kBlue, "br-blue", {{}, change});
    ASSERT_TRUE(changed) << i << ": " << changed.error().message;
    EXPECT_EQ(arrives(three_, datagram(three_, two_, 5000, 7000), two_), !isMore) << i;
  }
  // Flows have a generation again after all that.
  EXPECT_TRUE(eventually([&] { return node_.elements()["current"].size() == 1; }));
}

TEST_F(PolicyGuardTest, ARefusedCommitLeavesWhatWas) {
  plug({&one_, &two_});
  ASSERT_TRUE(commit(toTwo({&one_}), {&one_, &two_}));
  const auto before = node_.elements();
  ASSERT_TRUE(failpoint::arm("policy.commit.before=error"));
  const Status refused = commit(toTwo({}), {&one_, &two_});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::Unavailable);
  EXPECT_EQ(refused.error().reason, "CommitFailed");
  EXPECT_EQ(node_.elements(), before);
  EXPECT_TRUE(arrives(one_, datagram(one_, two_, 5000, 7000), two_));
  node_.guard().forget(kBlue);
  EXPECT_EQ(node_.elements(), before);
  ASSERT_TRUE(failpoint::arm(""));
  EXPECT_TRUE(eventually([&] { return node_.elements().empty(); }));
  EXPECT_TRUE(arrives(one_, datagram(one_, two_, 5000, 7001), two_));
}

TEST_F(PolicyGuardTest, LeftoversWithoutALinkGo) {
  plug({&two_});
  Program program = toTwo({&one_});
  program.egress[one_.key()] = 3;
  program.egress[three_.key()] = 3;
  ASSERT_TRUE(commit(program, {&one_, &two_, &three_}));
  node_.start();
  EXPECT_TRUE(eventually(
      [&] { return node_.elements()["isolated"] == std::set<std::string>{two_.port()}; }));
  // Its network is committed later, and needs no others.
  ASSERT_TRUE(commit(toTwo({&one_}), {&two_}));
  plug({&one_});
  EXPECT_TRUE(arrives(one_, datagram(one_, two_, 5000, 7000), two_));
  EXPECT_FALSE(arrives(one_, datagram(one_, two_, 5000, 7001), two_));
  node_.stop();
  ASSERT_TRUE(node_.socket().run(netlink::deleteLink({0, two_.port()})));
  node_.start();
  EXPECT_TRUE(eventually([&] { return node_.elements().empty(); }));
}

TEST_F(PolicyGuardTest, WithoutAnIsolatedPortNothingIsTracked) {
  plug({&one_, &two_});
  ASSERT_TRUE(commit({}, {&one_, &two_}));
  EXPECT_EQ(node_.guard().commits(), 0U);
  EXPECT_TRUE(node_.elements().empty());
  EXPECT_FALSE(isTracked());
  ASSERT_TRUE(commit(toTwo({}), {&one_, &two_}));
  const bool byNetfilter = node_.guard().tracking() == Tracking::BrNetfilter;
  EXPECT_EQ(isTracked(), byNetfilter);
  // What is isolated elsewhere is no affair of this node's.
  ASSERT_TRUE(commit(toTwo({}), {&one_}));
  EXPECT_TRUE(node_.elements().empty());
  EXPECT_FALSE(isTracked());
  Policed asked;
  asked.track = api::TrackConnections::Always;
  ASSERT_TRUE(node_.guard().commit(kBlue, "br-blue", asked));
  EXPECT_EQ(node_.elements()["bridges"], std::set<std::string>{"br-blue"});
}

/// A first policy on ingress alone: that a pod may begin connections of its own to the same peer
/// doesn't save those that the peer began.
TEST_F(PolicyGuardTest, WhereAllIsTrackedAFirstPolicyEndsWhatItDoesntAllow) {
  plug({&one_, &two_, &three_});
  for (const TestPod* pod : {&one_, &two_, &three_}) pod->address();
  const auto hold = [&](Program program) {
    Policed wanted{std::move(program), {}};
    for (const TestPod* pod : {&one_, &two_, &three_}) wanted.ports[pod->key()] = pod->port();
    wanted.track = api::TrackConnections::Always;
    return node_.guard().commit(kBlue, "br-blue", std::move(wanted));
  };
  for (const bool isV6 : {false, true}) {
    ASSERT_TRUE(hold({}));
    TcpPair ended(one_, two_, 7000, isV6);
    TcpPair other(three_, two_, 7000, isV6);
    TcpPair own(two_, one_, 7002, isV6);
    UdpPair datagrams(one_, two_, 7000, isV6);
    for (TcpPair* pair : {&ended, &other, &own}) EXPECT_TRUE(pair->exchange());
    EXPECT_TRUE(datagrams.exchange());
    // The same agent goes on, or another.
    if (isV6) node_.start();
    ASSERT_TRUE(hold(toTwo({&three_})));
    for (int i = 0; i < 2; ++i) {
      EXPECT_FALSE(ended.arrives(End::Client));
      EXPECT_FALSE(ended.arrives(End::Server));
      EXPECT_FALSE(datagrams.arrives(End::Server));
      EXPECT_FALSE(datagrams.arrives(End::Client));
      EXPECT_TRUE(other.exchange());
      EXPECT_TRUE(own.exchange()) << "it began that one itself";
    }
  }
}

/// Each datagram of a burst arrives, whatever the tracking does meanwhile.
TEST_F(PolicyGuardTest, NoPacketIsLostWhenTrackingBeginsAndEnds) {
  plug({&one_, &two_});
  for (const TestPod* pod : {&one_, &two_}) pod->address();
  UdpPair datagrams(one_, two_, 7000, false);
  TcpPair connection(one_, two_, 7000, true);
  for (int i = 0; i < 10; ++i) {
    Policed wanted{{}, {{one_.key(), one_.port()}, {two_.key(), two_.port()}}};
    wanted.track = i % 2 == 0 ? api::TrackConnections::Always : api::TrackConnections::Auto;
    std::atomic<bool> done = false;
    std::thread sender([&] {
      while (!done) {
        EXPECT_TRUE(datagrams.arrives(End::Client, 8, kPatience));
        EXPECT_TRUE(datagrams.arrives(End::Server, 8, kPatience));
      }
    });
    EXPECT_TRUE(node_.guard().commit(kBlue, "br-blue", std::move(wanted)));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    done = true;
    sender.join();
    EXPECT_TRUE(connection.exchange());
  }
  EXPECT_TRUE(node_.elements().empty());
}

TEST_F(PolicyGuardTest, ABridgeWhoseTrackingSomebodyEndsIsTrackedAgain) {
  if (node_.guard().tracking() == Tracking::Bridge) return;  // no setting of a bridge's
  plug({&one_, &two_});
  ASSERT_TRUE(commit(toTwo({&one_}), {&one_, &two_}));
  ASSERT_TRUE(node_.socket().run(
      netlink::setCallsInet({node_.bridge("br-blue"), "br-blue"}, netlink::CallsInet::No)));
  // Untracked it is closed, not open.
  EXPECT_FALSE(arrives(one_, datagram(one_, two_, 5000, 7001), two_));
  EXPECT_TRUE(eventually([&] { return isTracked(); }));
}

TEST_F(PolicyGuardTest, DenialsAreCountedByPortAndDirection) {
  plug({&one_, &two_});
  Program program = toTwo({&one_});
  program.egress[one_.key()] = 3;
  allow(program, two_, 8);
  program.permits.insert({3, 8, api::Protocol::UDP, 7000, 7001});
  ASSERT_TRUE(commit(program, {&one_, &two_}));
  EXPECT_TRUE(arrives(one_, datagram(one_, two_, 5000, 7000), two_));
  EXPECT_FALSE(arrives(one_, datagram(one_, two_, 5001, 7001), two_));
  EXPECT_FALSE(arrives(one_, datagram(one_, two_, 5002, 7002), two_));
  EXPECT_FALSE(arrives(one_, datagram(one_, two_, 5003, 7002), two_));
  const std::map<std::string, Denied> wanted = {{one_.port(), {2, 0}}, {two_.port(), {0, 1}}};
  EXPECT_EQ(node_.guard().deniedByPort(), wanted);
  EXPECT_EQ(node_.guard().denied(), (Denied{2, 1}));
  ASSERT_TRUE(node_.nft("delete table bridge multinet-policy\n"));
  ASSERT_TRUE(eventually([&] { return !node_.elements()["isolated"].empty(); }));
  EXPECT_FALSE(arrives(one_, datagram(one_, two_, 5003, 7002), two_));
  EXPECT_GE(node_.guard().denied().egress, 1U);
}

/// MULTINET_ATTACHES: as many, for a long look.
unsigned attachesToSee() {
  constexpr unsigned kAttaches = 25;
  const char* const asked = std::getenv("MULTINET_ATTACHES");  // NOLINT(concurrency-mt-unsafe)
  return asked == nullptr ? kAttaches : static_cast<unsigned>(std::stoul(asked));
}

TEST_F(PolicyGuardTest, NothingPassesBeforeItsRules) {
  plug({&one_});
  std::atomic<bool> ends{false};
  const Bytes frame = datagram(one_, two_, 5000, 7001);
  std::thread flood([&] {
    while (!ends) one_.raw().send(frame);
  });
  unsigned passed = 0;
  for (unsigned i = 0; i < attachesToSee(); ++i) {
    ASSERT_TRUE(commit(toTwo({}), {&two_}));
    two_.plug(node_);
    // The last that comes tells that all before it are through.
    const Bytes last = one_.question(isolation::of(two_.mac()), i);
    std::atomic<bool> seen{false};
    std::thread asks([&] {
      while (!seen) one_.raw().send(last);
    });
    for (Bytes heard = two_.raw().next(); heard != last; heard = two_.raw().next()) {
      if (heard == frame) ++passed;
    }
    seen = true;
    asks.join();
    ASSERT_TRUE(node_.socket().run(netlink::deleteLink({0, two_.port()})));
    ASSERT_TRUE(commit({}, {}));
  }
  ends = true;
  flood.join();
  EXPECT_EQ(passed, 0U);
}

/// By turns the same under other numbers, with a port more, and a peer in the middle of a block.
Program variantOf(policy::Number turn, const TestPod& to, const TestPod& from) {
  const policy::Number subject = 100 + turn;
  const policy::Number peers = 1000 + turn % 3;
  const IpAddress address = IpAddress::parse(from.v4()).value();
  const IpAddress first = IpAddress::parse("10.0.0.4").value();
  const IpAddress last = IpAddress::parse("10.0.255.255").value();
  Program program;
  program.ingress[to.key()] = subject;
  program.addresses.put({address, address}, peers);
  program.addresses.put({first, last}, 500);
  if (turn % 2 != 0) {
    const IpAddress inside = IpAddress::parse("10.0.9.9").value();
    program.addresses.put({inside, inside}, peers);
  }
  program.permits = {
      {subject, peers, api::Protocol::UDP, 7000, static_cast<std::uint16_t>(7000 + turn % 2)},
      {subject, 500, api::Protocol::UDP, 7000, 7000}};
  return program;
}

TEST_F(PolicyGuardTest, NoVerdictIsWrongDuringAThousandUpdates) {
  // Each probe is a flow of its own, more than a small machine grants a pod.
  node_.start({.mostFlows = 1U << 20U});
  plug({&one_, &two_, &three_});
  std::atomic<bool> ends{false};
  std::atomic<unsigned> updates{0};
  ASSERT_TRUE(commit(variantOf(0, two_, one_), {&one_, &two_, &three_}));
  std::thread updater([&] {
    constexpr unsigned kUpdates = 1000;
    // An emulated machine doesn't get as far.
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (unsigned i = 1; i <= kUpdates && std::chrono::steady_clock::now() < limit; ++i) {
      EXPECT_TRUE(commit(variantOf(i, two_, one_), {&one_, &two_, &three_}));
      ++updates;
    }
    ends = true;
  });
  const auto fromBlock = [&](unsigned source, unsigned port) {
    return ethernet(two_.mac(), one_.mac(), kIpv4,
                    ipv4("10.0.200.1", two_.v4(), kUdp, udp(source, port)));
  };
  // On one processor what is sent first comes first.
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(::sched_getcpu(), &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  unsigned probes = 0;
  std::array<unsigned, 4> wrong{};
  while (!ends) {
    const unsigned source = 1024 + probes % 60000;
    wrong[0] += arrives(one_, datagram(one_, two_, source, 7000), two_) ? 0U : 1U;
    wrong[1] += arrives(one_, fromBlock(source, 7000), two_) ? 0U : 1U;
    wrong[2] += arrives(three_, datagram(three_, two_, source, 7000), two_) ? 1U : 0U;
    wrong[3] += arrives(one_, fromBlock(source, 7001), two_) ? 1U : 0U;
    ++probes;
  }
  updater.join();
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
  EXPECT_THAT(wrong, testing::Each(0U)) << "of " << probes << " in " << updates << " updates";
  EXPECT_GT(updates, 50U);
  EXPECT_GT(probes, 100U);
}

}  // namespace
}  // namespace multinet::agent::policing
