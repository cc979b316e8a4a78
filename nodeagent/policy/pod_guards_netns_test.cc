// Policies in pods against the kernel: who gets through, what becomes of flows, of raw frames, and
// of what a pod does to its rules.
#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "lib/nft/elements.h"
#include "lib/policy/test_worlds.h"
#include "nodeagent/policy/pod_fixture.h"

namespace multinet::agent::policing {
namespace {

using policy::Program;

class PodGuardsTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(failpoint::arm("")); }
  void TearDown() override { static_cast<void>(failpoint::arm("")); }

  [[nodiscard]] std::map<policy::PodKey, Error> commit(const Program& program,
                                                       std::initializer_list<TestPod*> pods) {
    std::map<policy::PodKey, attach::PodPort> ports;
    for (const TestPod* pod : pods) ports.emplace(pod->key(), ParentNode::portOf(*pod));
    return node_.guards().commit(kBlue, program, nullptr, {ports, track_, gateways_});
  }
  void attach(const Program& program, std::initializer_list<TestPod*> pods) {
    ASSERT_TRUE(commit(program, pods).empty());
    for (TestPod* pod : pods) node_.attach(*pod);
  }
  /// `two` gets at port 7000 what these send it.
  [[nodiscard]] Program toTwo(std::initializer_list<const TestPod*> allowed) const {
    Program program;
    program.ingress[two_.key()] = 1;
    for (const TestPod* pod : allowed) allow(program, *pod);
    if (allowed.size() > 0) {
      program.permits = {{1, 5, api::Protocol::TCP, 7000, 7000},
                         {1, 5, api::Protocol::UDP, 7000, 7000}};
    }
    return program;
  }
  /// `one` sends to port 7000 of these.
  [[nodiscard]] Program fromOne(std::initializer_list<const TestPod*> allowed) const {
    Program program = toTwo(allowed);
    program.ingress.clear();
    program.egress[one_.key()] = 1;
    return program;
  }
  static void allow(Program& program, const TestPod& pod) {
    for (const std::string& text : {pod.v4(), pod.v6()}) {
      const IpAddress address = IpAddress::parse(text).value();
      program.addresses.put({address, address}, 5);
    }
  }
  /// Of an agent that was there before, or of nobody.
  [[nodiscard]] std::uint64_t commits() { return node_.guards().commits(); }

  ParentNode node_;
  TestPod one_{1};
  TestPod two_{2};
  TestPod three_{3};
  api::TrackConnections track_ = api::TrackConnections::Auto;
  std::set<IpAddress> gateways_;
};

TEST_F(PodGuardsTest, APodGetsWhatItsPoliciesAllowFromItsFirstPacketOn) {
  attach(toTwo({&one_}), {&one_, &two_, &three_});
  for (const bool isV6 : {false, true}) {
    EXPECT_TRUE(UdpPair(one_, two_, 7000, isV6).exchange());
    EXPECT_TRUE(TcpPair(one_, two_, 7000, isV6).exchange());
    EXPECT_FALSE(UdpPair(one_, two_, 7001, isV6).arrives(End::Client));
    EXPECT_FALSE(UdpPair(three_, two_, 7000, isV6).arrives(End::Client));
    // It may begin what it likes, and answers come.
    EXPECT_TRUE(UdpPair(two_, three_, 7002, isV6).exchange());
  }
  EXPECT_GT(node_.guards().denied().ingress, 0U);
  EXPECT_EQ(node_.guards().denied().egress, 0U);
}

TEST_F(PodGuardsTest, ATighterPolicyEndsOpenFlowsAtTheNextPacket) {
  attach(toTwo({&one_, &three_}), {&one_, &two_, &three_});
  for (const bool isV6 : {false, true}) {
    ASSERT_TRUE(commit(toTwo({&one_, &three_}), {&one_, &two_, &three_}).empty());
    UdpPair ended(one_, two_, 7000, isV6);
    TcpPair connection(one_, two_, 7000, isV6);
    TcpPair other(three_, two_, 7000, isV6);
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(ended.exchange());
      EXPECT_TRUE(connection.exchange());
      EXPECT_TRUE(other.exchange());
    }
    ASSERT_TRUE(commit(toTwo({&three_}), {&one_, &two_, &three_}).empty());
    for (int i = 0; i < 2; ++i) {
      EXPECT_FALSE(ended.arrives(End::Client));
      EXPECT_FALSE(ended.arrives(End::Server));
      EXPECT_FALSE(connection.arrives(End::Client));
      EXPECT_FALSE(connection.arrives(End::Server));
      EXPECT_TRUE(other.exchange());
    }
  }
}

