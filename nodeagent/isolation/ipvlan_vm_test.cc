// What a pod on an ipvlan can get past its own rules, on a kernel that has such links: to pods on
// the same device, whose unicast nothing else sees, and to the wire.
#include <linux/if_link.h>
#include <netinet/in.h>

#include <algorithm>

#include "lib/base/fake_clock.h"
#include "lib/netlink/address.h"
#include "nodeagent/isolation/test_spoof.h"
#include "nodeagent/isolation/test_xdp.h"

namespace multinet::agent::isolation {
namespace {

using api::PortSecurity;

constexpr std::uint16_t kL2 = IPVLAN_MODE_L2;
constexpr std::uint16_t kL3 = IPVLAN_MODE_L3;
constexpr std::uint16_t kL3s = IPVLAN_MODE_L3S;
constexpr std::array kModes{"L2", "L3", "L3S"};

/// `parent0`, whose cable ends as `wire0` in a namespace of its own.
class IpvlanTest : public SwitchTest {
 protected:
  void SetUp() override {
    SwitchTest::SetUp();
    netlink::VethSpec spec;
    spec.hostName = "parent0";
    spec.peerName = "wire0";
    spec.peerNetns = wire_.get();
    spec.peerMac = wireMac_;
    spec.mtu = 1500;
    ASSERT_TRUE(socket_.run(netlink::createVeth(spec)));
    ASSERT_TRUE(netns::writeSysctl("ipv6/conf/parent0/disable_ipv6", "1"));
    ASSERT_TRUE(socket_.run(netlink::setUp({0, "parent0"})));
    const auto scope = netns::Scope::enter(wire_).value();
    auto inner = netlink::Socket::open().value();
    ASSERT_TRUE(inner.run(netlink::setUp({0, "wire0"})));
    const auto parent = netlink::findLink(socket_, {0, "parent0"}).value();
    mac_ = parent.mac;
    index_ = parent.index;
  }
  void TearDown() override {
    static_cast<void>(socket_.run(netlink::deleteLink({0, "parent0"})));
    SwitchTest::TearDown();
  }

  Port portOf(const TestPod& pod) {
    Port port = pod.port();
    port.mac = mac_;
    port.name = mac_.str();
    port.site = Site::Pod;
    port.parent = "parent0";
    port.parentIndex = index_;
    return port;
  }
  /// As an attach does it: rules of the device, the link, rules in the pod, and up.
  void plugOnto(const TestPod& pod, std::uint16_t mode, bool withRules = true) {
    if (withRules) {
      const auto secured = guard_->secure({portOf(pod)});
      ASSERT_TRUE(secured) << secured.error().message;
    }
    ASSERT_TRUE(socket_.run(netlink::createStacked({.kind = "ipvlan",
                                                    .name = "net1",
                                                    .parent = "parent0",
                                                    .parentIndex = index_,
                                                    .options = {{IFLA_IPVLAN_MODE, mode}},
                                                    .netns = pod.netns().get(),
                                                    .mtu = 1500})));
    if (withRules) securePod(pod, PortGuard::Pod::New);
    const auto scope = netns::Scope::enter(pod.netns()).value();
    ASSERT_TRUE(netns::writeSysctl("ipv6/conf/net1/accept_dad", "0"));
    auto inner = netlink::Socket::open().value();
    ASSERT_TRUE(inner.run(netlink::setUp({0, "net1"})));
    // The driver finds a pod by its addresses.
    const int index = netlink::findLink(inner, {0, "net1"}).value().index;
    for (const std::string& text : {pod.v4() + "/24", pod.v6() + "/64"}) {
      ASSERT_TRUE(inner.run(netlink::addAddress(index, *InterfaceAddress::parse(text))));
    }
  }
  void securePod(const TestPod& pod, PortGuard::Pod state) {
    const auto scope = netns::Scope::enter(pod.netns()).value();
    const Status secured = guard_->securePod({portOf(pod)}, state);
    ASSERT_TRUE(secured) << secured.error().message;
  }
  std::uint64_t droppedOf(const TestPod& pod, const std::string& reason) {
    securePod(pod, PortGuard::Pod::Running);
    return dropped(reason);
  }
  std::uint64_t allDroppedOf(const TestPod& pod) {
    securePod(pod, PortGuard::Pod::Running);
    std::uint64_t sum = 0;
    for (const auto& [reason, frames] : guard_->drops()) sum += frames;
    return sum;
  }
  /// That its kernel gave to the pod's link.
  static std::string linkLocalIn(const TestPod& pod) {
    const auto scope = netns::Scope::enter(pod.netns()).value();
    auto inner = netlink::Socket::open().value();
    const int index = netlink::findLink(inner, {0, "net1"}).value().index;
    const auto addresses = netlink::findAddresses(inner, index).value();
    for (const auto& one : addresses) {
      const std::string text = one.address.address.str();
      if (text.starts_with("fe80:")) return text;
    }
    ADD_FAILURE() << "no link-local address";
    return "fe80::1";
  }
  static nft::Elements elements(const TestPod& pod) {
    const auto scope = netns::Scope::enter(pod.netns()).value();
    auto committer = nft::Committer::open().value();
    const auto listing = committer.list(podTable({}, {})).value();
    return listing ? listing->sets : nft::Elements{};
  }
  static bool isHeld(const TestPod& pod, PortSecurity security) {
    const auto ports = portsIn(elements(pod));
    const auto found = ports.find("net1");
    return found != ports.end() && securityOf(found->second) == security;
  }
  bool isGuarded(const std::set<std::string>& devices, const std::vector<const TestPod*>& pods) {
    const auto listing = other_.list(parentTable({}, devices)).value();
    if (!listing || !listing->hasShapeOf(parentTable({}, devices))) return false;
    nft::Elements wanted;
    for (const TestPod* pod : pods) {
      for (const Port& port : onDevice(portOf(*pod))) {
        nft::insert(elementsOf(port, PortSecurity::Enforced), wanted);
      }
    }
    nft::Elements there;
    for (const auto& [name, elements] : portsIn(listing->sets)) nft::insert(elements, there);
    return there == wanted;
  }
  static void unplug(const TestPod& pod) {
    const auto scope = netns::Scope::enter(pod.netns()).value();
    auto inner = netlink::Socket::open().value();
    ASSERT_TRUE(inner.run(netlink::deleteLink({0, "net1"})));
  }
  static Status nft(const TestPod& pod, const std::string& commands) {
    const auto scope = netns::Scope::enter(pod.netns()).value();
    return nft::Committer::open().value().commit(commands);
  }

