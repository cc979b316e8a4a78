// The rules in the kernel: when they come, when they go, and who may change them.
#include <algorithm>

#include "lib/netlink/neighbour.h"
#include "nodeagent/isolation/test_switch.h"

namespace multinet::agent::isolation {
namespace {

using api::PortSecurity;

constexpr unsigned kIpv4 = 0x0800;
constexpr unsigned kArp = 0x0806;
constexpr unsigned kIpv6 = 0x86DD;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmp6 = 58;

class PortGuardTest : public SwitchTest {
 protected:
  /// What the kernel has of our table.
  nft::Elements elements() {
    auto listing = other_.list(portTable());
    EXPECT_TRUE(listing) << listing.error().message;
    return *listing ? (*listing)->sets : nft::Elements{};
  }
  bool has(const Port& port, PortSecurity asked) {
    const auto ports = portsIn(elements());
    const auto found = ports.find(port.name);
    return found != ports.end() && found->second == elementsOf(port, asked);
  }
  /// Whether `frame` comes out at `receiver`, which hears `last` in any case.
  static bool arrives(const RawSocket& sender, const Bytes& frame, const Bytes& last,
                      const RawSocket& receiver) {
    sender.send(frame);
    sender.send(last);
    return isHeard(frame, last, receiver);
  }

