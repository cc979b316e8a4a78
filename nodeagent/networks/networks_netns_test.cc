// What is made of networks on a node, kept and removed, for real.
#include <linux/if_link.h>
#include <unistd.h>

#include "lib/netns/keep.h"
#include "lib/nft/committer.h"
#include "nodeagent/networks/clear_node.h"
#include "nodeagent/networks/test_nodes.h"

namespace multinet::agent::networks {
namespace {

TEST_F(NetworksTest, ARestartWritesNothing) {
  wireV4();
  startBoth();
  one_.stop();
  one_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  EXPECT_EQ(one_.networks().writes(), 0U);
}

TEST_F(NetworksTest, ARestartBeforeThePeersAreKnownWritesNothingEither) {
  wireV4();
  startBoth();
  one_.stop();
  one_.start(fast());
  DesiredNetwork network = blue({});
  tunnelOf(network).peersKnown = false;
  one_.networks().setDesired({network});
  ASSERT_TRUE(one_.until(
      [](const Snapshot& s) { return s.settled && s.find(kUid)->link.has_value(); }, seconds(20)));
  EXPECT_EQ(one_.networks().writes(), 0U);
  EXPECT_EQ(one_.flood(vxlanName(network)), std::vector<IpAddress>{ip("172.18.0.2")});
}

TEST_F(NetworksTest, ANodeJoinsWhereItIsWantedAndLeavesAfterItsLastPod) {
  wireV4();
  one_.start(fast());
  DesiredNetwork network = blue({});
  const auto is = [&](bool there) {
    return (one_.inner(bridgeName(network)).index != 0) == there &&
           (one_.inner(vxlanName(network)).index != 0) == there && guarded(one_) == there;
  };
  network.demand = Demand::None;
  one_.networks().setDesired({network});
  ASSERT_TRUE(one_.until(readyAsBridge, seconds(20)));
  EXPECT_FALSE(one_.networks().snapshot()->find(kUid)->joined);
  EXPECT_EQ(one_.networks().writes(), 0U);
  EXPECT_TRUE(is(false));

  network.demand = Demand::Wanted;
  tunnelOf(network).peersKnown = false;
  one_.networks().setDesired({network});
  EXPECT_TRUE(eventually([&] { return is(true); }));
  EXPECT_FALSE(one_.networks().snapshot()->find(kUid)->link) << "whom would it flood to?";
  tunnelOf(network).peersKnown = true;
  one_.networks().setDesired({network});
  ASSERT_TRUE(
      one_.until([](const Snapshot& s) { return s.find(kUid)->link.has_value(); }, seconds(20)));

  Node pod("pod");
  one_.attach("pod0", pod, bridgeName(network));
  network.demand = Demand::None;
  tunnelOf(network).port = 4800;  // so that it is known when that is looked at
  one_.networks().setDesired({network});
  ASSERT_TRUE(eventually([&] { return one_.inner(vxlanName(network)).udpPort == 4800; }));
  EXPECT_TRUE(one_.networks().snapshot()->find(kUid)->joined) << "a pod is on it";
  one_.runInner(netlink::deleteLink({0, "pod0"}));
  EXPECT_TRUE(eventually([&] { return is(false); }));
  EXPECT_TRUE(one_.until(
      [](const Snapshot& s) { return !s.find(kUid)->joined && s.orphans.empty(); }, seconds(20)));
}

/// Linux before 6.2 renames a link only while it is down.
void rename(Node& node, const std::string& from, const std::string& to) {
  const int index = node.index(from);
  if (node.socket().run(netlink::relabel(index, {.name = to}))) return;
  node.run(netlink::setDown({index, ""}));
  node.run(netlink::relabel(index, {.name = to}));
  node.run(netlink::setUp({index, ""}));
}

TEST_F(NetworksTest, AnUnderlayThatIsRenamedOrReplacedLosesNoPodForLong) {
  wireV4();
  startBoth();
  Node left("left");
  Node right("right");
  one_.attach("mnv1", left, bridgeName(blue({})));
  two_.attach("mnv1", right, bridgeName(blue({})));
  left.address("net1", "10.20.0.1/24");
  right.address("net1", "10.20.0.2/24");
  ASSERT_TRUE(reaches(left, right, "10.20.0.2", 7000));
  const int tunnel = one_.inner(vxlanName(blue({}))).index;

  rename(one_, "eth0", "eth9");
  ASSERT_TRUE(one_.until(notReady("DeviceRenamed"), seconds(20)));
  EXPECT_FALSE(one_.networks().snapshot()->find(kUid)->underlays.empty());
  EXPECT_EQ(one_.inner(vxlanName(blue({}))).index, tunnel);
  EXPECT_TRUE(reaches(left, right, "10.20.0.2", 7001)) << "by the guard's rules too";
  rename(one_, "eth9", "eth0");
  ASSERT_TRUE(one_.until(ready, seconds(20)));
  EXPECT_EQ(one_.inner(vxlanName(blue({}))).index, tunnel);

  one_.run(netlink::deleteLink({0, "eth0"}));
  ASSERT_TRUE(one_.until(notReady("DeviceMissing"), seconds(20)));
  wireV4();
  ASSERT_TRUE(one_.until(ready, seconds(20)));
  ASSERT_TRUE(two_.until(ready, seconds(20)));
  EXPECT_TRUE(reaches(left, right, "10.20.0.2", 7002));
}

// Whatever kernel this runs on: it is asked in the way that doesn't depend on the product's.
TEST_F(NetworksTest, ReadyOnlyWhereTheKernelHasTheKindOfLink) {
  wireV4();
  one_.start(fast());
  one_.networks().setDesired({asIpvlan(blue({}), {"eth0", api::IpvlanMode::L2})});
  const Status made = one_.socket().run(netlink::createStacked(
      {.kind = "ipvlan", .name = "try", .parent = "eth0", .parentIndex = one_.index("eth0")}));
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.find(kUid) != nullptr; }, seconds(20)));
  const auto snapshot = one_.networks().snapshot();
  const NetworkState& state = *snapshot->find(kUid);
  EXPECT_EQ(state.ready == CheckStatus::True, made.has_value()) << state.message;
  EXPECT_EQ(state.link.has_value(), made.has_value());
  if (!made) {
    EXPECT_EQ(state.reason, "KernelLacksIPVlan");
  }
  EXPECT_FALSE(one_.has("mnl-asked")) << "nothing is made by asking";
}

