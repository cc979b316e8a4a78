// What a pod on a device (a macvlan) can get past the device and past its own rules: to a pod on
// the same device, and to the wire.
#include <linux/if_link.h>

#include <algorithm>

#include "lib/nft/generation.h"
#include "nodeagent/isolation/test_spoof.h"
#include "nodeagent/isolation/test_xdp.h"

namespace multinet::agent::isolation {
namespace {

using api::PortSecurity;

/// `parent0`, whose cable ends as `wire0` in a namespace of its own.
class ParentTest : public SwitchTest {
 protected:
  void SetUp() override {
    SwitchTest::SetUp();
    makeParent();
  }
  void TearDown() override {
    static_cast<void>(socket_.run(netlink::deleteLink({0, "parent0"})));
    SwitchTest::TearDown();
  }

  void makeParent() {
    netlink::VethSpec spec;
    spec.hostName = "parent0";
    spec.peerName = "wire0";
    spec.peerNetns = wire_.get();
    spec.peerMac = wireMac_;
    spec.mtu = 1500;
    ASSERT_TRUE(socket_.run(netlink::createVeth(spec)));
    const auto scope = netns::Scope::enter(wire_).value();
    auto inner = netlink::Socket::open().value();
    ASSERT_TRUE(inner.run(netlink::setUp({0, "wire0"})));
  }
  Port portOf(const TestPod& pod) {
    Port port = pod.port();
    port.name = pod.mac().str();
    port.site = Site::NodeParent;
    port.parent = "parent0";
    port.parentIndex = netlink::findLink(socket_, {0, "parent0"}).value().index;
    return port;
  }
  /// As an attach does it: rules of the parent, the link, rules in the pod, and up.
  void plugOnto(const TestPod& pod, bool withRules = true) {
    if (withRules) {
      const auto secured = guard_->secure({portOf(pod)});
      ASSERT_TRUE(secured) << secured.error().message;
    }
    netlink::MacvlanSpec spec;
    spec.name = "net1";
    spec.parent = "parent0";
    spec.parentIndex = portOf(pod).parentIndex;
    spec.mode = MACVLAN_MODE_BRIDGE;
    spec.netns = pod.netns().get();
    spec.mac = pod.mac();
    spec.mtu = 1500;
    ASSERT_TRUE(socket_.run(netlink::createMacvlan(spec)));
    if (withRules) securePod(pod, PortGuard::Pod::New);
    const auto scope = netns::Scope::enter(pod.netns()).value();
    ASSERT_TRUE(netns::writeSysctl("ipv6/conf/net1/disable_ipv6", "1"));
    auto inner = netlink::Socket::open().value();
    ASSERT_TRUE(inner.run(netlink::setUp({0, "net1"})));
  }
  void securePod(const TestPod& pod, PortGuard::Pod state) {
    const auto scope = netns::Scope::enter(pod.netns()).value();
    const Status secured = guard_->securePod({portOf(pod)}, state);
    ASSERT_TRUE(secured) << secured.error().message;
  }
  /// Those in the sender's own rules too.
  std::uint64_t droppedWith(const TestPod& pod, const std::string& reason) {
    securePod(pod, PortGuard::Pod::Running);
    return dropped(reason);
  }
  std::uint64_t allDropped() {
    std::uint64_t sum = 0;
    for (const auto& [reason, frames] : guard_->drops()) sum += frames;
    return sum;
  }
  std::uint64_t allDroppedWith(const TestPod& pod) {
    securePod(pod, PortGuard::Pod::Running);
    return allDropped();
  }
  /// Whether `frame` comes out at `receiver`, which hears `last` in any case.
  static bool arrives(const RawSocket& sender, const Bytes& frame, const RawSocket& lastSender,
                      const Bytes& last, const RawSocket& receiver) {
    sender.offer(frame);
    lastSender.send(last);
    return isHeard(frame, last, receiver);
  }
  nft::Elements elements() {
    auto listing = other_.list(parentTable({}));
    EXPECT_TRUE(listing) << listing.error().message;
    return *listing ? (*listing)->sets : nft::Elements{};
  }
  bool has(const Port& port, PortSecurity asked) {
    const auto ports = portsIn(elements());
    const auto found = ports.find(port.name);
    return found != ports.end() && found->second == elementsOf(port, asked);
  }