  TestPod one_{1};
  TestPod two_{2};
  TestPod three_{3};
  nft::Committer other_ = nft::Committer::open().value();
};

TEST_F(PortGuardTest, RulesAreThereBeforeTheLinkAndGoAfterIt) {
  const auto secured = guard_->secure({one_.port(), two_.port()});
  ASSERT_TRUE(secured) << secured.error().message;
  EXPECT_EQ(secured->added, (std::vector<std::string>{one_.portName(), two_.portName()}));
  EXPECT_EQ(secured->told[0].reason, "Enforced");
  EXPECT_TRUE(secured->told[0].holds);
  EXPECT_TRUE(has(one_.port(), PortSecurity::Enforced));
  const std::uint64_t commits = guard_->commits();
  EXPECT_TRUE(guard_->secure({one_.port(), two_.port()})->added.empty());
  EXPECT_EQ(guard_->commits(), commits) << "what is there isn't written again";
  guard_->release({one_.portName()});
  guard_->release({}, {two_.port().intent});
  EXPECT_EQ(guard_->commits(), commits + 2);
  EXPECT_TRUE(portsIn(elements()).empty());
}

TEST_F(PortGuardTest, ASuccessorWritesNothing) {
  ask(PortSecurity::MacOnly);
  plug(one_);
  start();
  ASSERT_TRUE(guard_->secure({one_.port()}));
  EXPECT_TRUE(has(one_.port(), PortSecurity::MacOnly)) << "until the network is known";
  ask(PortSecurity::MacOnly);
  EXPECT_EQ(guard_->commits(), 0U);
  ask(PortSecurity::Enforced);
  EXPECT_EQ(guard_->commits(), 1U);
  EXPECT_TRUE(has(one_.port(), PortSecurity::Enforced));
}

TEST_F(PortGuardTest, WhatAPredecessorLeftWithoutALinkGoes) {
  plug(one_);
  ASSERT_TRUE(guard_->secure({two_.port()}));  // killed before the link was made
  start();
  EXPECT_TRUE(eventually([&] { return !portsIn(elements()).contains(two_.portName()); }));
  EXPECT_TRUE(has(one_.port(), PortSecurity::Enforced)) << "its pod wasn't looked at yet";
  ASSERT_TRUE(guard_->secure({three_.port()}));  // its link comes later
  EXPECT_TRUE(has(three_.port(), PortSecurity::Enforced));
}

TEST_F(PortGuardTest, ATableOfAnotherVersionIsReplacedWithItsPorts) {
  plug(one_);
  guard_.reset();
  ASSERT_TRUE(
      other_.commit("add rule bridge multinet port accept\n"
                    "add set bridge multinet newer { type ifname; }\n"
                    "add element bridge multinet newer { \"mnvtest1\" }\n"));
  start();
  EXPECT_TRUE(eventually([&] { return !elements().contains("newer"); }));
  EXPECT_TRUE(has(one_.port(), PortSecurity::Enforced));
}

TEST_F(PortGuardTest, WhatSomebodyChangesIsPutBackInOneTransaction) {
  plug(one_);
  ASSERT_TRUE(eventually([&] { return other_.matches(portTable()).has_value(); }));
  ASSERT_TRUE(other_.commit("add table bridge theirs\nadd set bridge theirs s { type ifname; }\n"));
  for (const char* edit :
       {"flush table bridge multinet\n", "delete table bridge multinet\n",
        "flush set bridge multinet macs\n", "add element bridge multinet open { \"mnvtest1\" }\n",
        "insert rule bridge multinet port accept\n", "flush ruleset\n"}) {
    const std::uint64_t commits = guard_->commits();
    ASSERT_TRUE(other_.commit(edit)) << edit;
    EXPECT_TRUE(eventually([&] {
      const auto listing = other_.list(portTable()).value();
      return listing && listing->hasShapeOf(portTable()) &&
             has(one_.port(), PortSecurity::Enforced);
    })) << edit;
    EXPECT_EQ(guard_->commits(), commits + 1) << edit;
    if (std::string(edit) != "flush ruleset\n") {
      EXPECT_TRUE(other_.exists("theirs", "bridge").value()) << edit;
    }
  }
}

TEST_F(PortGuardTest, AFlushBetweenTwoLooksIsNoReasonToRefuse) {
  GuardOptions options;
  options.lookEvery = std::chrono::hours(1);
  guard_ = PortGuard::start(std::nullopt, options, clock_).value();
  ASSERT_TRUE(guard_->secure({one_.port()}));
  unsigned number = 1;
  for (const char* edit : {"flush ruleset\n", "delete table bridge multinet\n"}) {
    ASSERT_TRUE(other_.commit(edit));
    const Port next = TestPod(++number).port();
    const auto secured = guard_->secure({next});
    ASSERT_TRUE(secured) << secured.error().message;
    EXPECT_EQ(secured->added, std::vector<std::string>{next.name});
    EXPECT_TRUE(has(next, PortSecurity::Enforced));
    EXPECT_TRUE(has(one_.port(), PortSecurity::Enforced)) << "who was there before";
  }
  // Nothing is left to be taken away of one that is released, either.
  ASSERT_TRUE(other_.commit("flush set bridge multinet macs\n"));
  guard_->release({one_.portName()});
  EXPECT_FALSE(portsIn(elements()).contains(one_.portName()));
  EXPECT_TRUE(has(two_.port(), PortSecurity::Enforced));
}

TEST_F(PortGuardTest, WordsOfAPredecessorThatArentPortsAreLeftOut) {
  ask(PortSecurity::Enforced);
  plug(one_);
  guard_.reset();
  ASSERT_TRUE(other_.commit("add element bridge multinet tunnels { 7 comment \"theirs\" }\n"));
  start();
  EXPECT_TRUE(eventually([&] { return elements()["tunnels"] == std::set<std::string>{"4799"}; }));
  EXPECT_TRUE(has(one_.port(), PortSecurity::Enforced));
}

TEST_F(PortGuardTest, WhereTheKernelRefusesNothingIsSecured) {
  ASSERT_TRUE(failpoint::arm("isolation.commit.before=error"));
  start();
  const auto first = guard_->secure({one_.port()});
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().reason, "KernelLacks");
  EXPECT_NE(first.error().message.find("NF_TABLES_BRIDGE"), std::string::npos);
  ask(PortSecurity::Disabled);
  const auto open = guard_->secure({one_.port()});
  ASSERT_TRUE(open) << open.error().message;
  EXPECT_FALSE(open->told[0].holds);
  EXPECT_EQ(open->told[0].reason, "KernelLacks");
  ASSERT_TRUE(failpoint::arm(""));
  ask(PortSecurity::Enforced);
  ASSERT_TRUE(guard_->secure({one_.port()}));
  ASSERT_TRUE(failpoint::arm("isolation.commit.before=error"));
  const auto second = guard_->secure({one_.port(), two_.port()});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "CommitFailed");
  ASSERT_TRUE(failpoint::arm(""));
  EXPECT_TRUE(has(one_.port(), PortSecurity::Enforced));
  EXPECT_FALSE(portsIn(elements()).contains(two_.portName()));
}