TEST_F(NetworksTest, DriftIsRepaired) {
  wireV4();
  startBoth();
  const DesiredNetwork network = blue({});
  one_.runInner(netlink::deleteLink({0, vxlanName(network)}));
  EXPECT_TRUE(eventually([&] { return one_.inner(vxlanName(network)).index != 0; }));
  one_.runInner(netlink::setDown({0, bridgeName(network)}));
  EXPECT_TRUE(eventually([&] { return one_.inner(bridgeName(network)).up; }));
  const auto flood = [&] { return one_.flood(vxlanName(network)); };
  ASSERT_TRUE(eventually([&] { return flood() == std::vector<IpAddress>{ip("172.18.0.2")}; }));
  one_.runInner(netlink::addFlood(one_.inner(vxlanName(network)).index, ip("172.18.0.9")));
  EXPECT_TRUE(eventually([&] { return flood() == std::vector<IpAddress>{ip("172.18.0.2")}; }));
}

TEST_F(NetworksTest, WhatSomebodySetAtBridgesAndPortsIsPutBack) {
  wireV4();
  startBoth();
  Node pod("pod");
  one_.attach("mnv1", pod, bridgeName(blue({})));
  constexpr std::uint32_t kBlocking = 4;  // BR_STATE_BLOCKING; linux/if_bridge.h clashes
  struct Setting {
    std::string link;
    netlink::Setting set;
    bool port = false;
  };
  const std::string bridge = bridgeName(blue({}));
  const std::vector<Setting> settings = {
      {bridge, {IFLA_BR_STP_STATE, 4, 1}},
      {bridge, {IFLA_BR_AGEING_TIME, 4, 0}},
      {bridge, {IFLA_BR_MCAST_SNOOPING, 1, 1}},
      {bridge, {IFLA_BR_NF_CALL_ARPTABLES, 1, 1}},
      {bridge, {IFLA_BR_MULTI_BOOLOPT, 8, 0}},
      {"mnv1", {IFLA_BRPORT_ISOLATED, 1, 1}, true},
      {"mnv1", {IFLA_BRPORT_LEARNING, 1, 0}, true},
      {"mnv1", {IFLA_BRPORT_STATE, 1, kBlocking}, true},
      {vxlanName(blue({})), {IFLA_BRPORT_UNICAST_FLOOD, 1, 0}, true},
      {vxlanName(blue({})), {IFLA_BRPORT_BCAST_FLOOD, 1, 0}, true},
  };
  const auto isAsMade = [&](const std::string& name) {
    const netlink::LinkInfo link = one_.inner(name);
    return link.changed.empty() && link.changedPort.empty();
  };
  const auto areAsMade = [&] {
    return isAsMade(bridge) && isAsMade("mnv1") && isAsMade(vxlanName(blue({})));
  };
  EXPECT_TRUE(areAsMade());
  for (const Setting& one : settings) {
    netlink::LinkInfo changed = one_.inner(one.link);
    (one.port ? changed.changedPort : changed.changed) = {one.set};
    one_.runInner(one.port ? netlink::setPort(changed) : netlink::setKind(changed));
    EXPECT_TRUE(eventually(areAsMade)) << one.link << " " << one.set.attribute;
  }
}

