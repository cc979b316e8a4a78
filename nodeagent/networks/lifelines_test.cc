#include "nodeagent/networks/lifelines.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "nodeagent/drivers/op.h"
#include "nodeagent/networks/host.h"
#include "nodeagent/networks/test_networks.h"

namespace multinet::agent::networks {
namespace {

using drivers::vxlan::whyNoRemote;

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}
IpPrefix prefix(const std::string& text) {
  return IpPrefix::parse(text).value();
}

netlink::LinkInfo& add(Host& host, int index, const std::string& name,
                       const std::string& kind = "") {
  netlink::LinkInfo link;
  link.index = index;
  link.name = name;
  link.kind = kind;
  link.mtu = 1500;
  link.up = true;
  link.carrier = true;
  return host.links[name] = link;
}

/// eth0 with the node's address; eth1 free.
Host node() {
  Host host;
  add(host, 2, "eth0");
  add(host, 3, "eth1");
  host.addresses[2] = {ip("10.0.0.1")};
  host.own = {ip("127.0.0.1"), ip("10.0.0.1"), ip("fe80::1")};
  host.broadcasts = {ip("10.0.0.0"), ip("10.0.0.255")};
  host.routed[2] = prefix("0.0.0.0/0");
  return host;
}

DesiredNetwork tunnel(std::uint16_t port = 4799) {
  DesiredNetwork network = testTunnel("blue", "u-blue");
  tunnelOf(network).port = port;
  return network;
}
DesiredNetwork bridgeOn(const std::string& uplink) {
  return asBridge(tunnel(), {"", api::BridgeMode::Own, uplink});
}
DesiredNetwork macvlanOn(const std::string& parent, api::MacvlanMode mode) {
  return asMacvlan(tunnel(), {parent, mode});
}
DesiredNetwork passthru(const std::string& parent) {
  return macvlanOn(parent, api::MacvlanMode::Passthru);
}

std::string reason(const DesiredNetwork& network, const Host& host) {
  const auto served = judge({network}, host, "eth0");
  if (served.empty()) return "not served";
  return served.front().refusal ? served.front().refusal->reason : "";
}
std::string message(const DesiredNetwork& network, const Host& host) {
  return judge({network}, host, "eth0").front().refusal.value_or(Refusal{}).message;
}

TEST(Lifelines, AFreeDeviceMayBeTaken) {
  EXPECT_EQ(reason(bridgeOn("eth1"), node()), "");
  EXPECT_EQ(reason(passthru("eth1"), node()), "");
  EXPECT_EQ(reason(bridgeOn(""), node()), "");
}

TEST(Lifelines, TheNodesOwnDevicesMayNot) {
  for (const auto& network : {bridgeOn("eth0"), passthru("eth0")}) {
    EXPECT_EQ(reason(network, node()), "DeviceInUse");
    EXPECT_NE(message(network, node()).find("eth0"), std::string::npos);
    EXPECT_NE(message(network, node()).find("10.0.0.1"), std::string::npos);
  }
  const DesiredNetwork shared = macvlanOn("eth0", api::MacvlanMode::Bridge);
  EXPECT_EQ(reason(shared, node()), "") << "a shared parent keeps its addresses";
}

TEST(Lifelines, EachUseOfADeviceCounts) {
  const auto with = [](const std::function<void(Host&)>& change) {
    Host host = node();
    change(host);
    return reason(bridgeOn("eth1"), host);
  };
  EXPECT_EQ(with([](Host& h) { h.routed[3] = prefix("10.91.0.7/32"); }), "DeviceInUse");
  EXPECT_EQ(with([](Host& h) { h.addresses[3] = {ip("fd00::1")}; }), "DeviceInUse");
  EXPECT_EQ(with([](Host& h) { h.links["eth1"].alias = networkAlias(NetworkUid("x")); }),
            "DeviceInUse");
  EXPECT_EQ(with([](Host& h) { h.links["eth1"].alias = drivers::aliasOf(IntentId("i"), "net1"); }),
            "DeviceInUse");
  EXPECT_EQ(with([](Host& h) {
              add(h, 9, "bond0", "bond");
              h.links["eth1"].master = 9;
            }),
            "DeviceInUse");
  for (const char* kind : {"vlan", "macvlan", "ipvlan", "macvtap"}) {
    EXPECT_EQ(with([&](Host& h) { add(h, 9, "upper0", kind).lower = 3; }), "DeviceInUse") << kind;
  }
  EXPECT_EQ(with([](Host& h) { add(h, 9, "peer", "veth").lower = 3; }), "")
      << "the other end of a wire doesn't stand on it";
  EXPECT_EQ(with([](Host& h) { add(h, 9, "eth2").master = 3; }), "DeviceInUse") << "has ports";
  EXPECT_EQ(with([](Host& h) {
              netlink::VxlanInfo vxlan;
              vxlan.underlayIndex = 3;
              add(h, 9, "vx0", "vxlan").vxlan = vxlan;
            }),
            "DeviceInUse");
  Host host = node();
  host.addresses.clear();
  host.routed.clear();
  EXPECT_EQ(reason(bridgeOn("eth0"), host), "DeviceInUse") << "the underlay, address or not";
}

TEST(Lifelines, AnUplinkThatIsOursAlreadyStays) {
  Host host = node();
  auto& bridge = add(host, 5, bridgeName(bridgeOn("eth1")), "bridge");
  bridge.alias = networkAlias(NetworkUid("u-blue"));
  host.links["eth1"].master = 5;
  EXPECT_EQ(reason(bridgeOn("eth1"), host), "");
}

TEST(Lifelines, OneDeviceIsHadInOneMannerOnly) {
  const auto second = [](DesiredNetwork network) {
    network.name = NetworkName("green");
    network.uid = NetworkUid("u-green");
    return network;
  };
  const auto shared = [](const char* parent) {
    return macvlanOn(parent, api::MacvlanMode::Private);
  };
  const auto reasonOfSecond = [&](const DesiredNetwork& one, const DesiredNetwork& two) {
    const auto served = judge({one, second(two)}, node(), "eth0");
    EXPECT_FALSE(served.at(0).refusal);
    return served.at(1).refusal ? served[1].refusal->reason : "";
  };
  EXPECT_EQ(reasonOfSecond(shared("eth1"), shared("eth1")), "");
  EXPECT_EQ(reasonOfSecond(shared("eth1"), passthru("eth1")), "DeviceTaken");
  EXPECT_EQ(reasonOfSecond(bridgeOn("eth1"), shared("eth1")), "DeviceTaken");
  EXPECT_EQ(reasonOfSecond(bridgeOn("eth1"), bridgeOn("eth1")), "DeviceTaken");
  EXPECT_EQ(reasonOfSecond(bridgeOn("eth1"), shared("eth0")), "");
  EXPECT_EQ(reasonOfSecond(tunnel(), tunnel()), "");
  const auto served = judge({bridgeOn("eth1"), second(shared("eth1"))}, node(), "eth0");
  EXPECT_NE(served.at(1).refusal->message.find("network \"blue\""), std::string::npos);
}

TEST(Lifelines, IpvlansOfADeviceAreOfOneMode) {
  const auto shared = [](const char* name, api::IpvlanMode mode) {
    return asIpvlan(testTunnel(name, name), {"eth0", mode});
  };
  const auto reasonOfSecond = [&](const DesiredNetwork& one, const DesiredNetwork& two) {
    const auto served = judge({one, two}, node(), "eth0");
    EXPECT_FALSE(served.at(0).refusal) << "beside the node's addresses";
    return served.at(1).refusal ? served[1].refusal->reason : "";
  };
  using enum api::IpvlanMode;
  EXPECT_EQ(reasonOfSecond(shared("a", L3), shared("b", L3)), "");
  EXPECT_EQ(reasonOfSecond(shared("a", L2), shared("b", L3)), "DeviceTaken");
  EXPECT_EQ(reasonOfSecond(shared("a", L2), macvlanOn("eth0", api::MacvlanMode::Bridge)),
            "DeviceTaken");
  const auto served = judge({shared("a", L2), shared("b", L3S)}, node(), "eth0");
  EXPECT_NE(served.at(1).refusal->message.find("ipvlan in mode L2"), std::string::npos);
  Host host = node();
  add(host, 9, "mv0", "macvlan").lower = 2;
  EXPECT_EQ(reason(shared("a", L2), host), "DeviceInUse") << "the kernel has one receive handler";
}

TEST(Lifelines, PortsOfOthersAreLeftToThem) {
  EXPECT_EQ(reason(tunnel(), node()), "");
  EXPECT_EQ(reason(tunnel(53), node()), "PortReserved");
  EXPECT_EQ(reason(tunnel(1023), node()), "PortReserved");
  EXPECT_EQ(reason(tunnel(51820), node()), "PortReserved");
  EXPECT_EQ(reason(tunnel(8472), node()), "") << "free, if nobody here has it";
  Host host = node();
  host.tunnelPorts[8472] = "flannel.1";
  EXPECT_EQ(reason(tunnel(8472), host), "PortTaken");
  EXPECT_NE(message(tunnel(8472), host).find("flannel.1"), std::string::npos);
  host.udpPorts = {4789};
  EXPECT_EQ(reason(tunnel(4789), host), "PortTaken");
}

TEST(Lifelines, WhatListensForOurOwnTunnelIsNoStranger) {
  Host host = node();
  host.udpPorts = {4799};
  auto& link = add(host, 6, vxlanName(tunnel()), "vxlan");
  link.alias = networkAlias(tunnel().uid);
  link.udpPort = 4799;
  EXPECT_EQ(reason(tunnel(), host), "");
  DesiredNetwork second = tunnel();
  second.uid = NetworkUid("u-green");
  EXPECT_EQ(reason(second, host), "") << "tunnels of ours share a socket";
}

TEST(Lifelines, PodsKeepTheirWayToTheCluster) {
  DesiredNetwork network = bridgeOn("");
  network.subnets = {prefix("10.92.0.0/16")};
  network.covered = {prefix("10.92.0.0/16")};
  EXPECT_EQ(reason(network, node()), "RangeInUse");
  EXPECT_NE(message(network, node()).find("10.92.0.0/16"), std::string::npos);
  network = asBridge(network, {"", api::BridgeMode::Own, "eth1"});
  EXPECT_EQ(reason(network, node()), "RangeInUse") << "Services lie behind no wire";
  network = tunnel();
  network.subnets = {prefix("10.0.0.0/24")};
  EXPECT_EQ(reason(network, node()), "RangeInUse") << "the node itself, flag or no flag";
  DesiredNetwork lan = passthru("eth1");
  lan.subnets = network.subnets;
  lan.covered = {prefix("10.0.0.0/24")};
  EXPECT_EQ(reason(lan, node()), "") << "the nodes' LAN may be the pods' too";
}

TEST(Lifelines, NoTunnelSendsToItsOwnNodeOrToNoHost) {
  for (const char* text :
       {"10.0.0.1", "127.0.0.1", "10.0.0.255", "10.0.0.0", "0.0.0.0", "0.1.2.3", "224.0.0.1",
        "255.255.255.255", "240.0.0.1", "127.9.9.9", "::", "::1", "ff02::1", "fe80::1"}) {
    EXPECT_TRUE(whyNoRemote(ip(text), node())) << text;
  }
  EXPECT_TRUE(whyNoRemote(IpAddress(IpFamily::V6, (U128{0xffff} << 32U) | 0x0a000001U), node()));
  for (const char* text : {"10.0.0.2", "fd00::2", "192.168.255.1"}) {
    EXPECT_FALSE(whyNoRemote(ip(text), node())) << text;
  }
}

TEST(Lifelines, UnusablePeersAreLeftOutAndNamed) {
  DesiredNetwork network = tunnel();
  tunnelOf(network).peers = {{NodeName("thief"), {ip("10.0.0.1")}, {}},
                             {NodeName("half"), {ip("224.0.0.1"), ip("10.0.0.3")}, {}},
                             {NodeName("good"), {ip("10.0.0.2")}, {}}};
  auto served = judge({network}, node(), "eth0");
  const auto& judged = tunnelOf(served.front());
  ASSERT_EQ(judged.peers.size(), 2U);
  EXPECT_EQ(judged.peers[0].underlay, std::vector<IpAddress>{ip("10.0.0.3")});
  ASSERT_EQ(judged.refusedPeers.size(), 2U);
  EXPECT_NE(judged.refusedPeers[0].find("thief"), std::string::npos);
}

TEST(Judge, KeepsWhatIsThereAndMakesNothingThatNobodyWants) {
  DesiredNetwork network = tunnel();
  network.state = DesiredState::Keep;
  EXPECT_EQ(reason(network, node()), "not served");
  Host host = node();
  add(host, 5, bridgeName(network), "bridge").alias = networkAlias(network.uid);
  EXPECT_EQ(reason(network, host), "");
  tunnelOf(network).vni = 0;
  EXPECT_EQ(reason(network, host), "not served") << "nothing tells which tunnel it would be";
  auto& link = add(host, 6, vxlanName(network), "vxlan");
  link.alias = networkAlias(network.uid);
  link.vxlan = netlink::VxlanInfo{7001, 4800, 2, ip("10.0.0.1"), true, netlink::VxlanDf::Set};
  auto served = judge({network}, host, "eth0");
  ASSERT_EQ(served.size(), 1U);
  EXPECT_EQ(tunnelOf(served[0]).vni, 7001U);
  EXPECT_EQ(tunnelOf(served[0]).port, 4800);
}

TEST(Judge, WhatNobodyWantsIsLookedAtAndTakesNothing) {
  DesiredNetwork first = macvlanOn("eth1", api::MacvlanMode::Bridge);
  DesiredNetwork second = passthru("eth1");
  first.demand = Demand::None;
  second.name = NetworkName("second");
  second.uid = NetworkUid("u-second");
  auto served = judge({first, second}, node(), "eth0");
  ASSERT_EQ(served.size(), 2U);
  EXPECT_EQ(served[0].demand, Demand::None);
  EXPECT_FALSE(served[0].refusal);
  EXPECT_FALSE(served[1].refusal) << "its device is free";
  first.state = DesiredState::Keep;
  EXPECT_EQ(judge({first}, node(), "eth0").size(), 0U) << "it couldn't be served either";
}

TEST(Judge, WhatLingersIsKeptWhereItIsThere) {
  DesiredNetwork network = tunnel();
  network.demand = Demand::Lingers;
  EXPECT_EQ(judge({network}, node(), "eth0").at(0).demand, Demand::None);
  Host host = node();
  add(host, 5, bridgeName(network), "bridge").alias = networkAlias(network.uid);
  EXPECT_EQ(judge({network}, host, "eth0").at(0).demand, Demand::Wanted);
}

TEST(Judge, InterfacesInABridgeWantItWhoeverForgotThem) {
  DesiredNetwork network = tunnel();
  network.demand = Demand::None;
  Host host = node();
  add(host, 5, bridgeName(network), "bridge").alias = networkAlias(network.uid);
  EXPECT_EQ(judge({network}, host, "eth0").at(0).demand, Demand::None);
  auto& pod = add(host, 6, "pod0", "veth");
  pod.alias = drivers::aliasOf(IntentId("i1"), "net1");
  pod.master = 5;
  EXPECT_EQ(judge({network}, host, "eth0").at(0).demand, Demand::Wanted);
}

TEST(Judge, WhatANewerVersionMadeStays) {
  DesiredNetwork network = tunnel();
  network.network = drivers::newer::Network{};
  network.demand = Demand::None;
  Host host = node();
  add(host, 5, "mnz0", "bridge").alias = networkAlias(network.uid);
  EXPECT_EQ(judge({network}, host, "eth0").at(0).demand, Demand::Wanted);
}

TEST(Host, ReadsPortsOfTheKernelsTable) {
  const auto ports = parseUdpPorts(
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
      "  366: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0\n"
      " 1366: 00000000000000000000000000000000:12BF 00000000000000000000000000000000:0000 07\n"
      "broken\n  1: 00\n  2: 00:zz\n");
  EXPECT_EQ(ports, (std::set<std::uint16_t>{53, 4799}));
}

}  // namespace
}  // namespace multinet::agent::networks