TEST_F(PodGuardsTest, WhereAllIsTrackedAFirstPolicyEndsWhatItDoesntAllow) {
  track_ = api::TrackConnections::Always;
  attach({}, {&one_, &two_, &three_});
  for (const bool isV6 : {false, true}) {
    ASSERT_TRUE(commit({}, {&one_, &two_, &three_}).empty());
    TcpPair ended(one_, two_, 7000, isV6);
    TcpPair other(three_, two_, 7000, isV6);
    TcpPair own(two_, one_, 7002, isV6);
    for (TcpPair* pair : {&ended, &other, &own}) EXPECT_TRUE(pair->exchange());
    if (isV6) node_.start();
    ASSERT_TRUE(commit(toTwo({&three_}), {&one_, &two_, &three_}).empty());
    for (int i = 0; i < 2; ++i) {
      EXPECT_FALSE(ended.arrives(End::Client));
      EXPECT_FALSE(ended.arrives(End::Server));
      EXPECT_TRUE(other.exchange());
      EXPECT_TRUE(own.exchange()) << "it began that one itself";
    }
  }
  // What isn't asked for any more goes.
  track_ = api::TrackConnections::Auto;
  ASSERT_TRUE(commit({}, {&one_, &two_, &three_}).empty());
  EXPECT_TRUE(ParentNode::elements(one_).empty());
}

TEST_F(PodGuardsTest, APodSendsWhatItsPoliciesAllowAndNoRawFrameElse) {
  attach(fromOne({&two_}), {&one_, &two_, &three_});
  for (const bool isV6 : {false, true}) {
    UdpPair flow(one_, two_, 7000, isV6);
    EXPECT_TRUE(flow.exchange());
    EXPECT_TRUE(flow.exchange());
    EXPECT_FALSE(UdpPair(one_, three_, 7000, isV6).arrives(End::Client));
    EXPECT_FALSE(UdpPair(one_, two_, 7001, isV6).arrives(End::Client));
    // Others may begin with it, and get its answers.
    EXPECT_TRUE(UdpPair(three_, one_, 7003, isV6).exchange());
  }
  EXPECT_GT(node_.guards().denied().egress, 0U);
  const auto frame = [](const TestPod& from, const TestPod& to, unsigned type) {
    return ethernet(to.mac(), from.mac(), type, ipv4(from.v4(), to.v4(), kUdp, udp(999, 7000)));
  };
  const auto isHeard = [](const TestPod& from, const TestPod& to, const Bytes& sent,
                          unsigned protocol) {
    static unsigned count = 0;
    const Bytes last = from.question(isolation::of(to.mac()), ++count);
    from.raw().offerAs(sent, protocol);
    from.raw().send(last);
    return isolation::isHeard(sent, last, to.raw());
  };
  const std::uint64_t before = node_.guards().denied().egress;
  for (const unsigned protocol : {kIpv4, kArp, 0x0003U}) {
    EXPECT_FALSE(isHeard(one_, three_, frame(one_, three_, kIpv4), protocol)) << protocol;
  }
  EXPECT_FALSE(isHeard(one_, three_, isolation::tagged(frame(one_, three_, kIpv4), 7), 0x8100));
  EXPECT_GE(node_.guards().denied().egress, before + 4);
  EXPECT_TRUE(isHeard(three_, one_, frame(three_, one_, kIpv4), kIpv4)) << "it isn't isolated";
  const RawSocket bypass(one_.netns(), "net1", true);
  bypass.offer(frame(one_, three_, kIpv4));
  const Bytes last = one_.question(isolation::of(three_.mac()), 9999);
  one_.raw().send(last);
  EXPECT_FALSE(isolation::isHeard(frame(one_, three_, kIpv4), last, three_.raw()));
}