  const MacAddress wireMac_ = macOf("02:00:00:00:09:09");
  Fd wire_ = netns::make().value();
  TestPod one_{1};
  TestPod two_{2};
  nft::Committer other_ = nft::Committer::open().value();
};

enum class To : std::uint8_t { Sibling, Wire };
struct Mode {
  PortSecurity security;
  Way way;
  To to;
};

class ParentSpoofTest : public ParentTest, public testing::WithParamInterface<Mode> {};

TEST_P(ParentSpoofTest, AFramePassesOnlyWhereItsModeLetsIt) {
  const auto [security, way, to] = GetParam();
  ask(security);
  plugOnto(one_);
  plugOnto(two_);
  const RawSocket raw = one_.raw(way == Way::Bypass);
  const RawSocket queued = one_.raw();
  const RawSocket receiver = to == To::Sibling ? two_.raw() : RawSocket(wire_, "wire0");
  const MacAddress you = to == To::Sibling ? two_.mac() : wireMac_;
  const auto numbered = [&](unsigned mark) {
    return ethernet(you, one_.mac(), kIpv4,
                    ipv4(one_.v4(), two_.v4(), kUdp, udp(7777, 10000 + mark)));
  };
  // Where the kernel can't tell what a macvlan sends past the queues, all of it is dropped.
  const bool told = arrives(raw, numbered(1), queued, numbered(2), receiver);
  EXPECT_TRUE(told || way == Way::Bypass);
  unsigned mark = 2;
  for (const Case& one : spoofCases(one_, two_, you)) {
    const unsigned type = one.frame[12] * 256U + one.frame[13];
    const bool isOfIp = type == kIpv4 || type == kIpv6 || type == kArp;
    const bool wanted = (told || !isOfIp) && passes(one.when, security);
    const auto drops = [&] { return told ? droppedWith(one_, one.reason) : allDroppedWith(one_); };
    const std::uint64_t before = wanted ? 0 : drops();
    raw.offer(one.frame);
    const Bytes last = numbered(++mark);
    queued.send(last);
    EXPECT_EQ(isHeard(one.frame, last, receiver), wanted) << one.name;
    if (wanted) continue;
    EXPECT_EQ(drops(), before + 1) << one.name << ": " << one.reason;
  }
}

std::string nameOf(const testing::TestParamInfo<Mode>& mode) {
  static constexpr std::array kWays{"Queue", "Bypass", "Xdp"};
  return std::string(api::name(mode.param.security)) +
         kWays.at(static_cast<std::size_t>(mode.param.way)) +
         (mode.param.to == To::Wire ? "ToWire" : "ToSibling");
}

INSTANTIATE_TEST_SUITE_P(Modes, ParentSpoofTest,
                         testing::Values(Mode{PortSecurity::Enforced, Way::Queue, To::Sibling},
                                         Mode{PortSecurity::Enforced, Way::Bypass, To::Sibling},
                                         Mode{PortSecurity::Enforced, Way::Queue, To::Wire},
                                         Mode{PortSecurity::Enforced, Way::Bypass, To::Wire},
                                         Mode{PortSecurity::MacOnly, Way::Bypass, To::Sibling},
                                         Mode{PortSecurity::MacOnly, Way::Bypass, To::Wire},
                                         Mode{PortSecurity::Disabled, Way::Bypass, To::Sibling},
                                         Mode{PortSecurity::Disabled, Way::Queue, To::Wire}),
                         nameOf);

/// AF_XDP passes the pod's own rules. With the MAC of a pod nothing of it is seen on the wire,
/// whatever it says; with nobody's, the parent can't tell it from what others on the device send.
TEST_F(ParentTest, ADeviceThatIsRenamedKeepsItsChains) {
  plugOnto(one_);
  const Port port = portOf(one_);
  const auto rename = [&](const std::string& name) {
    ASSERT_TRUE(socket_.run(netlink::setDown({port.parentIndex, ""})));
    ASSERT_TRUE(socket_.run(netlink::relabel(port.parentIndex, {name})));
    ASSERT_TRUE(socket_.run(netlink::setUp({port.parentIndex, ""})));
  };
  const auto isHeldAt = [&](const std::string& name) {
    // The next look has something to look at.
    EXPECT_TRUE(other_.commit("add table netdev theirs\ndelete table netdev theirs\n"));
    return eventually([&] {
      const auto listing = other_.list(parentTable({})).value();
      return listing && parentsIn(*listing) == std::set<std::string>{name} &&
             has(port, PortSecurity::Enforced);
    });
  };
  ASSERT_NO_FATAL_FAILURE(rename("moved0"));
  EXPECT_TRUE(isHeldAt("moved0"));
  const std::uint64_t commits = guard_->commits();
  EXPECT_TRUE(isHeldAt("moved0"));
  EXPECT_EQ(guard_->commits(), commits) << "once";
  ASSERT_NO_FATAL_FAILURE(rename("parent0"));
  ASSERT_TRUE(guard_->secure({portOf(two_)}));
  EXPECT_TRUE(isHeldAt("parent0"));
  EXPECT_TRUE(has(portOf(two_), PortSecurity::Enforced));
}

TEST_F(ParentTest, CommitsInTheSwitchAreThoseThatItsKernelTook) {
  const Fd inner = netns::make().value();
  const std::optional<Fd> there(inner.duplicate().value());
  guard_ = PortGuard::start(there, {}, clock_).value();
  const auto generation = [&] {
    const auto scope = netns::Scope::enter(inner).value();
    return nft::Generation::open().value().read().value();
  };
  const std::uint32_t before = generation();
  const auto isCounted = [&](std::uint64_t commits) {
    EXPECT_EQ(guard_->switchCommits(), generation() - before);
    EXPECT_EQ(guard_->commits(), commits);
  };
  ASSERT_TRUE(guard_->secure({one_.port()}));
  isCounted(1);
  EXPECT_EQ(guard_->switchCommits(), 1U);
  ASSERT_NO_FATAL_FAILURE(plugOnto(two_));  // on the node, and in the pod
  isCounted(3);
  ASSERT_TRUE(failpoint::arm("isolation.commit.before=error"));
  EXPECT_FALSE(guard_->secure({TestPod(3).port()}));
  ASSERT_TRUE(failpoint::arm(""));
  isCounted(3);
  // What its kernel refuses, since somebody was there before.
  {
    const auto scope = netns::Scope::enter(inner).value();
    ASSERT_TRUE(nft::Committer::open().value().commit("delete table bridge multinet\n"));
  }
  ASSERT_TRUE(guard_->secure({TestPod(3).port()}));
  EXPECT_EQ(guard_->switchCommits() + 1, generation() - before);
}

TEST_F(ParentTest, NothingOfAfXdpReachesTheWireByAPodsMac) {
  plugOnto(one_);
  plugOnto(two_);
  auto xdp = XdpSocket::open(one_.netns(), "net1");
  if (!xdp) GTEST_SKIP() << "the kernel has no AF_XDP";
  const RawSocket raw = one_.raw();
  const RawSocket receiver(wire_, "wire0");
  unsigned mark = 0;
  for (const Case& one : spoofCases(one_, two_, wireMac_)) {
    const auto from = one.frame.begin() + 6;
    const bool isAPods = std::equal(one_.mac().bytes().begin(), one_.mac().bytes().end(), from) ||
                         std::equal(two_.mac().bytes().begin(), two_.mac().bytes().end(), from);
    if (!isAPods) continue;
    const std::uint64_t before = allDropped();
    xdp->send(one.frame);
    const Bytes last = ethernet(wireMac_, one_.mac(), kIpv4,
                                ipv4(one_.v4(), two_.v4(), kUdp, udp(7777, 10000 + ++mark)));
    raw.send(last);
    EXPECT_FALSE(isHeard(one.frame, last, receiver)) << one.name;
    EXPECT_EQ(allDropped(), before + 1) << one.name;
  }
}

/// The kernel reads headers by what a sender says of its frame.
TEST_F(ParentTest, SayingThatAFrameIsOfAnotherProtocolHelpsNobody) {
  ask(PortSecurity::Enforced);
  plugOnto(one_);
  plugOnto(two_);
  for (const bool bypass : {false, true}) {
    const RawSocket raw = one_.raw(bypass);
    const RawSocket queued = one_.raw();
    const RawSocket wire(wire_, "wire0");
    const RawSocket sibling = two_.raw();
    unsigned mark = 0;
    for (const unsigned protocol : {0U, 3U, kIpv4, kIpv6, kArp, 0x88CCU}) {
      for (const Case& one : spoofCases(one_, two_, two_.mac())) {
        if (passes(one.when, PortSecurity::Enforced)) continue;
        raw.offerAs(one.frame, protocol);
        const Bytes last = ethernet(kEverybody, one_.mac(), kIpv4,
                                    ipv4(one_.v4(), kAll4, kUdp, udp(7777, 10000 + ++mark)));
        queued.send(last);
        EXPECT_FALSE(isHeard(one.frame, last, sibling)) << one.name << " as " << protocol;
        EXPECT_FALSE(isHeard(one.frame, last, wire)) << one.name << " as " << protocol;
      }
    }
  }
}

/// To one pod by its MAC: the parent sees it, and holds it against whose MAC it bears.
TEST_F(ParentTest, AfXdpIsHeldAgainstItsMacTowardsAPod) {
  ask(PortSecurity::Enforced);
  plugOnto(one_);
  plugOnto(two_);
  auto xdp = XdpSocket::open(one_.netns(), "net1");
  if (!xdp) GTEST_SKIP() << "the kernel has no AF_XDP";
  const RawSocket raw = one_.raw();
  const RawSocket receiver = two_.raw();
  unsigned mark = 0;
  for (const Case& one : spoofCases(one_, two_, two_.mac())) {
    const bool isOwn =
        std::equal(one_.mac().bytes().begin(), one_.mac().bytes().end(), one.frame.begin() + 6);
    if (!isOwn || one.frame[0] == 0xff) continue;
    const std::uint64_t before = allDropped();
    xdp->send(one.frame);
    const Bytes last = ethernet(two_.mac(), one_.mac(), kIpv4,
                                ipv4(one_.v4(), two_.v4(), kUdp, udp(7777, 10000 + ++mark)));
    raw.send(last);
    const bool wanted = passes(one.when, PortSecurity::Enforced);
    EXPECT_EQ(isHeard(one.frame, last, receiver), wanted) << one.name;
    EXPECT_EQ(allDropped(), before + (wanted ? 0 : 1)) << one.name;
  }
}

TEST_F(ParentTest, WithoutRulesASpoofedFrameArrives) {
  plugOnto(one_, false);
  plugOnto(two_, false);
  const RawSocket raw = one_.raw();
  const RawSocket sibling = two_.raw();
  const RawSocket wire(wire_, "wire0");
  const Bytes forged =
      ethernet(kEverybody, one_.mac(), kArp, arp(2, one_.mac(), two_.v4(), one_.v4()));
  raw.send(forged);
  for (const RawSocket* receiver : {&sibling, &wire}) {
    for (Bytes heard = receiver->next(); heard != forged; heard = receiver->next()) {
      ASSERT_FALSE(heard.empty());
    }
  }
}

TEST_F(ParentTest, NobodyOnTheWireIsWhoAPodIs) {
  ask(PortSecurity::Enforced);
  plugOnto(one_);
  const RawSocket wire(wire_, "wire0");
  const RawSocket receiver = one_.raw();
  const Bytes last =
      ethernet(one_.mac(), wireMac_, kIpv4, ipv4("10.20.0.9", one_.v4(), kUdp, udp(1, 2)));
  const std::vector<Bytes> claims = {
      ethernet(one_.mac(), wireMac_, kArp, arp(2, wireMac_, one_.v4(), "10.20.0.9")),
      ethernet(one_.mac(), wireMac_, kIpv4, ipv4(one_.v4(), one_.v4(), kUdp, udp(1, 2))),
      ethernet(one_.mac(), wireMac_, kIpv6, ipv6(one_.v6(), one_.v6(), kUdp, udp(1, 2))),
      ethernet(one_.mac(), wireMac_, kIpv6,
               ipv6("fd00:20::9", "ff02::1", kIcmp6, neighbour(136, one_.v6()))),
  };
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const std::uint64_t before = dropped("claimed");
    EXPECT_FALSE(arrives(wire, claims[i], wire, last, receiver)) << i;
    EXPECT_EQ(dropped("claimed"), before + 1) << i;
  }
  // To everybody, so the pod's own rules see it.
  const std::uint64_t before = droppedWith(one_, "claimed");
  const Bytes toAll =
      ethernet(kEverybody, wireMac_, kArp, arp(1, wireMac_, one_.v4(), "10.20.0.9"));
  wire.send(toAll);
  EXPECT_TRUE(eventually([&] { return droppedWith(one_, "claimed") == before + 1; }));
}

TEST_F(ParentTest, OthersOnTheDeviceAreNobodysBusiness) {
  ask(PortSecurity::Enforced);
  plugOnto(one_);
  const TestPod theirs(3);
  plugOnto(theirs, false);  // of a second system
  const RawSocket wire(wire_, "wire0");
  const RawSocket host(netns::openHome().value().netns, "parent0");
  const RawSocket other = theirs.raw();
  const std::uint64_t before = allDropped();
  std::uint8_t mark = 0;
  for (const RawSocket* sender : {&host, &other}) {
    const Bytes odd = ethernet(wireMac_, theirs.mac(), 0x88CC, Bytes(60, ++mark));
    const Bytes last = ethernet(wireMac_, theirs.mac(), 0x88CC, Bytes(61, mark));
    EXPECT_TRUE(arrives(*sender, odd, *sender, last, wire));
  }
  EXPECT_EQ(allDropped(), before);
}

TEST_F(ParentTest, ASuccessorWritesNothing) {
  ask(PortSecurity::MacOnly);
  plugOnto(one_);
  plugOnto(two_);
  start();
  ASSERT_TRUE(guard_->secure({portOf(one_), portOf(two_)}));
  EXPECT_TRUE(has(portOf(one_), PortSecurity::MacOnly)) << "until the network is known";
  ask(PortSecurity::MacOnly);
  securePod(one_, PortGuard::Pod::Running);
  securePod(two_, PortGuard::Pod::Running);
  EXPECT_EQ(guard_->commits(), 0U);
  ask(PortSecurity::Enforced);
  EXPECT_EQ(guard_->commits(), 1U);
  securePod(one_, PortGuard::Pod::Running);
  EXPECT_EQ(guard_->commits(), 2U);
  // Also where networks are known before a pod is looked at.
  const TableGuard::Kind kind = TableGuard::Kind::Parents;
  const auto next = TableGuard::open(kind, std::nullopt, std::chrono::seconds(30), clock_).value();
  next->setNetworks({{kBlue, PortSecurity::Enforced}}, {4799});
  EXPECT_EQ(next->commits(), 0U);
}

TEST_F(ParentTest, WhatAPredecessorLeftWithoutALinkGoes) {
  plugOnto(one_);
  ASSERT_TRUE(guard_->secure({portOf(two_)}));  // killed before the link was made
  start();
  EXPECT_TRUE(eventually([&] { return !portsIn(elements()).contains(two_.mac().str()); }));
  EXPECT_TRUE(has(portOf(one_), PortSecurity::Enforced)) << "its pod wasn't looked at yet";
  guard_->release({}, {one_.port().intent});
  ASSERT_TRUE(guard_->secure({portOf(one_)}));
  guard_->release({}, {one_.port().intent});
  EXPECT_TRUE(portsIn(elements()).empty());
}

TEST_F(ParentTest, WhatSomebodyChangesIsPutBackInOneTransaction) {
  plugOnto(one_);
  for (const char* edit : {"flush table netdev multinet\n", "delete table netdev multinet\n",
                           "add element netdev multinet open { 02:00:00:00:01:01 }\n",
                           "insert rule netdev multinet port accept\n", "flush ruleset\n"}) {
    const std::uint64_t commits = guard_->commits();
    ASSERT_TRUE(other_.commit(edit)) << edit;
    EXPECT_TRUE(eventually([&] {
      const auto listing = other_.list(parentTable({"parent0"})).value();
      return listing && listing->hasShapeOf(parentTable({"parent0"})) &&
             has(portOf(one_), PortSecurity::Enforced);
    })) << edit;
    EXPECT_EQ(guard_->commits(), commits + 1) << edit;
  }
  // In the pod, by one who may.
  {
    const auto scope = netns::Scope::enter(one_.netns()).value();
    auto inner = nft::Committer::open().value();
    ASSERT_TRUE(inner.commit("delete table netdev multinet\n"));
  }
  const std::uint64_t commits = guard_->commits();
  securePod(one_, PortGuard::Pod::Running);
  EXPECT_EQ(guard_->commits(), commits + 1);
}

TEST_F(ParentTest, ADeviceThatComesBackIsGuardedAgain) {
  plugOnto(one_);
  ASSERT_TRUE(socket_.run(netlink::deleteLink({0, "parent0"})));  // and the links on it
  makeParent();
  plugOnto(one_);
  const RawSocket raw = one_.raw();
  const RawSocket wire(wire_, "wire0");
  const Bytes forged =
      ethernet(wireMac_, one_.mac(), kIpv4, ipv4(two_.v4(), "10.20.0.9", kUdp, udp(1, 2)));
  const Bytes last =
      ethernet(wireMac_, one_.mac(), kIpv4, ipv4(one_.v4(), "10.20.0.9", kUdp, udp(1, 2)));
  EXPECT_FALSE(arrives(raw, forged, raw, last, wire));
  // And by the parent alone, as AF_XDP would get there.
  {
    const auto scope = netns::Scope::enter(one_.netns()).value();
    auto inner = nft::Committer::open().value();
    ASSERT_TRUE(inner.commit("delete table netdev multinet\n"));
  }
  const std::uint64_t before = dropped("source_ipv4");
  EXPECT_FALSE(arrives(raw, forged, raw, last, wire));
  EXPECT_EQ(dropped("source_ipv4"), before + 1);
}

TEST_F(ParentTest, OfALostDeviceTheOthersKeepTheirs) {
  plugOnto(one_);
  netlink::VethSpec spec;
  spec.hostName = "mnvparent1";
  spec.peerName = "wire1";
  spec.peerNetns = wire_.get();
  spec.peerMac = macOf("02:00:00:00:09:0a");
  spec.mtu = 1500;
  ASSERT_TRUE(socket_.run(netlink::createVeth(spec)));
  Port second = portOf(two_);
  second.parent = "mnvparent1";
  second.parentIndex = netlink::findLink(socket_, {0, "mnvparent1"}).value().index;
  ASSERT_TRUE(guard_->secure({second}));
  ASSERT_TRUE(socket_.run(netlink::deleteLink({0, "mnvparent1"})));
  Port third = portOf(two_);
  ASSERT_TRUE(other_.commit("flush ruleset\n"));
  EXPECT_TRUE(eventually([&] {
    const auto listing = other_.list(parentTable({})).value();
    return listing && listing->hasShapeOf(parentTable({"parent0"}));
  }));
  const auto secured = guard_->secure({third});
  ASSERT_TRUE(secured) << secured.error().message;
  EXPECT_TRUE(has(portOf(one_), PortSecurity::Enforced));
}

/// As on a device of ipvlans, which not every kernel has.
TEST_F(ParentTest, ADeviceThatItsLinksShareSendsNothingThatNamesNoProtocol) {
  ask(PortSecurity::Enforced);
  Port shared = portOf(one_);
  shared.site = Site::Pod;
  ASSERT_TRUE(guard_->secure({shared}));
  plugOnto(one_, false);
  auto xdp = XdpSocket::open(one_.netns(), "net1");
  if (!xdp) GTEST_SKIP() << "the kernel has no AF_XDP";
  const RawSocket wire(wire_, "wire0");
  const RawSocket host(netns::openHome().value().netns, "parent0");
  unsigned mark = 0;
  std::vector<Case> cases = spoofCases(one_, two_, wireMac_);
  cases.push_back({"2 a VLAN's tag", tagged(cases.front().frame, 7), Passes::WhenDisabled, ""});
  for (const Case& one : cases) {
    // Who hears it has had its tag taken off.
    const bool isTagged = one.frame[12] == 0x81 && one.frame[13] == 0;
    const Bytes& heardAs = isTagged ? cases.front().frame : one.frame;
    const std::uint64_t before = dropped("ethertype");
    xdp->send(one.frame);
    const Bytes last =
        ethernet(wireMac_, two_.mac(), kIpv4, ipv4("10.20.0.9", kAll4, kUdp, udp(7777, ++mark)));
    host.send(last);
    EXPECT_FALSE(isHeard(heardAs, last, wire)) << one.name;
    EXPECT_EQ(dropped("ethertype"), before + 1) << one.name;
    // The node's own.
    host.send(one.frame);
    host.send(last);
    EXPECT_TRUE(isHeard(heardAs, last, wire)) << one.name;
  }
  guard_->release({}, {shared.intent});
  EXPECT_EQ(other_.list(parentTable({})).value()->comments.size(), parentTable({}).chains.size());
}

TEST_F(ParentTest, WhereTheKernelRefusesNothingIsSecured) {
  ASSERT_TRUE(failpoint::arm("isolation.commit.before=error"));
  start();
  const auto first = guard_->secure({portOf(one_)});
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().reason, "KernelLacks");
  EXPECT_NE(first.error().message.find("egress"), std::string::npos);
  ASSERT_TRUE(failpoint::arm("isolation.pod.before=error"));
  plugOnto(two_, false);
  {
    const auto scope = netns::Scope::enter(two_.netns()).value();
    const Status inPod = guard_->securePod({portOf(two_)}, PortGuard::Pod::New);
    ASSERT_FALSE(inPod);
    EXPECT_EQ(inPod.error().reason, "KernelLacks");
  }
  ask(PortSecurity::Disabled);
  const auto scope = netns::Scope::enter(two_.netns()).value();
  EXPECT_TRUE(guard_->securePod({portOf(two_)}, PortGuard::Pod::New));
}

}  // namespace
}  // namespace multinet::agent::isolation