TEST_F(NetworksTest, AMacThatSomebodyPinnedIsLearnedAgain) {
  wireV4();
  startBoth();
  Node pod("pod");
  const std::string tunnel = vxlanName(blue({}));
  one_.attach("mnv1", pod, bridgeName(blue({})));
  const auto victim = MacAddress::derive("victim");
  const auto isPinned = [&](const std::string& link) {
    const auto entries = one_.entriesOf(link);
    return std::ranges::any_of(entries, [&](const auto& entry) { return entry.mac == victim; });
  };
  const int bridge = one_.inner(bridgeName(blue({}))).index;
  one_.runInner(netlink::addFdb({one_.inner("mnv1").index, bridge, victim, {}, 0, true}));
  one_.runInner(netlink::addFdb({one_.inner(tunnel).index, 0, victim, ip("192.0.2.1"), 0, true}));
  ASSERT_TRUE(isPinned("mnv1"));
  EXPECT_TRUE(eventually([&] { return !isPinned("mnv1") && !isPinned(tunnel); }));
  ASSERT_TRUE(eventually([&] { return one_.inner("mnv1").changedPort.empty(); }));
}

TEST_F(NetworksTest, ATunnelThatSomebodyChangedIsMadeAnew) {
  wireV4();
  startBoth();
  netlink::LinkInfo changed = one_.inner(vxlanName(blue({})));
  const int before = changed.index;
  changed.changed = {{IFLA_VXLAN_TTL, 1, 1}};
  one_.runInner(netlink::setKind(changed));
  EXPECT_TRUE(eventually([&] {
    const netlink::LinkInfo now = one_.inner(vxlanName(blue({})));
    return now.index != 0 && now.index != before && now.vxlan && !now.vxlan->changed;
  }));
  EXPECT_TRUE(one_.until(ready, seconds(10)));
}

TEST_F(NetworksTest, TheSwitchHasNoAddressAndForwardsNoIp) {
  wireV4();
  startBoth();
  const std::string bridge = bridgeName(blue({}));
  const auto address = InterfaceAddress::parse("10.60.0.1/24").value();
  one_.runInner(netlink::addAddress(one_.inner(bridge).index, address));
  {
    const auto scope = netns::Scope::enter(one_.switchNetns()).value();
    must(netns::writeSysctl("ipv4/ip_forward", "1"));
  }
  EXPECT_TRUE(eventually([&] {
    const auto scope = netns::Scope::enter(one_.switchNetns()).value();
    auto socket = netlink::Socket::open().value();
    return netlink::findAddresses(socket, one_.inner(bridge).index).value().empty() &&
           netns::readSysctl("ipv4/ip_forward").value() == "0";
  }));
}