/// Three is the gateway of this node, four another's.
class PodsGatewayTest : public PodGuardsTest {
 protected:
  void SetUp() override {
    PodGuardsTest::SetUp();
    for (const std::string& text : {three_.v4(), three_.v6()}) {
      gateways_.insert(IpAddress::parse(text).value());
    }
    closed_ = toTwo({});
    closed_.egress[two_.key()] = 2;
    attach(closed_, {&two_});
    for (TestPod* pod : {&one_, &three_, &four_}) node_.attach(*pod);
  }
  [[nodiscard]] static bool isLetIn(const TestPod& from, const TestPod& to, unsigned source,
                                    bool isUdp, bool isV6) {
    const Bytes inner = isUdp ? udp(source, 7000) : tcpSyn(source, 7000);
    const std::uint8_t protocol = isUdp ? kUdp : kTcp;
    const Bytes packet = isV6 ? ipv6(from.v6(), to.v6(), protocol, inner)
                              : ipv4(from.v4(), to.v4(), protocol, inner);
    policy::Packet headers;
    headers.destination = IpAddress::parse(isV6 ? to.v6() : to.v4()).value();
    const RoutedSocket sender(from);
    const RoutedSocket receiver(to);
    // The first of a pair waits for the neighbour's answer.
    for (int i = 0; i < 6; ++i) {
      static_cast<void>(sender.send(headers, packet));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      if (receiver.heard(inner)) return true;
    }
    return false;
  }
  [[nodiscard]] Status hold(const Program& program) {
    const auto refused = commit(program, {&two_});
    return refused.empty() ? Status{} : fail(refused.begin()->second);
  }

  TestPod four_{4};
  Program closed_;
};

TEST_F(PodsGatewayTest, ChecksPassAndClientsWhomTheNodeJudged) {
  for (const bool isV6 : {false, true}) {
    for (const unsigned source : {512U, 1023U, 1024U, 16383U}) {
      EXPECT_TRUE(isLetIn(three_, two_, source, false, isV6)) << source;
      EXPECT_FALSE(isLetIn(one_, two_, source, false, isV6)) << "a pod's from " << source;
      EXPECT_FALSE(isLetIn(four_, two_, source, false, isV6)) << "another node's from " << source;
    }
    for (const unsigned source : {511U, 16384U, 65535U}) {
      EXPECT_FALSE(isLetIn(three_, two_, source, false, isV6)) << "another's from " << source;
    }
    EXPECT_FALSE(isLetIn(three_, two_, 1023, true, isV6)) << "no check is UDP";
    EXPECT_TRUE(isLetIn(three_, two_, 1024, true, isV6));
    EXPECT_FALSE(isLetIn(one_, two_, 1024, true, isV6));
    EXPECT_FALSE(isLetIn(three_, two_, 16384, true, isV6));
    EXPECT_FALSE(isLetIn(two_, three_, 700, false, isV6)) << "it begins nothing";
  }
}

TEST_F(PodsGatewayTest, WhatItBeganGoesOnAsPoliciesChange) {
  for (const bool isV6 : {false, true}) {
    TcpPair check(three_, two_, 7000, isV6, 700);
    UdpPair client(three_, two_, 7000, isV6, 2000);
    EXPECT_TRUE(client.exchange());
    EXPECT_TRUE(check.exchange());
    // Flows are judged again, and answers too.
    Program more = closed_;
    more.egress[two_.key()] = 3;
    more.permits = {{3, policy::kEverybody, api::Protocol::UDP, 9, 9}};
    ASSERT_TRUE(hold(more));
    EXPECT_TRUE(check.arrivesInTime(End::Server));
    EXPECT_TRUE(check.arrivesInTime(End::Client));
    EXPECT_TRUE(client.exchange());
    ASSERT_TRUE(hold(closed_));
    EXPECT_TRUE(check.exchange());
  }
}