TEST_F(PortGuardTest, ADropThatTheKernelRefusedIsMadeLater) {
  ASSERT_TRUE(guard_->secure({one_.port()}));
  ASSERT_TRUE(failpoint::arm("isolation.commit.before=error"));
  guard_->release({one_.portName()});
  EXPECT_TRUE(has(one_.port(), PortSecurity::Enforced));
  ASSERT_TRUE(failpoint::arm(""));
  EXPECT_TRUE(eventually([&] { return portsIn(elements()).empty(); }));
}

TEST_F(PortGuardTest, TheBridgeLearnsNothingFromFramesThatItKeeps) {
  plug(one_);
  plug(two_);
  const RawSocket sender = one_.raw();
  const RawSocket receiver = two_.raw();
  // LLDP, and 802.1X, in the neighbour's name: the bridge doesn't forward them, but would learn.
  sender.send(ethernet(Bytes{0x01, 0x80, 0xc2, 0, 0, 0x0e}, two_.mac(), 0x88CC, Bytes(60, 1)));
  sender.send(ethernet(Bytes{0x01, 0x80, 0xc2, 0, 0, 0x03}, two_.mac(), 0x888E, Bytes(60, 1)));
  const Bytes last =
      ethernet(kEverybody, one_.mac(), kArp, arp(1, one_.mac(), one_.v4(), "10.20.0.9"));
  sender.send(last);
  while (receiver.next() != last) ASSERT_FALSE(HasFailure());
  const int port = netlink::findLink(socket_, {0, one_.portName()}).value().index;
  const auto entries = netlink::findFdb(socket_).value();
  EXPECT_TRUE(std::ranges::none_of(entries, [&](const netlink::FdbEntry& entry) {
    return entry.linkIndex == port && entry.mac == two_.mac();
  }));
  EXPECT_EQ(dropped("ethertype"), 1U);
}

TEST_F(PortGuardTest, ATaggedFrameGoesNowhere) {
  plug(one_);
  plug(two_);
  const Bytes inner =
      ethernet(two_.mac(), one_.mac(), kIpv4, ipv4(one_.v4(), two_.v4(), kUdp, udp(5000, 5001)));
  const Bytes last =
      ethernet(two_.mac(), one_.mac(), kIpv4, ipv4(one_.v4(), two_.v4(), kUdp, udp(5000, 5002)));
  for (const unsigned vlan : {0U, 5U}) {
    const RawSocket sender = one_.raw();
    const RawSocket receiver = two_.raw();
    EXPECT_FALSE(arrives(sender, tagged(inner, vlan), last, receiver)) << vlan;
    EXPECT_FALSE(arrives(sender, tagged(tagged(inner, vlan), 7), last, receiver)) << vlan;
  }
  EXPECT_EQ(dropped("ethertype"), 4U);
}

TEST_F(PortGuardTest, NobodyElseIsWhoAPodIs) {
  plug(one_);
  plug(two_);
  // Of a network of another node: it comes by a port that isn't a pod's, the tunnel.
  netlink::VethSpec spec;
  spec.hostName = "mnxtest";
  spec.bridgeIndex = netlink::findLink(socket_, {0, "br-test"}).value().index;
  spec.peerName = "net1";
  spec.peerNetns = three_.netns().get();
  spec.peerMac = three_.mac();
  spec.mtu = 1500;
  ASSERT_TRUE(socket_.run(netlink::createVeth(spec)));
  {
    const auto scope = netns::Scope::enter(three_.netns()).value();
    auto inner = netlink::Socket::open().value();
    ASSERT_TRUE(inner.run(netlink::setUp({0, "net1"})));
  }
  const RawSocket sender = three_.raw();
  const RawSocket receiver = one_.raw();
  const MacAddress them = three_.mac();
  const Bytes last =
      ethernet(one_.mac(), them, kIpv4, ipv4("10.20.0.9", one_.v4(), kUdp, udp(1, 2)));
  struct Claim {
    Bytes frame;
    const char* reason;
  };
  const std::vector<Claim> claims = {
      {ethernet(kEverybody, them, kArp, arp(1, them, one_.v4(), "10.20.0.9")), "claimed"},
      {ethernet(one_.mac(), them, kIpv4, ipv4(one_.v4(), one_.v4(), kUdp, udp(1, 2))), "claimed"},
      {ethernet(one_.mac(), them, kIpv6, ipv6(one_.v6(), one_.v6(), kUdp, udp(1, 2))), "claimed"},
      {ethernet(one_.mac(), them, kIpv6,
                ipv6("fd00:20::9", "ff02::1", kIcmp6, neighbour(136, one_.v6()))),
       "claimed"},
      {ethernet(one_.mac(), them, kIpv6, ipv6("fe80::9", "ff02::1", kIcmp6, icmp(134))), "router"},
      {ethernet(one_.mac(), them, kIpv4, ipv4("10.20.0.9", one_.v4(), kUdp, udp(67, 68))), "dhcp"},
  };
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const std::uint64_t before = dropped(claims[i].reason);
    EXPECT_FALSE(arrives(sender, claims[i].frame, last, receiver)) << i;
    EXPECT_GT(dropped(claims[i].reason), before) << i;
  }
  static_cast<void>(socket_.run(netlink::deleteLink({0, "mnxtest"})));
}