TEST_F(NetworksTest, LinksThatSomebodyLetSpeakIpv6AreSilentAgain) {
  wireV4();
  startBoth();
  Node pod("pod");
  one_.attach("mnv1", pod, bridgeName(blue({})));
  const auto key = [](const std::string& link) { return "ipv6/conf/" + link + "/disable_ipv6"; };
  const std::vector<std::string> links = {bridgeName(blue({})), vxlanName(blue({})), "mnv1"};
  for (const std::string& link : links) {
    {
      const auto scope = netns::Scope::enter(one_.switchNetns()).value();
      must(netns::writeSysctl(key(link), "0"));
    }
    EXPECT_TRUE(eventually([&] {
      const auto scope = netns::Scope::enter(one_.switchNetns()).value();
      return netns::readSysctl(key(link)).value() == "1";
    })) << link;
  }
}

TEST_F(NetworksTest, TheSwitchIsMountedAgainWhereSomebodyTookItsMountAway) {
  wireV4();
  const std::string path = testing::TempDir() + "/switch-" + std::to_string(::getpid());
  NetworksOptions options = fast();
  options.switchPath = path;
  one_.start(options);
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  const auto isMounted = [&] {
    const auto mounted = netns::openPath(path);
    return mounted &&
           netns::identity(*mounted).value() == netns::identity(one_.switchNetns()).value();
  };
  EXPECT_TRUE(eventually(isMounted));
  ASSERT_TRUE(netns::forget(path));
  EXPECT_TRUE(eventually(isMounted));
  one_.stop();
  EXPECT_TRUE(netns::forget(path));
}

TEST_F(NetworksTest, ANetworkThatIsGoneGoesOnceNoPodIsLeftInIt) {
  wireV4();
  one_.start(fast());
  one_.networks().setDesired({blue({})});
  const std::string bridge = bridgeName(blue({}));
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.settled; }, seconds(20)));
  Node pod("pod");
  one_.attach("pod0", pod, bridge);
  one_.networks().setDesired({});
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.orphans.size() == 1; }, seconds(20)));
  EXPECT_EQ(one_.networks().snapshot()->orphans.front().interfaces, 1U);
  EXPECT_NE(one_.inner(bridge).index, 0);
  one_.runInner(netlink::deleteLink({0, "pod0"}));
  EXPECT_TRUE(eventually(
      [&] { return one_.inner(bridge).index == 0 && one_.inner(vxlanName(blue({}))).index == 0; }));
  EXPECT_TRUE(one_.until([](const Snapshot& s) { return s.orphans.empty(); }, seconds(20)));
}

std::vector<Orphan> clear(Node& node) {
  const auto scope = netns::Scope::enter(node.netns()).value();
  const auto left = clearNode(node.switchNetns().duplicate().value());
  EXPECT_TRUE(left) << left.error().message;
  return left.value_or(std::vector<Orphan>{});
}

TEST_F(NetworksTest, ANodeThatIsClearedHasNothingLeft) {
  wireV4();
  startBoth();
  one_.stop();
  ASSERT_TRUE(guarded(one_));
  EXPECT_TRUE(clear(one_).empty());
  EXPECT_EQ(one_.inner(bridgeName(blue({}))).index, 0);
  EXPECT_EQ(one_.inner(vxlanName(blue({}))).index, 0);
  EXPECT_FALSE(guarded(one_));
  EXPECT_TRUE(clear(one_).empty()) << "again";
}

TEST_F(NetworksTest, WhatAPodIsOnStaysWhenTheNodeIsCleared) {
  wireV4();
  startBoth();
  one_.stop();
  Node pod("pod");
  one_.attach("pod0", pod, bridgeName(blue({})));
  ASSERT_EQ(clear(one_).size(), 1U);
  EXPECT_NE(one_.inner(vxlanName(blue({}))).index, 0);
  EXPECT_TRUE(guarded(one_)) << "its tunnel still listens";
  one_.runInner(netlink::deleteLink({0, "pod0"}));
  EXPECT_TRUE(clear(one_).empty());
  EXPECT_FALSE(guarded(one_));
}

TEST_F(NetworksTest, AForeignLinkOfThatNameIsLeftAloneAndTold) {
  wireV4();
  const DesiredNetwork network = asBridge(blue({}), {"br-admin", api::BridgeMode::Own, ""});
  one_.runInner(netlink::createBridge({"br-admin", MacAddress::derive("x"), 1500}));
  one_.start(fast());
  one_.networks().setDesired({network});
  EXPECT_TRUE(one_.until(notReady("NameTaken"), seconds(20)));
  EXPECT_EQ(one_.networks().writes(), 0U);
}

