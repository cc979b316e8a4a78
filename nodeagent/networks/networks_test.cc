#include "nodeagent/networks/networks.h"

#include <gtest/gtest.h>
#include <linux/ipv6.h>

#include <algorithm>

#include "nodeagent/drivers/op.h"
#include "nodeagent/networks/evaluate.h"
#include "nodeagent/networks/guard.h"
#include "nodeagent/networks/host_plan.h"
#include "nodeagent/networks/peer_health.h"
#include "nodeagent/networks/probe_frame.h"
#include "nodeagent/networks/test_networks.h"

namespace multinet::agent::networks {
namespace {

using drivers::Host;
using drivers::vxlan::TunnelPlacement;

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

NetworksOptions options() {
  NetworksOptions result;
  result.node = NodeName("one");
  return result;
}

DesiredNetwork blue() {
  return testTunnel(
      "blue", "u-blue",
      {{NodeName("two"), {ip("10.0.0.2"), ip("fd00::2")}, MacAddress::derive("two")}});
}

TunnelPlacement tunnelPlacement(const DesiredNetwork& network, const Host& host,
                                const std::string& underlay) {
  return std::get<drivers::vxlan::Network>(network.network)
      .tunnelPlacement(groundOf(network, host, underlay));
}

DesiredNetwork blueOfOneFamily() {
  return testTunnel("blue", "u-blue",
                    {{NodeName("two"), {ip("10.0.0.2")}, MacAddress::derive("two")}});
}

/// As the fixed parts of this test see it.
NetworkState judged(const DesiredNetwork& network, const Host& host,
                    const drivers::Findings& findings) {
  return evaluate(network, host, findings, options());
}

netlink::LinkInfo device(int index, const std::string& name, unsigned mtu = 1500) {
  netlink::LinkInfo link;
  link.index = index;
  link.name = name;
  link.mtu = mtu;
  link.up = true;
  link.carrier = true;
  return link;
}

Host bareHost() {
  Host host;
  host.links["eth0"] = device(2, "eth0");
  host.addresses[2] = {ip("10.0.0.1"), ip("fd00::1")};
  return host;
}

netlink::LinkInfo bridgeOf(const DesiredNetwork& network, int index = 5, unsigned mtu = 1450) {
  netlink::LinkInfo link = device(index, bridgeName(network), mtu);
  link.kind = "bridge";
  link.alias = networkAlias(network.uid);
  link.mac = bridgeMac(NodeName("one"), network.uid);
  return link;
}

/// The switch in the node's own namespace.
Host shared(Host host) {
  host.inner = host;
  return host;
}

Host servingHost() {
  Host host = bareHost();
  const auto bridge = bridgeOf(blue());
  host.links[bridge.name] = bridge;
  netlink::LinkInfo tunnel = device(6, vxlanName(blue()), 1450);
  tunnel.kind = "vxlan";
  tunnel.alias = networkAlias(blue().uid);
  tunnel.master = 5;
  tunnel.vxlan = netlink::VxlanInfo{7001, 4799, 2, ip("10.0.0.1"), true, netlink::VxlanDf::Set};
  host.links[tunnel.name] = tunnel;
  host.flood[6] = {ip("10.0.0.2")};
  return shared(host);
}

std::vector<std::string> textOf(const HostPlan& plan) {
  std::vector<std::string> texts;
  for (const HostStep& step : plan.steps) {
    for (const netlink::Request& request : step.requests) texts.push_back(request.what);
  }
  return texts;
}

TEST(HostPlan, ConvergedPlansNothing) {
  const HostPlan plan = planHost({blue()}, servingHost(), Guard::Committed, options());
  EXPECT_TRUE(plan.steps.empty());
  EXPECT_TRUE(plan.orphans.empty());
}

TEST(HostPlan, ABareHostGetsItsBridgeFirst) {
  const auto texts = textOf(planHost({blue()}, bareHost(), Guard::Committed, options()));
  ASSERT_EQ(texts.size(), 3U);
  EXPECT_EQ(texts[0], "create bridge " + bridgeName(blue()));
  EXPECT_EQ(texts[2], "set MTU of link " + bridgeName(blue()) + " to 1450");
}

TEST(HostPlan, TheFloodListIsDiffed) {
  Host host = servingHost();
  host.inner.flood[6] = {ip("10.0.0.9")};
  EXPECT_EQ(textOf(planHost({blue()}, host, Guard::Committed, options())),
            (std::vector<std::string>{"add peer 10.0.0.2 to flood list",
                                      "remove peer 10.0.0.9 from flood list"}));
}

TEST(HostPlan, DriftIsMended) {
  Host host = servingHost();
  auto& bridge = host.inner.links[bridgeName(blue())];
  auto& tunnel = host.inner.links[vxlanName(blue())];
  bridge.mac = MacAddress::derive("edited");
  tunnel.master = 0;
  tunnel.up = false;
  EXPECT_EQ(textOf(planHost({blue()}, host, Guard::Committed, options())).size(), 3U);
  tunnel.vxlan->vni = 9;  // what can't be changed is made anew
  tunnel.up = true;
  const auto texts = textOf(planHost({blue()}, host, Guard::Committed, options()));
  EXPECT_EQ(texts.back(), "delete link " + vxlanName(blue()));
}

TEST(HostPlan, LinksThatSpeakIpv6AreSilencedWhereTheKernelHasIt) {
  Host host = servingHost();
  for (auto& [name, link] : host.inner.links) link.inet6.assign(DEVCONF_DISABLE_IPV6 + 1, 1);
  EXPECT_TRUE(planHost({blue()}, host, Guard::Committed, options()).steps.empty());
  host.inner.links[bridgeName(blue())].inet6[DEVCONF_DISABLE_IPV6] = 0;
  host.inner.links[vxlanName(blue())].inet6[DEVCONF_DISABLE_IPV6] = 0;
  const auto steps = planHost({blue()}, host, Guard::Committed, options()).steps;
  ASSERT_EQ(steps.size(), 2U);
  for (const HostStep& step : steps) {
    EXPECT_TRUE(step.requests.empty());
    ASSERT_EQ(step.sysctls.size(), 1U);
    EXPECT_EQ(step.sysctls.front().second, "1");
  }
  EXPECT_EQ(steps[0].sysctls.front().first, "ipv6/conf/" + bridgeName(blue()) + "/disable_ipv6");

  Host without = servingHost();
  without.inner.links[vxlanName(blue())].up = false;
  const auto ups = planHost({blue()}, without, Guard::Committed, options()).steps;
  ASSERT_EQ(ups.size(), 1U);
  EXPECT_TRUE(ups.front().sysctls.empty());
}

TEST(HostPlan, ANetworkThatIsGoneIsRemovedUnlessPodsUseIt) {
  Host host = servingHost();
  EXPECT_EQ(textOf(planHost({}, host, Guard::Committed, options())).size(), 2U);
  netlink::LinkInfo port = device(9, "mnv1");
  port.master = 5;
  port.alias = drivers::aliasOf(IntentId("i"), "net1");
  host.inner.links["mnv1"] = port;
  const HostPlan plan = planHost({}, host, Guard::Committed, options());
  EXPECT_TRUE(plan.steps.empty());
  ASSERT_EQ(plan.orphans.size(), 1U);
  EXPECT_EQ(plan.orphans.front(), (Orphan{NetworkUid("u-blue"), bridgeName(blue()), 1}));
}

TEST(HostPlan, WhatNobodyWantsIsNotMadeAndGoesWhereItIs) {
  DesiredNetwork network = blue();
  network.demand = Demand::None;
  EXPECT_TRUE(planHost({network}, bareHost(), Guard::Committed, options()).steps.empty());
  const HostPlan plan = planHost({network}, servingHost(), Guard::Committed, options());
  EXPECT_EQ(textOf(plan).size(), 2U) << "bridge and tunnel";
  EXPECT_TRUE(plan.orphans.empty());
}

TEST(HostPlan, PeersThatArentKnownYetChangeNoFloodList) {
  DesiredNetwork network = blue();
  tunnelOf(network).peers.clear();
  tunnelOf(network).peersKnown = false;
  EXPECT_TRUE(planHost({network}, servingHost(), Guard::Committed, options()).steps.empty());
  const auto& sets = guardTable({network}, servingHost(), "eth0").sets;
  EXPECT_EQ(sets, guardTable({blueOfOneFamily()}, servingHost(), "eth0").sets)
      << "nor whom the tunnel hears";
}

TEST(HostPlan, ANetworkOfATypeOfANewerVersionIsLeftAsItIs) {
  DesiredNetwork network = blue();
  network.network = drivers::newer::Network{};
  for (const int switchNetns : {-1, 99}) {
    Host host = servingHost();
    host.switchNetns = switchNetns;
    const HostPlan plan = planHost({network}, host, Guard::Committed, options());
    EXPECT_TRUE(plan.steps.empty()) << switchNetns;
    EXPECT_TRUE(plan.orphans.empty()) << switchNetns;
  }
  const NetworkState state = judged(network, servingHost(), {});
  EXPECT_EQ(state.ready, CheckStatus::False);
  EXPECT_EQ(state.reason, "TypeUnknown");
  EXPECT_NE(state.message.find("upgrade"), std::string::npos);
  EXPECT_FALSE(state.link);
}

TEST(HostPlan, ForeignLinksAreNeverTouched) {
  Host host = bareHost();
  netlink::LinkInfo foreign = bridgeOf(blue());
  foreign.alias = "";
  foreign.mtu = 9000;
  host.inner.links[foreign.name] = foreign;
  EXPECT_TRUE(planHost({blue()}, host, Guard::Committed, options()).steps.empty());
  foreign.alias = networkAlias(NetworkUid("another"));
  host.inner.links[foreign.name] = foreign;
  const auto plan = planHost({blue()}, host, Guard::Committed, options());
  for (const HostStep& step : plan.steps) EXPECT_NE(step.network, blue().uid);
}

TEST(HostPlan, WithoutAGuardNoTunnelIsMadeOrBroughtUp) {
  Host host = servingHost();
  host.inner.links[vxlanName(blue())].up = false;
  EXPECT_TRUE(planHost({blue()}, host, Guard::Refused, options()).steps.empty());
  host.inner.links.erase(vxlanName(blue()));
  EXPECT_TRUE(planHost({blue()}, host, Guard::Refused, options()).steps.empty());
  EXPECT_FALSE(planHost({blue()}, host, Guard::Committed, options()).steps.empty());
}

TEST(HostPlan, WhatIsRefusedIsNotMadeAndWhatIsThereStays) {
  DesiredNetwork network = blue();
  network.refusal = Refusal{"PortTaken", "no"};
  EXPECT_TRUE(planHost({network}, bareHost(), Guard::Committed, options()).steps.empty());
  Host host = servingHost();
  EXPECT_TRUE(planHost({network}, host, Guard::Committed, options()).steps.empty());
  host.inner.links[bridgeName(network)].up = false;  // and is kept in order
  EXPECT_EQ(planHost({network}, host, Guard::Committed, options()).steps.size(), 1U);
}

TEST(HostPlan, ASmallerMtuNeverShrinksWhatPodsUse) {
  Host host = servingHost();
  DesiredNetwork network = blue();
  network.mtu = 1300;
  EXPECT_EQ(textOf(planHost({network}, host, Guard::Committed, options())).size(), 2U);
  netlink::LinkInfo port = device(9, "mnv1");
  port.master = 5;
  port.alias = drivers::aliasOf(IntentId("i"), "net1");
  host.inner.links["mnv1"] = port;
  EXPECT_TRUE(planHost({network}, host, Guard::Committed, options()).steps.empty());
  EXPECT_EQ(tunnelPlacement(network, host, "eth0").mtu, 1300U) << "new interfaces get the new size";
}

TEST(HostPlan, AnUplinkIsReachedByAMacvlanAndStaysWithTheNode) {
  const DesiredNetwork network = asBridge(blue(), {"br-blue", api::BridgeMode::Own, "eth1"});
  Host host = bareHost();
  host.links["eth1"] = device(3, "eth1");
  host.inner.links["br-blue"] = bridgeOf(network, 5, 1500);
  const std::string port = uplinkName(network);
  EXPECT_EQ(textOf(planHost({network}, host, Guard::Committed, options())),
            (std::vector<std::string>{"create macvlan " + port + " on eth1", "mark link " + port,
                                      "set bridge of link " + port}));
  auto& made = host.inner.links[port] = device(7, port);
  made.kind = "macvlan";
  made.alias = networkAlias(network.uid);
  made.master = 5;
  made.lower = 3;
  EXPECT_TRUE(planHost({network}, host, Guard::Committed, options()).steps.empty());
  made.lower = 4;  // the NIC was taken out and put in again
  EXPECT_EQ(textOf(planHost({network}, host, Guard::Committed, options())),
            std::vector<std::string>{"delete link " + port});
}

TEST(HostPlan, TunnelsAreMadeFromTheNodesSide) {
  Host host = bareHost();
  host.switchNetns = 99;
  host.inner.links[bridgeName(blue())] = bridgeOf(blue());
  const auto plan = planHost({blue()}, host, Guard::Committed, options());
  ASSERT_EQ(plan.steps.size(), 2U);
  EXPECT_EQ(plan.steps[0].place, Place::Node);
  EXPECT_EQ(plan.steps[1].place, Place::Switch);
}

TEST(HostPlan, LinksOfAnEarlierVersionServeUntilTheSwitchTakesOver) {
  Host host = servingHost();  // all of it on the node
  host.inner = {};
  host.switchNetns = 99;
  auto texts = textOf(planHost({blue()}, host, Guard::Committed, options()));
  ASSERT_EQ(texts.size(), 3U);
  EXPECT_EQ(texts[0], "create bridge " + bridgeName(blue()));
  host.inner.links[bridgeName(blue())] = bridgeOf(blue());
  netlink::LinkInfo end = device(9, "mnv1");
  end.master = 5;
  end.alias = drivers::aliasOf(IntentId("i"), "net1");
  host.links["mnv1"] = end;
  texts = textOf(planHost({blue()}, host, Guard::Committed, options()));
  EXPECT_EQ(texts, (std::vector<std::string>{
                       "delete link " + vxlanName(blue()), "create vxlan " + vxlanName(blue()),
                       "mark link " + vxlanName(blue()), "set bridge of link " + vxlanName(blue()),
                       "move link mnv1", "set bridge of link mnv1", "set link mnv1 up"}));
  // Without a guard the old tunnel stays, too.
  EXPECT_TRUE(planHost({blue()}, host, Guard::Refused, options()).steps.empty());
}

TEST(Placement, MtuIsTheUnderlaysLessTheOverheadOfTheOuterFamily) {
  Host host = bareHost();
  EXPECT_EQ(tunnelPlacement(blue(), host, "eth0").mtu, 1450U);
  host.addresses[2] = {ip("fd00::1")};
  EXPECT_EQ(tunnelPlacement(blue(), host, "eth0").mtu, 1430U);
  host.links["eth0"].mtu = 9000;
  EXPECT_EQ(tunnelPlacement(blue(), host, "eth0").mtu, 8930U);
}

TEST(Placement, AnUnderlayThatShrinksIsAFaultAndNoNewSize) {
  Host host = servingHost();
  host.links["eth0"].mtu = 1400;
  const TunnelPlacement placement = tunnelPlacement(blue(), host, "eth0");
  EXPECT_EQ(placement.mtu, 1450U);
  EXPECT_EQ(placement.parent.reason, "PathMTUTooSmall");
  EXPECT_NE(placement.parent.message.find("1500"), std::string::npos) << placement.parent.message;
  EXPECT_TRUE(planHost({blue()}, host, Guard::Committed, options()).steps.empty());
}

TEST(Placement, SaysWhatIsWrongWithADevice) {
  Host host = bareHost();
  EXPECT_EQ(tunnelPlacement(blue(), host, "eth7").parent.reason, "DeviceMissing");
  host.links["eth0"].carrier = false;
  EXPECT_EQ(tunnelPlacement(blue(), host, "eth0").parent.reason, "NoCarrier");
  host.links["eth0"].up = false;
  EXPECT_EQ(tunnelPlacement(blue(), host, "eth0").parent.reason, "DeviceDown");
  host.addresses.clear();
  EXPECT_EQ(tunnelPlacement(blue(), host, "eth0").parent.reason, "NoUnderlayAddress");
  DesiredNetwork macvlan = asMacvlan(blue(), {"eth0", api::MacvlanMode::Bridge});
  macvlan.mtu = 9000;
  host = bareHost();
  EXPECT_EQ(networks::placementOf(macvlan, host, "").parent.reason, "PathMTUTooSmall");
  host.links["eth0"].master = 4;
  EXPECT_EQ(networks::placementOf(macvlan, host, "").parent.reason, "DeviceEnslaved");
  const DesiredNetwork existing = asBridge(blue(), {"eth0", api::BridgeMode::Existing, ""});
  EXPECT_EQ(networks::placementOf(existing, host, "").parent.reason, "NotABridge");
}

TEST(Placement, ANewAddressBesideItDoesNotMoveATunnel) {
  Host host = servingHost();
  host.addresses[2] = {ip("10.0.0.100"), ip("10.0.0.1")};
  EXPECT_EQ(tunnelPlacement(blue(), host, "eth0").local, ip("10.0.0.1"));
  host.addresses[2] = {ip("10.0.0.100")};
  EXPECT_EQ(tunnelPlacement(blue(), host, "eth0").local, ip("10.0.0.100"));
}

TEST(Placement, AnUnderlayOfAnotherNameKeepsItsTunnelKnownAndTakesNothingNew) {
  Host host = bareHost();
  host.links.clear();
  host.links["eth9"] = device(2, "eth9");
  EXPECT_EQ(tunnelPlacement(blue(), host, "eth0").parent.reason, "DeviceMissing");
  host = servingHost();
  host.links.erase("eth0");
  host.links["eth9"] = device(2, "eth9");
  for (const bool another : {false, true}) {  // with no address yet
    if (another) host.links["eth0"] = device(9, "eth0");
    const auto placement = tunnelPlacement(blue(), host, "eth0");
    EXPECT_EQ(placement.parent.reason, "DeviceRenamed");
    EXPECT_EQ(placement.underlays, std::vector<IpAddress>{ip("10.0.0.1")});
    const NetworkState state = judged(blue(), host, {});
    EXPECT_EQ(state.reason, "DeviceRenamed");
    EXPECT_EQ(state.underlays, placement.underlays) << "else peers would send nothing here";
    EXPECT_FALSE(state.link && state.mtu > 0) << "nothing new goes onto it";
    EXPECT_TRUE(planHost({blue()}, host, drivers::Guard::Committed, options()).steps.empty());
    const auto underlays = guardTable({blue()}, host, "eth0").sets.at(1).elements;
    EXPECT_TRUE(underlays.contains("eth9"));
  }
  host.addresses[9] = {ip("10.0.0.1")};
  host.addresses.erase(2);
  EXPECT_FALSE(planHost({blue()}, host, drivers::Guard::Committed, options()).steps.empty())
      << "the address has moved to the device of that name: the tunnel follows";
}

std::vector<PeerReport> reports(std::initializer_list<PeerState> states) {
  std::vector<PeerReport> result;
  for (const PeerState state : states) {
    result.push_back({NodeName("n" + std::to_string(result.size())), "10.0.0.9", state});
  }
  return result;
}

NetworkState stateWith(const std::vector<PeerReport>& peers, const Host& host = servingHost()) {
  return judged(blue(), host, {peers, std::nullopt, std::nullopt});
}

TEST(Evaluate, ReadinessFollowsWhatWasMeasured) {
  using enum PeerState;
  EXPECT_EQ(stateWith(reports({Answers})).ready, CheckStatus::True);
  EXPECT_EQ(stateWith(reports({Probing})).ready, CheckStatus::Unknown);
  EXPECT_EQ(stateWith(reports({Silent})).reason, "PeerUnreachable");
  EXPECT_EQ(stateWith(reports({FullSizeLost})).reason, "PathMTUTooSmall");
  EXPECT_EQ(stateWith(reports({FullSizeLost})).ready, CheckStatus::False);
}

TEST(Evaluate, OnePeerLostAmongOthersIsToldButDoesNotStopTheNode) {
  using enum PeerState;
  const NetworkState state = stateWith(reports({Answers, Silent}));
  EXPECT_EQ(state.ready, CheckStatus::True);
  EXPECT_EQ(state.checks.back().status, CheckStatus::False);
  EXPECT_NE(state.message.find("n1 (10.0.0.9)"), std::string::npos) << state.message;
}

TEST(Evaluate, WithoutPeersThePeersCheckIsNeverTrue) {
  const NetworkState state = stateWith({});
  EXPECT_EQ(state.checks.back().status, CheckStatus::Unknown);
  EXPECT_EQ(state.checks.back().reason, "NotProbed");
}

TEST(Evaluate, WhatIsMissingOrRefusedIsNotReady) {
  EXPECT_EQ(stateWith({}, bareHost()).reason, "LinkMissing");
  EXPECT_EQ(parentOf(stateWith({}, bareHost())), "");
  const Error refused{Code::Internal, "X", "create vxlan: no"};
  drivers::Findings findings{reports({PeerState::Answers}), refused, std::nullopt};
  EXPECT_EQ(judged(blue(), servingHost(), findings).reason, "ChangeRefused");
  EXPECT_EQ(parentOf(judged(blue(), servingHost(), findings)), bridgeName(blue()));
  Host half = servingHost();
  half.inner.links.erase(vxlanName(blue()));
  EXPECT_EQ(judged(blue(), half, findings).reason, "KernelRefused");
  EXPECT_EQ(parentOf(judged(blue(), half, findings)), "") << "pods would hear nobody elsewhere";
  findings.refused.reset();
  findings.guardRefused = refused;
  EXPECT_EQ(judged(blue(), servingHost(), findings).reason, "RulesRefused");
}

TEST(Evaluate, WhatProtectsGatesAndWhatMeasuresDoesNot) {
  EXPECT_EQ(parentOf(stateWith(reports({PeerState::Silent}))), bridgeName(blue()));
  Host host = servingHost();
  host.links["eth0"].carrier = false;
  EXPECT_EQ(parentOf(stateWith({}, host)), bridgeName(blue()));
  const Error no{Code::Internal, "X", "no"};
  EXPECT_EQ(parentOf(judged(blue(), servingHost(), {{}, std::nullopt, no})), "");
  DesiredNetwork refused = blue();
  refused.refusal = Refusal{"PortTaken", "UDP port 4799 belongs to device vx9"};
  const auto state = judged(refused, servingHost(), {});
  EXPECT_EQ(parentOf(state), "");
  EXPECT_EQ(state.ready, CheckStatus::False);
  EXPECT_EQ(state.reason, "PortTaken");
  DesiredNetwork large = blue();
  large.mtu = 9000;
  const auto jumbo = judged(large, servingHost(), {});
  EXPECT_EQ(parentOf(jumbo), "");
  EXPECT_EQ(jumbo.reason, "PathMTUTooSmall");
}

TEST(Evaluate, WhatNobodyWantsIsReadyWhereItWouldWork) {
  DesiredNetwork network = blue();
  network.demand = Demand::None;
  const NetworkState state = judged(network, shared(bareHost()), {});
  EXPECT_FALSE(state.joined);
  EXPECT_FALSE(state.link);
  EXPECT_TRUE(state.underlays.empty()) << "no NetworkPeer";
  EXPECT_EQ(state.ready, CheckStatus::True);
  EXPECT_EQ(state.reason, "NotJoined");
  EXPECT_EQ(state.mtu, 1450U);
  const NetworkState without = judged(network, Host{}, {});
  EXPECT_EQ(without.ready, CheckStatus::False);
  EXPECT_EQ(without.reason, "DeviceMissing");
}

TEST(Evaluate, WhatTheKernelHasNoLinksForIsNotReadyWhetherAnybodyWantsIt) {
  Host host;
  host.links.emplace("eth1", device(2, "eth1"));
  for (const auto& network : {asIpvlan(blue(), {"eth1", api::IpvlanMode::L2}),
                              asMacvlan(blue(), {"eth1", api::MacvlanMode::Bridge, 100})}) {
    for (const Demand demand : {Demand::Wanted, Demand::None}) {
      DesiredNetwork one = network;
      one.demand = demand;
      host.lacks = {};
      EXPECT_FALSE(judged(one, host, {}).reason.starts_with("KernelLacks"));
      host.lacks = {"ipvlan", "vlan"};
      const NetworkState state = judged(one, host, {});
      EXPECT_EQ(state.ready, CheckStatus::False);
      EXPECT_TRUE(state.reason == "KernelLacksIPVlan" || state.reason == "KernelLacksVLAN");
      EXPECT_NE(state.message.find("modprobe"), std::string::npos) << state.message;
      EXPECT_FALSE(state.link) << "a pod that waits is told why, one that tries isn't";
    }
  }
}

TEST(Evaluate, PodsWaitWhileItJoinsAndNobodyIsToldOfIt) {
  drivers::Findings findings;
  findings.joining = true;
  const NetworkState state = judged(blue(), servingHost(), findings);
  EXPECT_TRUE(state.joined);
  EXPECT_FALSE(state.link);
  EXPECT_FALSE(state.underlays.empty()) << "the others are to hear of it";
  EXPECT_EQ(state.ready, CheckStatus::True);
  EXPECT_TRUE(judged(blue(), servingHost(), {}).link);
}

TEST(Evaluate, AnUnusablePeerIsToldAndDoesNotDecide) {
  DesiredNetwork network = blue();
  tunnelOf(network).refusedPeers = {"peer x: 10.0.0.1 is this node's own address"};
  const auto state =
      judged(network, servingHost(), {reports({PeerState::Answers}), std::nullopt, std::nullopt});
  EXPECT_EQ(state.ready, CheckStatus::True);
  const auto check = std::ranges::find(state.checks, "PeerAddresses", &Check::name);
  ASSERT_NE(check, state.checks.end());
  EXPECT_EQ(check->reason, "AddressUnusable");
  EXPECT_NE(check->message.find("10.0.0.1"), std::string::npos);
}

TEST(PeerHealth, ThreeLossesInARowOneAnswer) {
  PeerHealth health(3);
  EXPECT_EQ(health.state(), PeerState::Probing);
  health.sent(1, 2);
  health.answered(1);
  EXPECT_EQ(health.state(), PeerState::Probing);  // small alone is no verdict yet
  health.answered(2);
  EXPECT_EQ(health.state(), PeerState::Answers);
  for (std::uint64_t round = 1; round <= 3; ++round) {
    EXPECT_EQ(health.state(), PeerState::Answers);
    health.sent(round * 10, round * 10 + 1);
    health.answered(round * 10);
    health.expire();
  }
  EXPECT_EQ(health.state(), PeerState::FullSizeLost);
  health.sent(50, 51);
  health.answered(51);
  EXPECT_EQ(health.state(), PeerState::Answers);
}

TEST(PeerHealth, LateForgedAndDoubledAnswersChangeNothing) {
  PeerHealth health(2);
  health.sent(1, 2);
  health.sent(3, 4);
  health.answered(1);
  health.answered(99);
  health.expire();
  EXPECT_EQ(health.state(), PeerState::Silent);
  health.answered(3);
  EXPECT_EQ(health.state(), PeerState::Silent);
}

TEST(ProbeFrame, ReadsWhatItWritesAndNothingElse) {
  const Probe probe{ProbeKind::Reply, 0x0123456789abcdefULL};
  const auto payload = encodeProbe(probe, 1450);
  EXPECT_EQ(payload.size(), 1450U);
  EXPECT_EQ(decodeProbe(payload), probe);
  EXPECT_EQ(encodeProbe(probe, 1).size(), kSmallProbe);
  for (std::size_t size = 0; size < kSmallProbe; ++size) {
    EXPECT_FALSE(decodeProbe(std::span(payload).first(size))) << size;
  }
  for (std::size_t byte = 0; byte < 6; ++byte) {
    auto damaged = payload;
    damaged[byte] = 0x77;
    EXPECT_FALSE(decodeProbe(damaged)) << byte;
  }
}

TEST(Guard, OnlyElementsChangeWithTheNetworks) {
  DesiredNetwork second = blue();
  second.uid = NetworkUid("u-second");
  tunnelOf(second).port = 4800;
  tunnelOf(second).underlay = "eth1";
  const auto one = guardTable({blue()}, bareHost(), "eth0");
  const auto two = guardTable({blue(), second}, bareHost(), "eth0");
  EXPECT_TRUE(nft::sameShape(one, two));
  EXPECT_EQ(one.sets[0].elements, std::set<std::string>{"4799"});
  EXPECT_EQ(two.sets[1].elements, (std::set<std::string>{"eth0", "eth1"}));
  EXPECT_EQ(two.sets[2].elements, (std::set<std::string>{"10.0.0.2 . 4799", "10.0.0.2 . 4800"}));
  EXPECT_EQ(one.sets[3].elements, std::set<std::string>{"fd00::2 . 4799"});
  EXPECT_EQ(one.sets[4].elements, std::set<std::string>{"10.0.0.1 . 4799"});
  EXPECT_EQ(one.sets[5].elements, std::set<std::string>{"fd00::1 . 4799"});
  const DesiredNetwork bridge = asBridge(blue(), {});
  EXPECT_TRUE(guardsNothing(guardTable({bridge}, bareHost(), "eth0")));
}

TEST(Guard, StaysForEachTunnelThatIsThere) {
  const auto left = guardTable({}, servingHost(), "eth0");
  EXPECT_EQ(left.sets[0].elements, std::set<std::string>{"4799"});
  EXPECT_EQ(left.sets[1].elements, std::set<std::string>{"eth0"});
  EXPECT_EQ(left.sets[2].elements, std::set<std::string>{"10.0.0.2 . 4799"});
  EXPECT_EQ(left.sets[4].elements, std::set<std::string>{"10.0.0.1 . 4799"});
  // Of a network that is wanted, the peers are those that the API tells.
  Host host = servingHost();
  host.inner.flood[6] = {ip("10.0.0.9")};
  EXPECT_EQ(guardTable({blue()}, host, "eth0").sets[2].elements,
            std::set<std::string>{"10.0.0.2 . 4799"});
}

TEST(Guard, ANetworkThatNobodyWantsIsNoChange) {
  DesiredNetwork network = blue();
  network.demand = Demand::None;
  EXPECT_TRUE(guardsNothing(guardTable({network}, shared(bareHost()), "eth0")));
  EXPECT_FALSE(guardsNothing(guardTable({network}, servingHost(), "eth0")))
      << "until its tunnel is gone";
}

TEST(Guard, APortOfSomebodyElseIsNotGuarded) {
  DesiredNetwork refused = blue();
  refused.refusal = Refusal{"PortTaken", "no"};
  EXPECT_TRUE(guardsNothing(guardTable({refused}, bareHost(), "eth0")));
  EXPECT_FALSE(guardsNothing(guardTable({refused}, servingHost(), "eth0")));
}

TEST(Names, FitTheKernelAndDifferByNodeAndNetwork) {
  EXPECT_EQ(bridgeName(blue()).size(), 15U);
  EXPECT_EQ(vxlanName(blue()).size(), 15U);
  EXPECT_NE(bridgeMac(NodeName("one"), NetworkUid("a")),
            bridgeMac(NodeName("two"), NetworkUid("a")));
  EXPECT_NE(bridgeMac(NodeName("one"), NetworkUid("a")),
            bridgeMac(NodeName("one"), NetworkUid("b")));
  EXPECT_EQ(parseNetworkAlias(networkAlias(NetworkUid("u"))), NetworkUid("u"));
  EXPECT_FALSE(parseNetworkAlias("multinet:i:net1"));
  EXPECT_FALSE(parseNetworkAlias("multinet-network:"));
}

}  // namespace
}  // namespace multinet::agent::networks
