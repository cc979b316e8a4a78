// Who reaches a tunnel, and what a tunnel never takes from its node, for real.
#include "lib/base/failpoint.h"
#include "lib/netns/packet_socket.h"
#include "nodeagent/networks/test_nodes.h"

namespace multinet::agent::networks {
namespace {

/// Sends `payload` in a VXLAN packet, with a frame of the probes' ethertype inside.
void forge(Node& from, const std::string& to, const MacAddress& bridge) {
  const auto scope = netns::Scope::enter(from.netns()).value();
  std::vector<std::uint8_t> packet = {0x08, 0, 0, 0, 0, 0x1b, 0x59, 0};  // VNI 7001
  packet.insert(packet.end(), bridge.bytes().begin(), bridge.bytes().end());
  const MacAddress source = MacAddress::derive("forger");
  packet.insert(packet.end(), source.bytes().begin(), source.bytes().end());
  packet.insert(packet.end(), {0x88, 0xB5});
  packet.resize(packet.size() + 46, 0x55);
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(4799);
  ASSERT_EQ(::inet_pton(AF_INET, to.c_str(), &target.sin_addr), 1);
  ASSERT_GT(::sendto(fd.get(), packet.data(), packet.size(), 0,
                     reinterpret_cast<sockaddr*>(&target), sizeof target),
            0);
}

bool hears(netns::PacketSocket& socket) {
  const auto limit = steady_clock::now() + milliseconds(600);
  bool heard = false;
  while (!heard && steady_clock::now() < limit) {
    socket.drain(100, [&](const netns::EthernetFrame& frame) {
      heard = heard || frame.from == MacAddress::derive("forger");
    });
    std::this_thread::sleep_for(milliseconds(10));
  }
  return heard;
}

TEST_F(NetworksTest, OnlyPeersReachATunnel) {
  wireV4();
  startBoth();
  two_.stop();
  Node pod("pod");
  one_.wire("cluster0", pod, "eth0");
  one_.address("cluster0", "10.244.0.1/24");
  pod.address("eth0", "10.244.0.5/24");
  pod.route("0.0.0.0/0", "10.244.0.1", "eth0");
  two_.address("eth0", "172.18.0.66/24");
  const MacAddress bridge = bridgeMac(NodeName("one"), kUid);
  auto listener = [&] {
    const auto scope = netns::Scope::enter(one_.switchNetns()).value();
    return netns::PacketSocket::open(one_.inner(bridgeName(blue({}))).index, 0x88B5).value();
  }();
  forge(two_, "172.18.0.1", bridge);  // by the underlay, from a peer's address: the control
  EXPECT_TRUE(hears(listener));
  forge(pod, "172.18.0.1", bridge);
  EXPECT_FALSE(hears(listener));
  // A pod that takes a peer's address comes in by the wrong device.
  pod.address("eth0", "172.18.0.2/32");
  one_.run(netlink::removeAddress(one_.index("cluster0"),
                                  InterfaceAddress::parse("10.244.0.1/24").value()));
  forge(pod, "172.18.0.1", bridge);
  EXPECT_FALSE(hears(listener));
  // The peer leaves: what came through before no longer does.
  one_.networks().setDesired({blue({peer("two", "172.18.0.99")})});
  ASSERT_TRUE(one_.until(
      [](const Snapshot& s) {
        return s.find(kUid)->message.find("172.18.0.99") != std::string::npos;
      },
      seconds(15)));
  forge(two_, "172.18.0.1", bridge);
  EXPECT_FALSE(hears(listener));
}

TEST_F(NetworksTest, PlainPodsUseTheTunnelsPortAmongThemselves) {
  wireV4();
  startBoth();
  Node pod("pod");
  Node other("other");
  one_.wire("cluster0", pod, "eth0");
  one_.wire("cluster1", other, "eth0");
  one_.address("cluster0", "10.244.0.1/24");
  one_.address("cluster1", "10.244.1.1/24");
  pod.address("eth0", "10.244.0.5/24");
  other.address("eth0", "10.244.1.5/24");
  pod.route("0.0.0.0/0", "10.244.0.1", "eth0");
  other.route("0.0.0.0/0", "10.244.1.1", "eth0");
  const auto scope = netns::Scope::enter(one_.netns()).value();
  must(netns::writeSysctl("ipv4/ip_forward", "1"));
  EXPECT_TRUE(reaches(pod, other, "10.244.1.5", 4799));
  // To a peer's tunnel they don't get: the next node might take them for this one.
  two_.stop();
  two_.runInner(netlink::deleteLink({0, vxlanName(blue({}))}));
  two_.route("10.244.0.0/16", "172.18.0.1", "eth0");
  EXPECT_TRUE(reaches(pod, two_, "172.18.0.2", 4800));
  EXPECT_FALSE(delivers(pod, two_, "172.18.0.2", 4799));
}

TEST_F(NetworksTest, TheGuardStaysAsLongAsATunnel) {
  wireV4();
  startBoth();
  Node pod("pod");
  one_.attach("pod0", pod, bridgeName(blue({})));
  one_.networks().setDesired({});
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.orphans.size() == 1; }, seconds(20)));
  EXPECT_TRUE(guarded(one_));
  one_.stop();
  one_.start(fast());  // a successor knows no more than the kernel
  one_.networks().setDesired({});
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.orphans.size() == 1; }, seconds(20)));
  EXPECT_TRUE(guarded(one_));
  EXPECT_EQ(one_.networks().writes(), 0U);
  one_.runInner(netlink::deleteLink({0, "pod0"}));
  EXPECT_TRUE(eventually([&] { return !guarded(one_); }));
}