TEST_F(NetworksTest, AForeignLinkWithACopiedMarkIsLeftAlone) {
  wireV4();
  one_.wire("eth9", two_, "eth9");
  one_.run(netlink::setAlias({0, "eth9"}, networkAlias(NetworkUid("gone"))));
  startBoth();
  EXPECT_TRUE(one_.has("eth9"));
  EXPECT_TRUE(one_.networks().snapshot()->orphans.empty());
  one_.stop();
  EXPECT_TRUE(clear(one_).empty());
  EXPECT_TRUE(one_.has("eth9"));
}

TEST_F(NetworksTest, ANetworkJoinsABridgeOfSomebodyElsesByOneWire) {
  one_.run(netlink::createBridge({"br-admin", MacAddress::derive("x"), 1500}));
  one_.up("br-admin");
  one_.wire("port0", two_, "eth1");
  one_.run(netlink::setMaster({0, "port0"}, one_.index("br-admin")));
  two_.address("eth1", "10.60.0.2/24");
  const DesiredNetwork network = asBridge(blue({}), {"br-admin", api::BridgeMode::Existing, ""});
  one_.start(fast());
  one_.networks().setDesired({network});
  ASSERT_TRUE(one_.until(readyAsBridge, seconds(20)));
  const std::string parent = parentOf(*one_.networks().snapshot()->find(kUid));
  Node pod("pod");
  one_.attach("pod0", pod, parent);
  pod.address("net1", "10.60.0.9/24");
  EXPECT_TRUE(reaches(pod, two_, "10.60.0.2", 7777));
  // The bridge goes and comes back.
  one_.run(netlink::deleteLink({0, "br-admin"}));
  ASSERT_TRUE(one_.until(notReady("DeviceMissing"), seconds(20)));
  one_.run(netlink::createBridge({"br-admin", MacAddress::derive("x"), 1500}));
  one_.up("br-admin");
  one_.run(netlink::setMaster({0, "port0"}, one_.index("br-admin")));
  EXPECT_TRUE(reaches(pod, two_, "10.60.0.2", 7777));
  // Gone with the network, and nothing else with it.
  one_.runInner(netlink::deleteLink({0, "pod0"}));
  one_.networks().setDesired({});
  EXPECT_TRUE(eventually([&] { return !one_.has(wireEndName(network)); }));
  EXPECT_TRUE(one_.has("br-admin"));
}

TEST_F(NetworksTest, AnUplinkStaysWithTheNode) {
  one_.wire("eth1", two_, "eth1");
  one_.up("eth1");
  two_.address("eth1", "10.60.0.2/24");
  const DesiredNetwork network = asBridge(blue({}), {"", api::BridgeMode::Own, "eth1"});
  one_.start(fast());
  one_.networks().setDesired({network});
  ASSERT_TRUE(one_.until(readyAsBridge, seconds(20)));
  Node pod("pod");
  one_.attach("pod0", pod, bridgeName(network));
  pod.address("net1", "10.60.0.9/24");
  EXPECT_TRUE(reaches(pod, two_, "10.60.0.2", 7777));
  EXPECT_EQ(netlink::findLink(one_.socket(), {0, "eth1"}).value().master, 0);
  one_.stop();
  one_.start(fast());
  one_.networks().setDesired({network});
  ASSERT_TRUE(one_.until(readyAsBridge, seconds(20)));
  EXPECT_EQ(one_.networks().writes(), 0U);
}

TEST_F(NetworksTest, TheNodesNicIsNoUplink) {
  wireV4();
  const DesiredNetwork network = asBridge(blue({}), {"", api::BridgeMode::Own, "eth0"});
  one_.start(fast());
  one_.networks().setDesired({network});
  EXPECT_TRUE(one_.until(notReady("DeviceInUse"), seconds(20)));
  EXPECT_EQ(netlink::findLink(one_.socket(), {0, "eth0"}).value().master, 0);
  EXPECT_FALSE(one_.networks().snapshot()->find(kUid)->link);
  EXPECT_EQ(one_.networks().writes(), 0U);
}