TEST_F(PodsGatewayTest, ASuccessorWritesNothingAndAGatewayThatGoesIsNobody) {
  TcpPair check(three_, two_, 7000, false, 700);
  ASSERT_TRUE(check.exchange());
  ASSERT_TRUE(eventually([&] { return ParentNode::elements(two_)["current"].size() == 1; }));
  node_.start();
  ASSERT_TRUE(hold(closed_));
  EXPECT_EQ(commits(), 0U) << "a restart writes nothing";
  EXPECT_TRUE(check.exchange());
  EXPECT_EQ(ParentNode::elements(two_)["gateways4"],
            std::set<std::string>{"net1 . " + three_.v4()});
  // It comes back with other addresses: told by what changes alone, as after the first time.
  const policy::AddressChange none;
  gateways_ = {IpAddress::parse(four_.v4()).value()};
  const auto refused = node_.guards().commit(
      kBlue, closed_, &none, {{{two_.key(), ParentNode::portOf(two_)}}, track_, gateways_});
  ASSERT_TRUE(refused.empty());
  EXPECT_FALSE(check.arrives(End::Client)) << "its address may be another's";
  EXPECT_FALSE(isLetIn(three_, two_, 800, false, false));
  EXPECT_FALSE(isLetIn(three_, two_, 800, false, true));
  EXPECT_TRUE(isLetIn(four_, two_, 800, false, false));
  gateways_.clear();
  ASSERT_TRUE(hold(closed_));
  EXPECT_TRUE(ParentNode::elements(two_)["gateways4"].empty());
  EXPECT_TRUE(ParentNode::elements(two_)["gateways6"].empty());
  EXPECT_FALSE(isLetIn(four_, two_, 801, false, false));
}

TEST_F(PodGuardsTest, WhatIsAsWishedIsntWrittenAgainByASuccessorEither) {
  attach(fromOne({&two_}), {&one_, &two_});
  UdpPair flow(one_, two_, 7000, false);
  ASSERT_TRUE(flow.exchange());
  ASSERT_TRUE(commit(fromOne({&two_}), {&one_, &two_}).empty());
  const std::uint64_t first = commits();
  ASSERT_TRUE(commit(fromOne({&two_}), {&one_, &two_}).empty());
  EXPECT_EQ(commits(), first);
  const std::uint32_t generation = ParentNode::generation(one_);
  node_.start();
  EXPECT_TRUE(flow.exchange()) << "while no agent knows of it";
  EXPECT_FALSE(UdpPair(one_, two_, 7001, false).arrives(End::Client));
  ASSERT_TRUE(commit(fromOne({&two_}), {&one_, &two_}).empty());
  EXPECT_EQ(commits(), 0U);
  EXPECT_EQ(ParentNode::generation(one_), generation);
  EXPECT_TRUE(flow.exchange());
  // The successor's own changes are as good as the first one's.
  ASSERT_TRUE(commit(fromOne({}), {&one_, &two_}).empty());
  EXPECT_FALSE(flow.arrives(End::Client));
}

TEST_F(PodGuardsTest, ASuccessorGetsPastWhatNoTableTakes) {
  attach(fromOne({&two_}), {&one_, &two_});
  node_.start();
  ASSERT_TRUE(
      ParentNode::nft(one_,
                      "delete table inet multinet-flows\n"
                      "table inet multinet-flows {\n"
                      "  set bridges { type ifname . mark; elements = { \"net1\" . 5 }\n }\n"
                      "  map zones { typeof oifname : ct zone; elements = { \"net1\" : 1 }\n"
                      "  }\n}\n"));
  const auto refused = commit(fromOne({&two_}), {&one_, &two_});
  ASSERT_TRUE(refused.empty()) << refused.begin()->second.message;
  EXPECT_EQ(ParentNode::elements(one_).at("bridges"), std::set<std::string>{"net1"});
  EXPECT_FALSE(UdpPair(one_, two_, 7001, false).arrives(End::Client));
  EXPECT_TRUE(UdpPair(one_, two_, 7000, false).exchange());
}