TEST_F(NetworksTest, ANetworkThatIsNoLongerReadyGoesOnForItsPods) {
  wireV4();
  startBoth();
  DesiredNetwork kept = blue({peer("two", "172.18.0.9")});
  kept.state = DesiredState::Keep;
  tunnelOf(kept).vni = 0;  // the reservation is gone too
  one_.networks().setDesired({kept});
  EXPECT_TRUE(eventually([&] {
    return one_.flood(vxlanName(kept)) == std::vector<IpAddress>{ip("172.18.0.9")};
  })) << "and still follows its peers";
  EXPECT_EQ(one_.inner(vxlanName(kept)).vxlan->vni, 7001U);
  EXPECT_TRUE(guarded(one_));
}

TEST_F(NetworksTest, WithoutAGuardThereIsNoTunnelAndNothingIsAttached) {
  wireV4();
  ASSERT_TRUE(failpoint::arm("networks.guard=error"));
  one_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  ASSERT_TRUE(one_.until(
      [](const Snapshot& s) {
        const auto* state = s.find(kUid);
        return s.settled && state != nullptr && !state->link;
      },
      seconds(20)));
  EXPECT_EQ(one_.inner(vxlanName(blue({}))).index, 0);
  ASSERT_TRUE(failpoint::arm(""));
  EXPECT_TRUE(
      one_.until([](const Snapshot& s) { return s.find(kUid)->link.has_value(); }, seconds(10)));
  EXPECT_NE(one_.inner(vxlanName(blue({}))).index, 0);
}

TEST_F(NetworksTest, ThisNodesOwnAddressesAreNoPeers) {
  wireV4();
  one_.address("eth0", "172.18.0.66/24");
  one_.start(fast());
  one_.networks().setDesired(
      {blue({peer("two", "172.18.0.2"), peer("thief", "172.18.0.1"), peer("second", "172.18.0.66"),
             peer("all", "172.18.0.255"), peer("many", "224.0.0.7")})});
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.settled; }, seconds(20)));
  ASSERT_TRUE(eventually([&] { return one_.inner(vxlanName(blue({}))).index != 0; }));
  EXPECT_EQ(one_.flood(vxlanName(blue({}))), std::vector<IpAddress>{ip("172.18.0.2")});
  const auto snapshot = one_.networks().snapshot();
  const auto& checks = snapshot->find(kUid)->checks;
  const auto told = std::find_if(checks.begin(), checks.end(), [](const Check& check) {
    return check.name == "PeerAddresses" && check.status == CheckStatus::False;
  });
  ASSERT_NE(told, checks.end());
  EXPECT_NE(told->message.find("172.18.0.1 is this node's own"), std::string::npos);
}

TEST_F(NetworksTest, APortThatSomebodyHasIsLeftToHim) {
  wireV4();
  netlink::VxlanSpec foreign;
  foreign.name = "vx-foreign";
  foreign.mac = MacAddress::derive("foreign");
  foreign.mtu = 1450;
  foreign.vxlan.vni = 77;
  foreign.vxlan.port = 8472;
  foreign.vxlan.underlayIndex = one_.index("eth0");
  foreign.vxlan.local = ip("172.18.0.1");
  one_.run(netlink::createVxlan(foreign));
  one_.up("vx-foreign");
  one_.start(fast());
  DesiredNetwork network = blue({});
  tunnelOf(network).port = 8472;
  one_.networks().setDesired({network});
  EXPECT_TRUE(one_.until(notReady("PortTaken"), seconds(20)));
  EXPECT_FALSE(guarded(one_));
  const Fd socket = [&] {
    const auto scope = netns::Scope::enter(one_.netns()).value();
    Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(6081);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    return fd;
  }();
  tunnelOf(network).port = 6081;
  one_.networks().setDesired({network});
  EXPECT_TRUE(one_.until(
      [](const Snapshot& s) {
        return s.find(kUid)->message.find("UDP port 6081 is open") != std::string::npos;
      },
      seconds(20)));
  EXPECT_EQ(one_.networks().writes(), 0U);
}

}  // namespace
}  // namespace multinet::agent::networks