TEST_F(NetworksTest, TheSwitchIsNobodysBusiness) {
  wireV4();
  startBoth();
  Node pod("pod");
  Node peerPod("peer-pod");
  one_.attach("pod0", pod, bridgeName(blue({})));
  two_.attach("pod0", peerPod, bridgeName(blue({})));
  pod.address("net1", "10.60.0.1/24");
  peerPod.address("net1", "10.60.0.2/24");
  ASSERT_TRUE(reaches(pod, peerPod, "10.60.0.2", 7777));
  {
    const auto scope = netns::Scope::enter(one_.netns()).value();
    auto committer = nft::Committer::open().value();
    must(
        committer.commit("flush ruleset\ntable inet strict {\n  chain forward {\n    type filter "
                         "hook forward priority 0; policy drop;\n  }\n}\n"));
    for (const char* key : {"bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"}) {
      if (netns::readSysctl(key)) must(netns::writeSysctl(key, "1"));
    }
  }
  EXPECT_TRUE(reaches(pod, peerPod, "10.60.0.2", 7777));
  EXPECT_TRUE(eventually([&] { return guarded(one_); })) << "and the guard comes back";
  // Another network with the same subnet, and a pod of the same address.
  DesiredNetwork second = blue({});
  second.name = NetworkName("green");
  second.uid = NetworkUid("another");
  tunnelOf(second).vni = 7002;
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")}), second});
  ASSERT_TRUE(eventually([&] { return one_.inner(bridgeName(second)).up; }));
  Node twin("twin");
  one_.attach("pod1", twin, bridgeName(second));
  twin.address("net1", "10.60.0.1/24");
  EXPECT_FALSE(delivers(twin, peerPod, "10.60.0.2", 7777));
  EXPECT_TRUE(reaches(pod, peerPod, "10.60.0.2", 7777));
  const auto scope = netns::Scope::enter(one_.switchNetns()).value();
  EXPECT_EQ(netns::readSysctl("ipv6/conf/default/disable_ipv6").value_or("1"), "1");
  EXPECT_EQ(netns::readSysctl("bridge/bridge-nf-call-iptables").value_or("0"), "0");
}

TEST_F(NetworksTest, WhatAnEarlierVersionMadeMovesIntoTheSwitch) {
  wireV4();
  one_.startWithoutSwitch(fast());
  two_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  two_.networks().setDesired({blue({peer("one", "172.18.0.1")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  Node pod("pod");
  Node peerPod("peer-pod");
  one_.attachOnNode("pod0", pod, bridgeName(blue({})));
  two_.attach("pod0", peerPod, bridgeName(blue({})));
  pod.address("net1", "10.60.0.1/24");
  peerPod.address("net1", "10.60.0.2/24");
  ASSERT_TRUE(reaches(pod, peerPod, "10.60.0.2", 7777));
  one_.stop();
  one_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  EXPECT_TRUE(reaches(pod, peerPod, "10.60.0.2", 7777));
  EXPECT_TRUE(eventually([&] { return !one_.has(bridgeName(blue({}))); }));
  EXPECT_FALSE(one_.has(vxlanName(blue({}))));
  EXPECT_FALSE(one_.has("pod0"));
  EXPECT_EQ(one_.inner("pod0").master, one_.inner(bridgeName(blue({}))).index);
  EXPECT_TRUE(one_.networks().snapshot()->orphans.empty());
  one_.stop();
  one_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  EXPECT_EQ(one_.networks().writes(), 0U);
}

TEST_F(NetworksTest, ANetworkOfAnEarlierVersionThatNobodyWantsServesItsPods) {
  wireV4();
  one_.startWithoutSwitch(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  ASSERT_TRUE(eventually([&] { return one_.has(vxlanName(blue({}))); }));
  Node pod("pod");
  one_.attachOnNode("pod0", pod, bridgeName(blue({})));
  one_.stop();
  one_.start(fast());
  one_.networks().setDesired({});
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.orphans.size() == 1; }, seconds(20)));
  EXPECT_TRUE(one_.has(vxlanName(blue({}))));
  EXPECT_TRUE(guarded(one_));
  one_.run(netlink::deleteLink({0, "pod0"}));
  EXPECT_TRUE(eventually([&] { return !one_.has(bridgeName(blue({}))); }));
}

}  // namespace
}  // namespace multinet::agent::networks