  const MacAddress wireMac_ = macOf("02:00:00:00:09:09");
  MacAddress mac_;
  int index_ = 0;
  Fd wire_ = netns::make().value();
  TestPod one_{1};
  TestPod two_{2};
  nft::Committer other_ = nft::Committer::open().value();
};

enum class To : std::uint8_t { Wire, Sibling, Everybody };
struct Mode {
  std::uint16_t mode;
  PortSecurity security;
  Way way;
  To to;
};

/// Whether the driver gives such a frame to the pod with these addresses: it goes by where a packet
/// is for, and a neighbour's question is for its target (ipvlan_addr_lookup).
bool isFor(const TestPod& pod, const Bytes& frame) {
  const unsigned type = frame[12] * 256U + frame[13];
  const auto at = [&](std::size_t offset, const Bytes& what) {
    return frame.size() >= offset + what.size() &&
           std::equal(what.begin(), what.end(), frame.begin() + static_cast<long>(offset));
  };
  if ((frame[0] & 1U) != 0) return false;
  if (type == kIpv4) return at(30, of(pod.v4()));
  if (type == kArp) return at(38, of(pod.v4()));
  const bool isQuestion = frame[20] == kIcmp6 && frame[54] == 135;
  return type == kIpv6 && at(isQuestion ? 62 : 38, of(pod.v6()));
}

class IpvlanSpoofTest : public IpvlanTest, public testing::WithParamInterface<Mode> {
 protected:
  void SetUp() override {
    IpvlanTest::SetUp();
    ask(GetParam().security);
    plugOnto(one_, GetParam().mode);
    plugOnto(two_, GetParam().mode);
  }
  /// The cases as they are sent.
  std::vector<Case> cases() {
    const To to = GetParam().to;
    const MacAddress you = to == To::Wire ? wireMac_ : mac_;
    std::vector<Case> all = spoofCases(one_, two_, you, {mac_, linkLocalIn(one_)});
    if (to == To::Sibling) {
      std::erase_if(all, [&](const Case& one) { return !isFor(two_, one.frame); });
    }
    if (to == To::Everybody) {
      // Its last is of the neighbour's MAC, which is its own here.
      all.pop_back();
      for (Case& one : all) std::ranges::copy(kEverybody, one.frame.begin());
    }
    return all;
  }
  /// An honest frame on the way that `frame` goes: those to everybody go by a queue of their own.
  Bytes honestAfter(const Bytes& frame, unsigned mark) {
    const bool isToAll = (frame[0] & 1U) != 0;
    const Bytes to = isToAll ? kEverybody : of(GetParam().to == To::Wire ? wireMac_ : mac_);
    return ethernet(to, mac_, kIpv4, ipv4(one_.v4(), two_.v4(), kUdp, udp(7777, 10000 + mark)));
  }
};

TEST_P(IpvlanSpoofTest, AFramePassesOnlyWhereItsModeLetsIt) {
  const auto [mode, security, way, to] = GetParam();
  const RawSocket raw = one_.raw(way == Way::Bypass);
  const RawSocket queued = one_.raw();
  const RawSocket receiver = to == To::Wire ? RawSocket(wire_, "wire0") : two_.raw();
  const auto arrives = [&](const Bytes& frame, unsigned mark) {
    raw.offer(frame);
    const Bytes last = honestAfter(frame, mark);
    queued.send(last);
    return isHeard(frame, last, receiver);
  };
  const auto all = cases();
  ASSERT_GE(all.size(), 10U);
  // Where the kernel can't tell what such a link sends past the queues, all of it is dropped.
  const bool told = arrives(honestAfter(all.front().frame, 1), 2);
  EXPECT_TRUE(told || way == Way::Bypass);
  unsigned mark = 2;
  for (const Case& one : all) {
    const unsigned type = one.frame[12] * 256U + one.frame[13];
    const bool isOfIp = type == kIpv4 || type == kIpv6 || type == kArp;
    const bool wanted = (told || !isOfIp) && passes(one.when, security);
    const auto drops = [&] { return told ? droppedOf(one_, one.reason) : allDroppedOf(one_); };
    const std::uint64_t before = wanted ? 0 : drops();
    EXPECT_EQ(arrives(one.frame, ++mark), wanted) << one.name;
    if (wanted) continue;
    EXPECT_EQ(drops(), before + 1) << one.name << ": " << one.reason;
  }
}

std::string nameOf(const testing::TestParamInfo<Mode>& one) {
  static constexpr std::array kWays{"Queue", "Bypass", "Xdp"};
  static constexpr std::array kTo{"ToWire", "ToSibling", "ToEverybody"};
  return kModes.at(one.param.mode) + std::string(api::name(one.param.security)) +
         kWays.at(static_cast<std::size_t>(one.param.way)) +
         kTo.at(static_cast<std::size_t>(one.param.to));
}

INSTANTIATE_TEST_SUITE_P(
    Modes, IpvlanSpoofTest,
    testing::Values(Mode{kL2, PortSecurity::Enforced, Way::Queue, To::Wire},
                    Mode{kL2, PortSecurity::Enforced, Way::Bypass, To::Wire},
                    Mode{kL2, PortSecurity::Enforced, Way::Queue, To::Sibling},
                    Mode{kL2, PortSecurity::Enforced, Way::Bypass, To::Sibling},
                    Mode{kL2, PortSecurity::Enforced, Way::Queue, To::Everybody},
                    Mode{kL2, PortSecurity::MacOnly, Way::Queue, To::Wire},
                    Mode{kL2, PortSecurity::MacOnly, Way::Queue, To::Sibling},
                    Mode{kL2, PortSecurity::Disabled, Way::Queue, To::Wire},
                    Mode{kL2, PortSecurity::Disabled, Way::Queue, To::Everybody},
                    Mode{kL3, PortSecurity::Enforced, Way::Queue, To::Sibling},
                    Mode{kL3, PortSecurity::Enforced, Way::Bypass, To::Sibling},
                    Mode{kL3, PortSecurity::MacOnly, Way::Queue, To::Sibling},
                    Mode{kL3, PortSecurity::Disabled, Way::Queue, To::Sibling},
                    Mode{kL3s, PortSecurity::Enforced, Way::Queue, To::Sibling},
                    Mode{kL3s, PortSecurity::Disabled, Way::Queue, To::Sibling}),
    nameOf);

/// The kernel reads headers by what a sender says of its frame.
TEST_F(IpvlanTest, SayingThatAFrameIsOfAnotherProtocolHelpsNobody) {
  ask(PortSecurity::Enforced);
  plugOnto(one_, kL2);
  plugOnto(two_, kL2);
  const RawSocket queued = one_.raw();
  const RawSocket wire(wire_, "wire0");
  const RawSocket sibling = two_.raw();
  unsigned mark = 0;
  for (const bool bypass : {false, true}) {
    const RawSocket raw = one_.raw(bypass);
    for (const unsigned protocol : {0U, 3U, kIpv4, kIpv6, kArp, 0x88CCU}) {
      for (Case& one : spoofCases(one_, two_, mac_, {mac_, linkLocalIn(one_)})) {
        if (passes(one.when, PortSecurity::Enforced)) continue;
        if (std::string_view(one.name) == "1 neighbour's MAC") continue;  // it is its own here
        std::ranges::copy(kEverybody, one.frame.begin());
        raw.offerAs(one.frame, protocol);
        const Bytes last = ethernet(kEverybody, mac_, kIpv4,
                                    ipv4(one_.v4(), kAll4, kUdp, udp(7777, 10000 + ++mark)));
        queued.send(last);
        EXPECT_FALSE(isHeard(one.frame, last, sibling)) << one.name << " as " << protocol;
        EXPECT_FALSE(isHeard(one.frame, last, wire)) << one.name << " as " << protocol;
      }
    }
  }
}

/// Its frames pass no rules of the pod that sends. But they name no protocol, by which a driver
/// that routes goes, and the driver of L2 gives them to the device, which is guarded.
class IpvlanXdpTest : public IpvlanTest, public testing::WithParamInterface<std::uint16_t> {
 protected:
  void SetUp() override {
    IpvlanTest::SetUp();
    ask(PortSecurity::Enforced);
    plugOnto(one_, GetParam());
    plugOnto(two_, GetParam());
  }
  [[nodiscard]] bool isL2() const { return GetParam() == kL2; }
};

TEST_P(IpvlanXdpTest, NothingReachesTheWire) {
  auto xdp = XdpSocket::open(one_.netns(), "net1");
  if (!xdp) GTEST_SKIP() << "the kernel has no AF_XDP";
  const RawSocket wire(wire_, "wire0");
  const RawSocket host(netns::openHome().value().netns, "parent0");
  unsigned mark = 0;
  std::vector<Case> cases = spoofCases(one_, two_, wireMac_, {mac_, linkLocalIn(one_)});
  cases.push_back({"2 a VLAN's tag", tagged(cases.front().frame, 7), Passes::WhenDisabled, ""});
  for (const Case& one : cases) {
    // Who hears it has had its tag taken off.
    const bool isTagged = one.frame[12] == 0x81 && one.frame[13] == 0;
    const Bytes& heardAs = isTagged ? cases.front().frame : one.frame;
    const std::uint64_t before = dropped("ethertype");
    xdp->send(one.frame);
    if (isL2()) {
      EXPECT_TRUE(eventually([&] { return dropped("ethertype") == before + 1; })) << one.name;
    }
    const Bytes last = ethernet(wireMac_, mac_, kIpv4,
                                ipv4("10.20.0.9", "10.20.0.8", kUdp, udp(7777, 10000 + ++mark)));
    host.send(last);
    EXPECT_FALSE(isHeard(heardAs, last, wire)) << one.name;
  }
}

TEST_P(IpvlanXdpTest, NothingReachesAPodByItsAddress) {
  auto xdp = XdpSocket::open(one_.netns(), "net1");
  if (!xdp) GTEST_SKIP() << "the kernel has no AF_XDP";
  const RawSocket raw = one_.raw();
  const RawSocket receiver = two_.raw();
  unsigned mark = 0;
  for (const Case& one : spoofCases(one_, two_, mac_, {mac_, linkLocalIn(one_)})) {
    if (!isFor(two_, one.frame)) continue;
    const std::uint64_t before = dropped("ethertype");
    xdp->send(one.frame);
    const Bytes last =
        ethernet(mac_, mac_, kIpv4, ipv4(one_.v4(), two_.v4(), kUdp, udp(7777, 10000 + ++mark)));
    raw.send(last);
    EXPECT_FALSE(isHeard(one.frame, last, receiver)) << one.name;
    EXPECT_EQ(dropped("ethertype"), before + (isL2() ? 1 : 0)) << one.name;
  }
  EXPECT_GT(mark, 10U);
}

/// The driver of L2 gives what bears one MAC twice to the device, whose MAC ever that is.
TEST_P(IpvlanXdpTest, AMacOfNobodyTwiceHelpsNobody) {
  auto xdp = XdpSocket::open(one_.netns(), "net1");
  if (!xdp) GTEST_SKIP() << "the kernel has no AF_XDP";
  Fd socket;
  {
    const auto scope = netns::Scope::enter(two_.netns()).value();
    socket = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(7000);
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
  }
  const RawSocket wire(wire_, "wire0");
  const RawSocket raw = one_.raw();
  /// Who sent what is heard.
  const auto heard = [&] {
    char byte = 0;
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t got =
        ::recvfrom(socket.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &size);
    return got < 0 ? 0U : ntohl(from.sin_addr.s_addr) & 0xffU;
  };
  const auto packet = [&](const std::string& from) {
    return ipv4(from, two_.v4(), kUdp, udp(1, 7000));
  };
  const MacAddress nobody = macOf("02:66:66:66:66:66");
  for (unsigned i = 0; i < 20; ++i) {
    xdp->send(ethernet(nobody, nobody, kIpv4, packet("10.20.0.9")));
    xdp->send(ethernet(mac_, mac_, kIpv4, packet("10.20.0.8")));
    raw.send(ethernet(mac_, mac_, kIpv4, packet(one_.v4())));
  }
  unsigned honest = 0;
  EXPECT_TRUE(eventually([&] {
    for (unsigned from = heard(); from != 0; from = heard()) {
      EXPECT_EQ(from, 1U) << "forged";
      honest += from == 1 ? 1 : 0;
    }
    return honest == 20;
  }));
}

INSTANTIATE_TEST_SUITE_P(Modes, IpvlanXdpTest, testing::Values(kL2, kL3, kL3s),
                         [](const auto& one) { return std::string(kModes.at(one.param)); });

/// Its frames have the same MAC as those of pods.
TEST_F(IpvlanTest, TheNodeOnTheDeviceIsNobodysBusiness) {
  ask(PortSecurity::Enforced);
  plugOnto(one_, kL2);
  ASSERT_TRUE(socket_.run(netlink::addAddress(index_, *InterfaceAddress::parse("10.20.0.254/24"))));
  const RawSocket wire(wire_, "wire0");
  const RawSocket host(netns::openHome().value().netns, "parent0");
  unsigned mark = 0;
  for (const Case& one : spoofCases(one_, two_, wireMac_, {mac_, linkLocalIn(one_)})) {
    host.send(one.frame);
    const Bytes last =
        ethernet(wireMac_, mac_, kIpv4, ipv4("10.20.0.254", "10.20.0.8", kUdp, udp(7777, ++mark)));
    host.send(last);
    EXPECT_TRUE(isHeard(one.frame, last, wire)) << one.name;
  }
  // A pod speaks to the node, and by it to others, past the same hook.
  const RawSocket pod = one_.raw();
  for (const char* to : {"10.20.0.254", "10.99.0.1"}) {
    const Bytes honest = ethernet(mac_, mac_, kIpv4, ipv4(one_.v4(), to, kUdp, udp(1, 2)));
    pod.send(honest);
    Bytes heard = host.next();
    while (!heard.empty() && heard != honest) heard = host.next();
    EXPECT_EQ(heard, honest) << to;
  }
  EXPECT_EQ(dropped("ethertype"), 0U);
}

TEST_F(IpvlanTest, ADevicesRulesGoWithItsLastPod) {
  ask(PortSecurity::Enforced);
  plugOnto(one_, kL2);
  plugOnto(two_, kL2);
  EXPECT_TRUE(isGuarded({"parent0"}, {&one_, &two_}));
  guard_->release({}, {one_.port().intent});
  EXPECT_TRUE(isGuarded({"parent0"}, {&two_}));
  ask(PortSecurity::Disabled);
  EXPECT_TRUE(isGuarded({}, {}));
  ASSERT_TRUE(guard_->secure({portOf(two_)}));
  EXPECT_TRUE(isGuarded({}, {}));
  ask(PortSecurity::MacOnly);
  ASSERT_TRUE(guard_->secure({portOf(two_)}));
  EXPECT_TRUE(isGuarded({"parent0"}, {&two_}));
  guard_->release({}, {two_.port().intent});
  EXPECT_TRUE(isGuarded({}, {}));
}

TEST_F(IpvlanTest, WhatSomebodyChangesOnTheNodeIsPutBackInOneTransaction) {
  ask(PortSecurity::Enforced);
  plugOnto(one_, kL2);
  for (const char* edit : {"flush table netdev multinet\n", "delete table netdev multinet\n",
                           "insert rule netdev multinet turned accept\n", "flush ruleset\n"}) {
    const std::uint64_t commits = guard_->commits();
    ASSERT_TRUE(other_.commit(edit)) << edit;
    EXPECT_TRUE(eventually([&] {
      return guard_->commits() > commits && isGuarded({"parent0"}, {&one_});
    })) << edit;
    EXPECT_EQ(guard_->commits(), commits + 1) << edit;
  }
}

/// Nothing on a node tells whether there is a link with such an address, so they are waited for.
TEST_F(IpvlanTest, WhatAPredecessorLeftIsTheOnesWhoseItIsAndElseGoesInTime) {
  ask(PortSecurity::Enforced);
  plugOnto(one_, kL2);
  ASSERT_TRUE(guard_->secure({portOf(two_)}));  // killed before the link was made
  guard_.reset();
  FakeClock clock;
  const auto next =
      TableGuard::open(TableGuard::Kind::Parents, std::nullopt, std::chrono::seconds(30), clock)
          .value();
  next->look();
  EXPECT_TRUE(isGuarded({"parent0"}, {&one_, &two_}));
  next->setNetworks({{kBlue, PortSecurity::Enforced}}, {4799});
  ASSERT_TRUE(next->secure(onDevice(portOf(one_))));
  clock.advance(std::chrono::minutes(9));
  next->look();
  EXPECT_TRUE(isGuarded({"parent0"}, {&one_, &two_}));
  EXPECT_EQ(next->commits(), 0U);
  clock.advance(std::chrono::minutes(2));
  next->look();
  EXPECT_TRUE(isGuarded({"parent0"}, {&one_}));
  next->release({}, {one_.port().intent});
  EXPECT_TRUE(isGuarded({}, {}));
}

/// Also of AF_XDP's frames, and of a pod that took its own rules away.
TEST_F(IpvlanTest, NobodyIsWhoAPodIs) {
  ask(PortSecurity::Enforced);
  plugOnto(one_, kL2, false);
  plugOnto(two_, kL2);
  const RawSocket wire(wire_, "wire0");
  const RawSocket sibling = one_.raw();
  const RawSocket receiver = two_.raw();
  const auto claims = [&](const MacAddress& from) -> std::vector<Bytes> {
    return {ethernet(kEverybody, from, kArp, arp(2, from, two_.v4(), "10.20.0.9")),
            ethernet(kEverybody, from, kIpv4, ipv4(two_.v4(), two_.v4(), kUdp, udp(1, 2))),
            ethernet(kEverybody, from, kIpv6, ipv6(two_.v6(), two_.v6(), kUdp, udp(1, 2))),
            ethernet(kEverybody, from, kIpv6,
                     ipv6("fd00:20::9", "ff02::1", kIcmp6, neighbour(136, two_.v6())))};
  };
  std::uint64_t before = droppedOf(two_, "claimed");
  unsigned mark = 0;
  for (const auto& [sender, from] : {std::pair{&wire, wireMac_}, std::pair{&sibling, mac_}}) {
    for (const Bytes& claim : claims(from)) {
      sender->send(claim);
      const Bytes last =
          ethernet(kEverybody, from, kIpv4, ipv4("10.20.0.9", two_.v4(), kUdp, udp(7777, ++mark)));
      sender->send(last);
      // A packet socket hears what comes before the rules see it.
      EXPECT_TRUE(isHeard(claim, last, receiver)) << mark;
      ++before;
      EXPECT_TRUE(eventually([&] { return droppedOf(two_, "claimed") == before; })) << mark;
    }
  }
}

TEST_F(IpvlanTest, WithoutRulesASpoofedFrameArrives) {
  plugOnto(one_, kL2, false);
  plugOnto(two_, kL2, false);
  const RawSocket raw = one_.raw();
  const RawSocket sibling = two_.raw();
  const RawSocket wire(wire_, "wire0");
  const Bytes forged = ethernet(kEverybody, mac_, kArp, arp(2, mac_, two_.v4(), one_.v4()));
  raw.send(forged);
  for (const RawSocket* receiver : {&sibling, &wire}) {
    for (Bytes heard = receiver->next(); heard != forged; heard = receiver->next()) {
      ASSERT_FALSE(heard.empty());
    }
  }
}

TEST_F(IpvlanTest, ASuccessorWritesNothingAndKeepsTheModeUntilTheNetworkIsKnown) {
  for (const auto security :
       {PortSecurity::MacOnly, PortSecurity::Disabled, PortSecurity::Enforced}) {
    TestPod pod(3);
    ask(security);
    plugOnto(pod, kL2);
    start();
    const auto early = guard_->secure({portOf(pod)});
    ASSERT_TRUE(early);
    EXPECT_EQ(early->told.at(0), PortSecured{}) << "nobody knows yet";
    securePod(pod, PortGuard::Pod::Running);
    EXPECT_TRUE(isHeld(pod, security)) << api::name(security);
    EXPECT_EQ(guard_->secure({portOf(pod)})->told.at(0).reason, api::name(security));
    // The tunnels' ports come with the networks.
    ask(security);
    securePod(pod, PortGuard::Pod::Running);
    EXPECT_TRUE(isHeld(pod, security)) << api::name(security);
    const std::uint64_t commits = guard_->commits();
    securePod(pod, PortGuard::Pod::Running);
    EXPECT_EQ(guard_->commits(), commits);
    start();
    ask(security);
    ASSERT_TRUE(guard_->secure({portOf(pod)}));
    securePod(pod, PortGuard::Pod::Running);
    EXPECT_EQ(guard_->commits(), 0U);
    guard_->release({}, {portOf(pod).intent});
    unplug(pod);
  }
}

TEST_F(IpvlanTest, ARunningPodFollowsItsNetwork) {
  ask(PortSecurity::Enforced);
  plugOnto(one_, kL2);
  for (const auto security :
       {PortSecurity::MacOnly, PortSecurity::Disabled, PortSecurity::Enforced}) {
    ask(security);
    securePod(one_, PortGuard::Pod::Running);
    EXPECT_TRUE(isHeld(one_, security)) << api::name(security);
    EXPECT_EQ(guard_->secure({portOf(one_)})->told.at(0).holds, security != PortSecurity::Disabled);
  }
}

TEST_F(IpvlanTest, WhatSomebodyChangesIsPutBackInOneTransaction) {
  ask(PortSecurity::Enforced);
  plugOnto(one_, kL2);
  for (const char* edit : {"flush table netdev multinet\n", "delete table netdev multinet\n",
                           "add element netdev multinet open { \"net1\" }\n",
                           "insert rule netdev multinet port accept\n", "flush ruleset\n"}) {
    const std::uint64_t commits = guard_->commits();
    ASSERT_TRUE(nft(one_, edit)) << edit;
    securePod(one_, PortGuard::Pod::Running);
    EXPECT_TRUE(isHeld(one_, PortSecurity::Enforced)) << edit;
    EXPECT_EQ(guard_->commits(), commits + 1) << edit;
  }
}

TEST_F(IpvlanTest, WhereTheKernelRefusesNothingIsSecured) {
  ASSERT_TRUE(failpoint::arm("isolation.pod.before=error"));
  plugOnto(one_, kL2, false);
  const auto scope = netns::Scope::enter(one_.netns()).value();
  const Status refused = guard_->securePod({portOf(one_)}, PortGuard::Pod::New);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "KernelLacks");
  EXPECT_NE(refused.error().message.find("egress"), std::string::npos);
  ask(PortSecurity::Disabled);
  EXPECT_TRUE(guard_->securePod({portOf(one_)}, PortGuard::Pod::New));
  ask(PortSecurity::Enforced);
  ASSERT_TRUE(failpoint::arm(""));
  ASSERT_TRUE(guard_->securePod({portOf(one_)}, PortGuard::Pod::New));
  ASSERT_TRUE(failpoint::arm("isolation.pod.before=error"));
  EXPECT_EQ(guard_->securePod({portOf(one_)}, PortGuard::Pod::New).error().reason, "CommitFailed");
}

}  // namespace
}  // namespace multinet::agent::isolation