TEST_F(PodGuardsTest, ASuccessorBeginsAnewWhereNothingThatWasLeftIsAnybodys) {
  attach(fromOne({&two_}), {&one_, &two_});
  node_.start();
  ASSERT_TRUE(ParentNode::nft(one_, "flush map inet multinet-flows zones\n"));
  const auto refused = commit(fromOne({&two_}), {&one_, &two_});
  ASSERT_TRUE(refused.empty()) << refused.begin()->second.message;
  EXPECT_EQ(ParentNode::elements(one_).at("ports").size(), 2U);
  EXPECT_TRUE(UdpPair(one_, two_, 7000, false).exchange());
  EXPECT_FALSE(UdpPair(one_, two_, 7001, false).arrives(End::Client));
}

TEST_F(PodGuardsTest, ASuccessorTakesAwayWhatIsntWantedAnyMore) {
  attach(fromOne({&two_}), {&one_, &two_});
  node_.start();
  ASSERT_TRUE(commit({}, {&one_, &two_}).empty());
  EXPECT_TRUE(ParentNode::elements(one_).empty());
  EXPECT_TRUE(UdpPair(one_, two_, 7001, false).exchange());
}

TEST_F(PodGuardsTest, WhatAPodDoesToItsRulesIsUndone) {
  attach(fromOne({&two_}), {&one_, &two_, &three_});
  const nft::Elements before = ParentNode::elements(one_);
  ASSERT_TRUE(ParentNode::nft(one_, "flush ruleset"));
  EXPECT_TRUE(eventually([&] { return ParentNode::elements(one_).contains("egress"); }));
  EXPECT_FALSE(UdpPair(one_, three_, 7000, false).arrives(End::Client));
  EXPECT_TRUE(UdpPair(one_, two_, 7000, false).exchange());
  EXPECT_TRUE(eventually([&] {  // and raw frames again
    const auto scope = netns::Scope::enter(one_.netns()).value();
    return nft::Committer::open().value().matches(rawTable({"net1"})).value();
  }));
  // Another table of the pod's is its own.
  ASSERT_TRUE(ParentNode::nft(one_, "add table inet own"));
  ASSERT_TRUE(ParentNode::nft(one_, "delete element inet multinet-policy isolated { \"net1\" }"));
  EXPECT_TRUE(eventually(
      [&] { return ParentNode::elements(one_).at("isolated") == before.at("isolated"); }));
  const auto scope = netns::Scope::enter(one_.netns()).value();
  EXPECT_TRUE(nft::Committer::open().value().exists("own").value());
}

TEST_F(PodGuardsTest, WhatCantBePutBackIsThatPodsTroubleTillItIs) {
  Program program = fromOne({&two_});
  program.egress[three_.key()] = 1;
  attach(program, {&one_, &two_, &three_});
  EXPECT_TRUE(node_.guards().troubles().empty());
  for (const char* const point : {"policy.commit.before=error", "policy.raw.before=error"}) {
    ASSERT_TRUE(failpoint::arm(point));
    ASSERT_TRUE(ParentNode::nft(one_, "flush ruleset"));
    ASSERT_TRUE(eventually([&] { return !node_.guards().troubles().empty(); })) << point;
    const auto troubles = node_.guards().troubles();
    EXPECT_EQ(troubles.size(), 1U) << point;
    EXPECT_EQ(troubles.begin()->first, ParentNode::portOf(one_).name);
    EXPECT_EQ(troubles.begin()->second.reason, "CommitFailed");
    ASSERT_TRUE(failpoint::arm(""));
    EXPECT_TRUE(eventually([&] { return node_.guards().troubles().empty(); })) << point;
  }
}

/// Of this process, in KiB: `VmRSS`, or `VmHWM`, the most of it.
long memory(const std::string& what) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(what + ":")) return std::stol(line.substr(what.size() + 1));
  }
  return 0;
}