TEST_F(PortGuardTest, AFloodIsBoundedAndCutsNobodyOff) {
  plug(one_);
  plug(two_);
  constexpr unsigned kFrames = 20'000;
  const RawSocket sender = one_.raw();
  const Bytes flood =
      ethernet(kEverybody, one_.mac(), kArp, arp(1, one_.mac(), one_.v4(), "10.20.0.9"));
  const Bytes last =
      ethernet(two_.mac(), one_.mac(), kIpv4, ipv4(one_.v4(), two_.v4(), kUdp, udp(5000, 5001)));
  Ears ears(two_.netns(), "net1", flood, last);
  const auto begin = std::chrono::steady_clock::now();
  for (unsigned i = 0; i < kFrames; ++i) sender.send(flood);
  const unsigned seen = ears.countUntilLast(sender);
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_LE(seen, 2000 + static_cast<unsigned>(1000 * took) + 1);
  EXPECT_GT(dropped("flood"), 0U);
  EXPECT_LE(dropped("flood"), kFrames - seen);
}

TEST_F(PortGuardTest, WithoutIpv6NoneGetsThroughInAnyMode) {
  Port v4Only = one_.port();
  v4Only.addresses.pop_back();
  for (const auto security :
       {PortSecurity::Enforced, PortSecurity::MacOnly, PortSecurity::Disabled}) {
    ask(security);
    ASSERT_TRUE(guard_->secure({v4Only, two_.port()}));
    one_.plug(socket_);
    two_.plug(socket_);
    const std::uint64_t before = dropped("ipv6");
    const Bytes frame =
        ethernet(two_.mac(), one_.mac(), kIpv6, ipv6(one_.v6(), two_.v6(), kUdp, udp(5000, 5001)));
    const Bytes last =
        ethernet(two_.mac(), one_.mac(), kIpv4, ipv4(one_.v4(), two_.v4(), kUdp, udp(5000, 5001)));
    const RawSocket sender = one_.raw();
    const RawSocket receiver = two_.raw();
    EXPECT_FALSE(arrives(sender, frame, last, receiver)) << api::name(security);
    EXPECT_EQ(dropped("ipv6"), before + 1) << api::name(security);
    for (const TestPod* pod : {&one_, &two_}) {
      ASSERT_TRUE(socket_.run(netlink::deleteLink({0, pod->portName()})));
    }
  }
}

TEST_F(PortGuardTest, CountsGoOnWhenTheTableIsPutBack) {
  plug(one_);
  plug(two_);
  const RawSocket sender = one_.raw();
  const Bytes forged =
      ethernet(two_.mac(), two_.mac(), kIpv4, ipv4(one_.v4(), two_.v4(), kUdp, udp(5000, 5001)));
  sender.send(forged);
  EXPECT_EQ(dropped("source_mac"), 1U);
  ASSERT_TRUE(other_.commit("flush set bridge multinet macs\n"));
  ASSERT_TRUE(eventually([&] { return has(one_.port(), PortSecurity::Enforced); }));
  const std::uint64_t before = dropped("source_mac");
  EXPECT_GE(before, 1U);
  sender.send(forged);
  EXPECT_EQ(dropped("source_mac"), before + 1);
}

}  // namespace
}  // namespace multinet::agent::isolation
