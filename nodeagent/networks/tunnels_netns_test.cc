// Two nodes with a wire or a router between: what is measured of tunnels, for real.
#include "lib/netlink/route.h"
#include "lib/netns/netns.h"
#include "nodeagent/networks/test_nodes.h"

namespace multinet::agent::networks {
namespace {

TEST_F(NetworksTest, ATunnelOverIpv4IsMeasured) {
  wireV4();
  startBoth();
  const auto snapshot = one_.networks().snapshot();
  const auto* state = snapshot->find(kUid);
  EXPECT_EQ(state->mtu, 1450U);
  EXPECT_EQ(parentOf(*state), bridgeName(blue({})));
  EXPECT_EQ(state->underlays, std::vector<IpAddress>{ip("172.18.0.1")});
  const auto bridge = one_.inner(parentOf(*state));
  EXPECT_EQ(bridge.mac, state->bridgeMac);
  EXPECT_EQ(bridge.mtu, 1450U);
}

TEST_F(NetworksTest, ATunnelOverIpv6IsMeasured) {
  one_.wire("eth0", two_, "eth0");
  one_.address("eth0", "fd00:18::1/64");
  two_.address("eth0", "fd00:18::2/64");
  one_.start(fast());
  two_.start(fast());
  one_.networks().setDesired({blue({peer("two", "fd00:18::2")})});
  two_.networks().setDesired({blue({peer("one", "fd00:18::1")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  EXPECT_EQ(one_.networks().snapshot()->find(kUid)->mtu, 1430U);
}

TEST_F(NetworksTest, ACutPathMtuIsFoundWithinTenSecondsAndItsHealingToo) {
  wireV4();
  startBoth({});
  const auto start = steady_clock::now();
  two_.run(netlink::setMtu({0, "eth0"}, 1400));
  ASSERT_TRUE(one_.until(notReady("PathMTUTooSmall"), seconds(10)));
  const auto* state = one_.networks().snapshot()->find(kUid);
  EXPECT_NE(state->message.find("two (172.18.0.2)"), std::string::npos) << state->message;
  EXPECT_NE(state->message.find("1450"), std::string::npos) << state->message;
  ASSERT_TRUE(two_.until(notReady("PathMTUTooSmall"), seconds(10)));
  const auto cut = steady_clock::now();
  two_.run(netlink::setMtu({0, "eth0"}, 1500));
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  ASSERT_TRUE(two_.until(ready, seconds(10)));
  std::printf("path MTU cut found after %.1f s, healed after %.1f s\n",
              std::chrono::duration<double>(cut - start).count(),
              std::chrono::duration<double>(steady_clock::now() - cut).count());
}

/// A large packet to `address`, so that the kernel learns what the way there carries.
void learnPath(Node& node, const std::string& address) {
  const auto scope = netns::Scope::enter(node.netns()).value();
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(9);
  EXPECT_EQ(::inet_pton(AF_INET, address.c_str(), &target.sin_addr), 1);
  const int set = IP_PMTUDISC_DO;
  EXPECT_EQ(::setsockopt(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, &set, sizeof set), 0);
  const std::vector<char> large(1450, 'x');
  static_cast<void>(::sendto(fd.get(), large.data(), large.size(), 0,
                             reinterpret_cast<sockaddr*>(&target), sizeof target));
}

TEST_F(NetworksTest, APathMtuLearnedFromARouterIsForgottenOnceItHeals) {
  Node router("router");
  Node far("far");  // behind a narrower way, and no concern of ours
  router.wire("narrow", far, "eth0");
  router.address("narrow", "172.18.3.254/24");
  far.address("eth0", "172.18.3.3/24");
  router.run(netlink::setMtu({0, "narrow"}, 1300));
  one_.wire("eth0", router, "left");
  two_.wire("eth0", router, "right");
  one_.address("eth0", "172.18.1.1/24");
  router.address("left", "172.18.1.254/24");
  router.address("right", "172.18.2.254/24");
  two_.address("eth0", "172.18.2.2/24");
  one_.route("172.18.2.0/24", "172.18.1.254", "eth0");
  two_.route("172.18.1.0/24", "172.18.2.254", "eth0");
  one_.route("172.18.3.0/24", "172.18.1.254", "eth0");
  {
    const auto scope = netns::Scope::enter(router.netns()).value();
    must(netns::writeSysctl("ipv4/ip_forward", "1"));
  }
  one_.start(fast());
  two_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.2.2")})});
  two_.networks().setDesired({blue({peer("one", "172.18.1.1")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  router.run(netlink::setMtu({0, "right"}, 1400));
  // The kernel learns it from the router's ICMP and would keep it for ten minutes.
  EXPECT_TRUE(eventually(
      [&] { return netlink::lookUpRoute(one_.socket(), ip("172.18.2.2")).value().mtu == 1400U; }));
  ASSERT_TRUE(one_.until(notReady("PathMTUTooSmall"), seconds(10)));
  // What the node has learned of others is theirs: it goes only once, when that helps.
  ASSERT_TRUE(eventually([&] {
    learnPath(one_, "172.18.3.3");
    return netlink::lookUpRoute(one_.socket(), ip("172.18.3.3")).value().mtu == 1300U;
  }));
  std::this_thread::sleep_for(seconds(5));
  EXPECT_EQ(netlink::lookUpRoute(one_.socket(), ip("172.18.3.3")).value().mtu, 1300U);
  router.run(netlink::setMtu({0, "right"}, 1500));
  EXPECT_TRUE(one_.until(ready, seconds(10)));
  EXPECT_TRUE(two_.until(ready, seconds(10)));
}

TEST_F(NetworksTest, ASilentPeerIsNamed) {
  wireV4();
  startBoth();
  two_.runInner(netlink::setDown({0, bridgeName(blue({}))}));
  two_.stop();
  EXPECT_TRUE(one_.until(notReady("PeerUnreachable"), seconds(10)));
}

TEST_F(NetworksTest, WithoutPeersNothingIsProbedAndNothingIsClaimed) {
  wireV4();
  one_.start(fast());
  one_.networks().setDesired({blue({})});
  ASSERT_TRUE(one_.until(
      [](const Snapshot& s) { return s.settled && s.find(kUid)->link.has_value(); }, seconds(20)));
  const auto snapshot = one_.networks().snapshot();
  const Check& peers = snapshot->find(kUid)->checks.back();
  EXPECT_EQ(peers.name, "Peers");
  EXPECT_EQ(peers.status, CheckStatus::Unknown);
  EXPECT_EQ(peers.reason, "NotProbed");
}

}  // namespace
}  // namespace multinet::agent::networks