TEST_F(PodGuardsTest, MillionsOfElementsThatAPodPutsInAreReplacedAndNotRead) {
  constexpr std::uint32_t kMany = 100'000;
  constexpr std::uint32_t kAtOnce = 5'000;
  constexpr long kSome = 24L << 10;  // KiB; a listing takes more than 300 bytes an element
  attach(fromOne({&two_}), {&one_, &two_});
  const nft::Elements before = ParentNode::elements(one_);
  const nft::Table rules = tablesFor(Tracking::Pod, 0).rules;
  // No look puts them back half-way.
  ASSERT_TRUE(failpoint::arm("policy.commit.before=error"));
  {
    const auto set = std::ranges::find(rules.sets, "every", &nft::Set::name);
    const auto scope = netns::Scope::enter(one_.netns()).value();
    auto socket = nft::BatchSocket::open().value();
    for (std::uint32_t i = 0; i < kMany;) {
      std::set<std::string> elements;
      for (const std::uint32_t end = i + kAtOnce; i < end; ++i) {
        elements.insert("0:1 . " + std::to_string(i + 1));
      }
      nft::Batch batch;
      ASSERT_TRUE(nft::putElements({NFT_MSG_NEWSETELEM, rules, *set}, elements, batch));
      const Status done = socket.commit(std::move(batch));
      ASSERT_TRUE(done) << done.error().message;
    }
  }
  std::ofstream("/proc/self/clear_refs") << 5;  // VmHWM begins anew
  const long held = memory("VmRSS");
  ASSERT_TRUE(failpoint::arm(""));
  const auto scope = netns::Scope::enter(one_.netns()).value();
  auto committer = nft::Committer::open().value();
  EXPECT_TRUE(eventually([&] {
    const auto listing = committer.list(rules, nft::kFewStrangers).value();
    return listing && listing->hasShapeOf(rules) && listing->sets.at("every").empty();
  }));
  EXPECT_LT(memory("VmHWM"), held + kSome);
  EXPECT_EQ(ParentNode::elements(one_).at("egress"), before.at("egress"));
}

TEST_F(PodGuardsTest, WhoIsntIsolatedHasNoRulesAndALinkThatGoesLeavesNone) {
  attach(fromOne({&two_}), {&one_, &two_});
  EXPECT_TRUE(ParentNode::elements(two_).empty());
  EXPECT_EQ(ParentNode::generation(two_), ParentNode::generation(three_)) << "of a new namespace";
  node_.guards().leave(ParentNode::portOf(one_));
  node_.guards().leave(ParentNode::portOf(two_));
  EXPECT_EQ(node_.guards().pods(), 0U);
  EXPECT_TRUE(ParentNode::elements(one_).empty());
  const auto scope = netns::Scope::enter(one_.netns()).value();
  EXPECT_FALSE(nft::Committer::open().value().exists("multinet-raw", "netdev").value());
}

TEST_F(PodGuardsTest, WhatOnePodsKernelRefusesIsNobodyElsesTrouble) {
  Program program = fromOne({&two_});
  program.egress[three_.key()] = 1;
  ASSERT_TRUE(failpoint::arm("policy.commit.before@1=error"));
  const auto refused = commit(program, {&one_, &three_});
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused.begin()->first, one_.key());
  EXPECT_EQ(refused.begin()->second.reason, "CommitFailed");
  EXPECT_TRUE(ParentNode::elements(three_).contains("egress"));
  EXPECT_TRUE(commit(program, {&one_, &three_}).empty());
  EXPECT_TRUE(ParentNode::elements(one_).contains("egress"));
}

TEST_F(PodGuardsTest, APodIsLetGoAlsoWhereItsRulesWereRefused) {
  ASSERT_TRUE(failpoint::arm("policy.commit.before=error"));
  EXPECT_EQ(commit(fromOne({&two_}), {&one_}).size(), 1U);
  ASSERT_TRUE(failpoint::arm(""));
  EXPECT_EQ(node_.guards().pods(), 1U);
  node_.guards().leave(ParentNode::portOf(one_));
  EXPECT_EQ(node_.guards().pods(), 0U) << "its namespace would last for ever";
}

TEST_F(PodGuardsTest, ALinkThatIsMadeAnewIsHeldAsTheOneBefore) {
  attach(fromOne({&two_}), {&one_, &two_});
  {
    const auto scope = netns::Scope::enter(one_.netns()).value();
    auto inner = netlink::Socket::open().value();
    ASSERT_TRUE(inner.run(netlink::deleteLink({0, "net1"})));
  }
  node_.attach(one_);
  EXPECT_TRUE(UdpPair(one_, two_, 7000, false).exchange());
  EXPECT_FALSE(UdpPair(one_, two_, 7001, false).arrives(End::Client));
  const std::uint64_t before = node_.guards().denied().egress;
  one_.raw().offer(
      ethernet(two_.mac(), one_.mac(), kIpv4, ipv4(one_.v4(), two_.v4(), kUdp, udp(999, 7000))));
  EXPECT_EQ(node_.guards().denied().egress, before + 1);
}

TEST_F(PodGuardsTest, OtherLinksOfThePodArentItsNetworks) {
  attach(fromOne({}), {&one_, &two_});
  EXPECT_FALSE(UdpPair(one_, two_, 7000, false).arrives(End::Client));
  const auto scope = netns::Scope::enter(one_.netns()).value();
  auto inner = netlink::Socket::open().value();
  ASSERT_TRUE(inner.run(netlink::setUp({0, "lo"})));
  EXPECT_TRUE(UdpPair(one_, one_, 7005, false).exchange()) << "to itself";
}

constexpr unsigned kPods = 7;

/// Of ICMPv6, which sockets don't hear with a wrong checksum.
void sumUp(Bytes& frame) {
  constexpr std::size_t kAddresses = 22;
  constexpr std::size_t kInner = 54;
  constexpr unsigned kIcmpv6 = 58;
  std::uint32_t sum = kIcmpv6 + static_cast<std::uint32_t>(frame.size() - kInner);
  for (std::size_t i = kAddresses; i + 1 < frame.size(); i += 2) {
    sum += frame[i] * 256U + frame[i + 1];
  }
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  const Bytes word = isolation::word(~sum & 0xffffU);
  std::copy(word.begin(), word.end(), frame.begin() + kInner + 2);
}

/// Draws worlds; addresses that are no pod's are `outside_`'s.
class PodTruthTest : public PodGuardsTest {
 protected:
  void SetUp() override {
    PodGuardsTest::SetUp();
    for (unsigned i = 1; i <= kPods; ++i) pods_.push_back(std::make_unique<TestPod>(i, "t"));
    for (const auto& pod : pods_) node_.attach(*pod);
    node_.attach(outside_);
    for (unsigned i = 8; i <= 15; ++i) give("10.0.0." + std::to_string(i) + "/24");
    for (unsigned i = 8; i <= 15; ++i) give("fd00::" + std::to_string(i) + "/64");
    give("192.0.2.7/24");
    give("2001:db8::7/64");
    for (const auto& pod : pods_) {
      const auto scope = netns::Scope::enter(pod->netns()).value();
      auto inner = netlink::Socket::open().value();
      const int index = netlink::findLink(inner, {0, "net1"}).value().index;
      for (const char* text : {"192.0.2.0/24", "2001:db8::/64"}) {
        netlink::RouteInfo route;
        route.to = IpPrefix::parse(text).value();
        route.linkIndex = index;
        ASSERT_TRUE(inner.run(netlink::addRoute(route)));
      }
    }
    for (const auto& pod : pods_) sockets_.push_back(std::make_unique<RoutedSocket>(*pod));
    sockets_.push_back(std::make_unique<RoutedSocket>(outside_));
  }
  void give(const std::string& address) const {
    const auto scope = netns::Scope::enter(outside_.netns()).value();
    auto inner = netlink::Socket::open().value();
    const int index = netlink::findLink(inner, {0, "net1"}).value().index;
    ASSERT_TRUE(inner.run(netlink::addAddress(index, *InterfaceAddress::parse(address))));
  }
  /// Where the address is; kPods: outside.
  static std::size_t placeOf(const IpAddress& address) {
    for (unsigned i = 1; i <= kPods; ++i) {
      const std::string n = std::to_string(i);
      if (address.str() == "10.0.0." + n || address.str() == "fd00::" + n) return i - 1;
    }
    return kPods;
  }
  [[nodiscard]] const TestPod& podAt(std::size_t place) const {
    return place == kPods ? outside_ : *pods_[place];
  }
  /// The world's pods move between namespaces.
  void know(const policy::World& world) {
    keys_.clear();
    for (unsigned i = 1; i <= kPods; ++i) keys_[i - 1] = {"none", "pod-" + std::to_string(i)};
    for (const auto& pod : world.pods) {
      keys_[static_cast<std::size_t>(std::stoi(pod.key.name.substr(4))) - 1] = pod.key;
    }
  }
  [[nodiscard]] const policy::PodKey* keyAt(std::size_t place) const {
    return place == kPods ? nullptr : &keys_.at(place);
  }
  void commitAll(const Program& program) {
    std::map<policy::PodKey, attach::PodPort> ports;
    for (std::size_t i = 0; i < kPods; ++i) {
      ports.emplace(keys_.at(i), ParentNode::portOf(*pods_[i]));
    }
    // By turns all of it, and what differs from the last time.
    const policy::AddressChange since = changeOf(held_.addresses, program.addresses);
    isWhole_ = !isWhole_;
    const auto refused =
        node_.guards().commit(kBlue, program, isWhole_ ? nullptr : &since, {ports});
    ASSERT_TRUE(refused.empty()) << refused.begin()->second.message;
    held_ = program;
  }
  [[nodiscard]] bool passes(const policy::Packet& packet, std::size_t from, std::size_t to) {
    Bytes frame = firstFrame(packet, podAt(from).mac(), podAt(to).mac());
    if (!packet.protocol && !packet.source.isV4()) sumUp(frame);
    const std::size_t header = packet.source.isV4() ? 34 : 54;
    const Bytes inner(frame.begin() + static_cast<std::ptrdiff_t>(header), frame.end());
    static_cast<void>(sockets_[from]->send(packet, Bytes(frame.begin() + 14, frame.end())));
    const Bytes last = podAt(from).question(isolation::of(podAt(to).mac()), ++count_ % 65536);
    podAt(from).raw().send(last);
    static_cast<void>(isolation::isHeard({}, last, podAt(to).raw()));
    return sockets_[to]->heard(inner);
  }
  /// The first of a pair waits for the neighbour's answer, and that one for its address to be its
  /// own, which takes IPv6 up to two seconds.
  bool passesInTime(const policy::Packet& packet, std::size_t from, std::size_t to) {
    for (int i = 0; i < 300; ++i) {
      if (passes(packet, from, to)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  TestPod outside_{80, "t"};
  std::vector<std::unique_ptr<TestPod>> pods_;
  std::vector<std::unique_ptr<RoutedSocket>> sockets_;
  std::map<std::size_t, policy::PodKey> keys_;
  Program held_;
  bool isWhole_ = false;
  unsigned count_ = 0;
};

TEST_F(PodTruthTest, TheKernelLetsPassWhatTheProgramAllows) {
  constexpr unsigned kWorlds = 30;
  constexpr unsigned kSteps = 4;
  constexpr unsigned kPackets = 30;
  policy::Numbers numbers;
  unsigned allowed = 0;
  unsigned denied = 0;
  for (unsigned seed = 1; seed <= kWorlds; ++seed) {
    policy::testing::Draw draw(seed);
    policy::World world = draw.world();
    const policy::Network network = draw.network();
    for (unsigned step = 0; step < kSteps; ++step) {
      know(world);
      const Program program = policy::compile(world, network, numbers);
      ASSERT_NO_FATAL_FAILURE(commitAll(program));
      for (unsigned i = 0; i < kPackets; ++i) {
        const policy::Packet packet = draw.packet();
        const std::size_t from = placeOf(packet.source);
        const std::size_t to = placeOf(packet.destination);
        if (from == to) continue;
        const bool wanted = policy::allows(program, packet, keyAt(from), keyAt(to));
        (wanted ? allowed : denied) += 1;
        const bool seen = wanted ? passesInTime(packet, from, to) : passes(packet, from, to);
        ASSERT_EQ(seen, wanted) << "seed " << seed << ", step " << step << ": "
                                << packet.source.str() << " -> " << packet.destination.str() << " "
                                << (packet.protocol ? static_cast<int>(*packet.protocol) : -1)
                                << ":" << packet.port;
      }
      draw.change(world);
    }
  }
  EXPECT_GT(allowed, 500U);
  EXPECT_GT(denied, 500U);
}

}  // namespace
}  // namespace multinet::agent::policing
