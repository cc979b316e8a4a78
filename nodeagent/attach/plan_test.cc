#include "nodeagent/attach/plan.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "nodeagent/attach/default_route.h"
#include "nodeagent/attach/source_route.h"

namespace multinet::agent::attach {
namespace {

using namespace drivers;

IpPrefix prefix(const std::string& text) {
  return IpPrefix::parse(text).value();
}
IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}
const MacAddress kMac = MacAddress::derive("net1");
const Link kMacvlan = macvlan::Link{"br0"};

InterfacePlan interface(Link link = bridge::Link{"br0"}) {
  InterfacePlan plan;
  plan.name = InterfaceName::parse("net1").value();
  plan.link = std::move(link);
  plan.mac = kMac;
  plan.mtu = 1450;
  plan.addresses = {{InterfaceAddress::parse("10.20.0.5/16").value(), ip("10.20.0.1")}};
  return plan;
}

netlink::LinkInfo bridgeLink() {
  netlink::LinkInfo link;
  link.index = 4;
  link.name = "br0";
  link.kind = "bridge";
  link.mtu = 1500;
  link.up = true;
  return link;
}

Desired desire(InterfacePlan plan) {
  return {IntentId("i"), {std::move(plan)}};
}
Observed observe(const netlink::LinkInfo& parent = bridgeLink()) {
  Observed observed;
  observed.parents["br0"] = parent;
  return observed;
}

/// The pod's link as an attach leaves it; where it is no veth it stands on br0.
netlink::LinkInfo attached() {
  netlink::LinkInfo link;
  link.index = 3;
  link.lower = 4;
  link.name = "net1";
  link.kind = "veth";
  link.mac = kMac;
  link.mtu = 1450;
  link.up = true;
  link.alias = "multinet:i:net1";
  return link;
}

/// The kernel after an attach, as far as it is looked at there.
Observed kernelAfterAttach() {
  Observed observed = observe();
  observed.podLinks = {attached()};
  observed.podAddresses = {{3, InterfaceAddress::parse("10.20.0.5/16").value(), false}};
  netlink::LinkInfo hostEnd;
  hostEnd.index = 9;
  hostEnd.name = hostLinkName(IntentId("i"), "net1", 0);
  hostEnd.kind = "veth";
  hostEnd.alias = "multinet:i:net1";
  hostEnd.master = 4;
  hostEnd.lower = 3;
  hostEnd.mtu = 1450;
  hostEnd.up = true;
  observed.hostLinks[hostEnd.name] = hostEnd;
  for (const auto& [to, via] :
       {std::pair{"10.20.0.0/16", ""}, std::pair{"0.0.0.0/0", "10.20.0.1"}}) {
    netlink::RouteInfo route;
    route.to = prefix(to);
    if (*via != 0) route.via = ip(via);
    route.linkIndex = 3;
    route.table = kSourceTableBase;
    observed.podRoutes.push_back(route);
  }
  netlink::RouteInfo connected;
  connected.to = prefix("10.20.0.0/16");
  connected.linkIndex = 3;
  observed.podRoutes.push_back(connected);
  observed.podRules = {{ip("10.20.0.5"), kSourceTableBase, kSourceRulePriority, false}};
  return observed;
}

template <class Step>
std::vector<Step> stepsOf(const std::vector<Op>& ops) {
  std::vector<Step> steps;
  for (const Op& op : ops) {
    if (const auto* step = std::get_if<Step>(&op.action)) steps.push_back(*step);
  }
  return steps;
}

TEST(Plan, StagesComeInOrderAndTheLinkComesUpAfterItsAddresses) {
  InterfacePlan second = interface();
  second.name = InterfaceName::parse("net2").value();
  Desired desired = desire(interface());
  desired.interfaces.push_back(second);
  const auto ops = plan(desired, observe()).value();
  EXPECT_TRUE(std::is_sorted(ops.begin(), ops.end(),
                             [](const Op& a, const Op& b) { return stageOf(a) < stageOf(b); }));
  EXPECT_EQ(stepsOf<CreateLink>(ops).size(), 2U);
  EXPECT_EQ(ops[0].interface, "net1");
  EXPECT_EQ(ops[1].interface, "net2");
  const auto position = [&](std::size_t action) {
    return std::find_if(ops.begin(), ops.end(),
                        [&](const Op& op) { return op.action.index() == action; }) -
           ops.begin();
  };
  EXPECT_LT(position(Action(AddAddress{}).index()), position(Action(BringUp{}).index()));
  EXPECT_LT(position(Action(WriteSysctl{}).index()), position(Action(FinishLink{}).index()));
}

TEST(Plan, ConvergedPlansNothing) {
  EXPECT_TRUE(plan(desire(interface()), kernelAfterAttach()).value().empty());
}

TEST(Plan, OnlyWhatIsMissingIsPlanned) {
  InterfacePlan wanted = interface();
  wanted.routes = {{prefix("10.99.0.0/16"), ip("10.20.0.1")}, {prefix("10.98.0.0/16"), {}}};
  Observed observed = kernelAfterAttach();
  netlink::RouteInfo there;
  there.to = prefix("10.98.0.0/16");
  there.linkIndex = 3;
  observed.podRoutes.push_back(there);
  there.table = kSourceTableBase;
  observed.podRoutes.push_back(there);
  const auto ops = plan(desire(wanted), observed).value();
  ASSERT_EQ(ops.size(), 2U);  // in the main table and in the interface's own
  EXPECT_EQ(std::get<AddRoute>(ops.front().action).route.to, prefix("10.99.0.0/16"));
}

TEST(Plan, AConnectedRouteThatSomebodyRemovedComesBackAsTheKernelWritesIt) {
  Observed observed = kernelAfterAttach();
  std::erase_if(observed.podRoutes, [](const netlink::RouteInfo& route) {
    return route.table == netlink::kMainTable && !route.via;
  });
  const auto routes = stepsOf<AddRoute>(plan(desire(interface()), observed).value());
  ASSERT_EQ(routes.size(), 1U);
  EXPECT_EQ(routes[0].route.to, prefix("10.20.0.0/16"));
  EXPECT_EQ(routes[0].route.source, ip("10.20.0.5"));
  EXPECT_EQ(routes[0].route.protocol, RTPROT_KERNEL);
  // With its address, or with the link that comes up, the kernel makes it by itself.
  observed.podAddresses.clear();
  EXPECT_TRUE(stepsOf<AddRoute>(plan(desire(interface()), observed).value()).empty());
}

TEST(Plan, TheSameAddressOnAnotherLinkDoesNotCount) {
  Observed observed = kernelAfterAttach();
  observed.podAddresses = {{2, InterfaceAddress::parse("10.20.0.5/16").value(), false}};
  EXPECT_EQ(stepsOf<AddAddress>(plan(desire(interface()), observed).value()).size(), 1U);
}

TEST(Plan, ALinkThatWasMadeButNotMarkedIsAdopted) {
  netlink::LinkInfo link = attached();
  link.alias.clear();
  link.up = false;
  Observed observed = kernelAfterAttach();
  observed.podLinks = {link};
  const auto ops = plan(desire(interface()), observed).value();
  EXPECT_TRUE(stepsOf<CreateLink>(ops).empty());
  EXPECT_EQ(stepsOf<FinishLink>(ops).size(), 1U);
  EXPECT_EQ(stepsOf<BringUp>(ops).size(), 1U);
  EXPECT_EQ(stepsOf<WriteSysctl>(ops).size(), sysctlsOf(interface()).size());
}

TEST(Plan, AMacvlanIsBornWithItsNameUnlessOnlyThatNameTellsWhoseItIs) {
  netlink::LinkInfo parent = bridgeLink();
  parent.kind = "";
  const std::string unique = hostLinkName(IntentId("i"), "net1", 0);
  const auto birth = [&](Link link) {
    return stepsOf<CreateLink>(plan(desire(interface(std::move(link))), observe(parent)).value())
        .at(0);
  };
  EXPECT_EQ(birth(kMacvlan).bornAs, "net1");
  EXPECT_EQ(birth(kMacvlan).elseAs, unique);
  EXPECT_EQ(birth(macvlan::Link{"br0", api::MacvlanMode::Passthru}).bornAs, unique);
  EXPECT_EQ(birth(ipvlan::Link{"br0"}).bornAs, unique);
}

TEST(Plan, AMacvlanStillUnderItsFirstNameIsAdopted) {
  InterfacePlan wanted = interface(kMacvlan);
  netlink::LinkInfo parent = bridgeLink();
  parent.kind = "";
  netlink::LinkInfo link = attached();
  link.kind = "macvlan";
  link.alias.clear();
  link.name = hostLinkName(IntentId("i"), "net1", 0);
  link.up = false;
  Observed observed = observe(parent);
  observed.podLinks = {link};
  const auto ops = plan(desire(wanted), observed).value();
  EXPECT_TRUE(stepsOf<CreateLink>(ops).empty());
  ASSERT_EQ(stepsOf<FinishLink>(ops).size(), 1U);
  EXPECT_EQ(stepsOf<FinishLink>(ops).front().name, "net1");
}

TEST(Plan, ALinkThatHasItsNameIsNotNamedAgain) {
  // Older kernels refuse any name while the link is up.
  for (const auto& spoil : {+[](netlink::LinkInfo& link) { link.mtu = 1300; },
                            +[](netlink::LinkInfo& link) { link.alias = "mine now"; }}) {
    Observed observed = kernelAfterAttach();
    spoil(observed.podLinks.at(0));
    const auto ops = plan(desire(interface()), observed).value();
    ASSERT_EQ(stepsOf<FinishLink>(ops).size(), 1U);
    EXPECT_EQ(stepsOf<FinishLink>(ops).front().name, "");
    EXPECT_EQ(stepsOf<FinishLink>(ops).front().mtu, interface().mtu);
    EXPECT_TRUE(stepsOf<BringDown>(ops).empty());
  }
}

TEST(Plan, ALinkWithoutAMacOfItsOwnIsKnownByTheNameItWasBornWith) {
  const InterfacePlan wanted = interface(macvlan::Link{"br0", api::MacvlanMode::Passthru});
  netlink::LinkInfo parent = bridgeLink();
  parent.kind = "";
  netlink::LinkInfo link = attached();
  link.kind = "macvlan";
  link.mac = MacAddress::derive("the parent's");
  link.alias.clear();
  link.name = hostLinkName(IntentId("i"), "net1", 0);
  Observed observed = observe(parent);
  observed.podLinks = {link};
  EXPECT_TRUE(stepsOf<CreateLink>(plan(desire(wanted), observed).value()).empty());
  observed.podLinks[0].name = "net1";
  EXPECT_EQ(plan(desire(wanted), observed).error().reason, "NameTaken");
}

TEST(Plan, AnotherLinkOfThatNameIsNeverTouched) {
  for (const char* alias : {"", "multinet:other:net1"}) {
    netlink::LinkInfo link = attached();
    link.alias = alias;
    link.mac = MacAddress::derive("another");
    Observed observed = observe();
    observed.podLinks = {link};
    EXPECT_EQ(plan(desire(interface()), observed).error().reason, "NameTaken") << alias;
  }
}

TEST(Plan, HostNamesThatMeetAreAvoidedOursAreReplaced) {
  const std::string first = hostLinkName(IntentId("i"), "net1", 0);
  netlink::LinkInfo taken;
  taken.name = first;
  taken.alias = "multinet:other:net1";
  Observed observed = observe();
  observed.hostLinks[first] = taken;
  const auto avoided = stepsOf<CreateLink>(plan(desire(interface()), observed).value());
  EXPECT_EQ(avoided.front().hostEnd, hostLinkName(IntentId("i"), "net1", 1));

  observed.hostLinks[first].alias = "multinet:i:net1";
  const auto ops = plan(desire(interface()), observed).value();
  ASSERT_EQ(stepsOf<DeleteHostLink>(ops).size(), 1U);
  EXPECT_EQ(stepsOf<DeleteHostLink>(ops).front().name, first);
  EXPECT_EQ(stepsOf<CreateLink>(ops).front().hostEnd, first);

  for (unsigned salt = 0; salt < kHostNameSalts; ++salt) {
    observed.hostLinks[hostLinkName(IntentId("i"), "net1", salt)] = taken;
  }
  EXPECT_EQ(plan(desire(interface()), observed).error().reason, "NameTaken");
}

TEST(Plan, AHostEndOutsideItsBridgeIsPutBack) {
  Observed observed = kernelAfterAttach();
  const std::string name = hostLinkName(IntentId("i"), "net1", 0);
  observed.hostLinks[name].master = 0;
  const auto ops = plan(desire(interface()), observed).value();
  ASSERT_EQ(ops.size(), 1U);
  EXPECT_EQ(std::get<SetHostBridge>(ops.front().action).bridgeIndex, 4);
}

TEST(Plan, AHostEndThatIsDownUnmarkedOrUnderAnotherNameIsKnownAsTheOtherEnd) {
  Observed observed = kernelAfterAttach();
  auto node = observed.hostLinks.extract(observed.hostLinks.begin());
  node.key() = "somebody";
  node.mapped().name = "somebody";
  node.mapped().alias = "theirs";
  node.mapped().up = false;
  observed.podLinks[0].lower = 9;
  observed.hostLinks.insert(std::move(node));
  const auto ops = plan(desire(interface()), observed).value();
  ASSERT_EQ(ops.size(), 2U);
  EXPECT_EQ(std::get<MarkHostLink>(ops[0].action).alias, "multinet:i:net1");
  EXPECT_EQ(std::get<SetHostUp>(ops[1].action).name, "somebody");
}

TEST(Plan, AHostEndMustCarryWhatThePodSendsAndMayCarryMore) {
  Observed observed = kernelAfterAttach();
  netlink::LinkInfo& end = observed.hostLinks.begin()->second;
  end.mtu = 1000;
  const auto ops = plan(desire(interface()), observed).value();
  ASSERT_EQ(ops.size(), 1U);
  EXPECT_EQ(std::get<SetHostMtu>(ops[0].action).mtu, 1450U);
  end.mtu = 9000;
  EXPECT_TRUE(plan(desire(interface()), observed).value().empty());
}

TEST(Plan, ALinkThatSomebodyMutedSpeaksAgain) {
  Observed observed = kernelAfterAttach();
  observed.podLinks[0].speaks = false;
  const auto ops = plan(desire(interface()), observed).value();
  ASSERT_EQ(ops.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<LetSpeak>(ops[0].action));
}

TEST(Plan, ALinkThatStandsOnADeviceHasTheModeThatWasAskedFor) {
  const auto modeAfter = [](Link link, const std::string& kind, std::uint32_t mode) {
    Observed observed = kernelAfterAttach();
    observed.parents["br0"].kind = "";
    observed.podLinks[0].kind = kind;
    observed.podLinks[0].mode = mode;
    observed.podLinks[0].speaks = false;  // an ipvlan of layer 3 has no neighbours
    return stepsOf<SetMode>(plan(desire(interface(std::move(link))), observed).value());
  };
  constexpr std::uint32_t kBridge = 4;  // MACVLAN_MODE_BRIDGE
  const macvlan::Link bridged{"br0", api::MacvlanMode::Bridge, 0};
  EXPECT_TRUE(modeAfter(bridged, "macvlan", kBridge).empty());
  EXPECT_EQ(modeAfter(bridged, "macvlan", 1).at(0).mode, kBridge);
  EXPECT_EQ(modeAfter(bridged, "macvlan", kBridge | 0x10000U).at(0).mode, kBridge) << "its flags";
  constexpr std::uint32_t kLayer3 = 1;  // IPVLAN_MODE_L3
  const ipvlan::Link routed{"br0", api::IpvlanMode::L3};
  EXPECT_TRUE(modeAfter(routed, "ipvlan", kLayer3).empty());
  EXPECT_EQ(modeAfter(routed, "ipvlan", 0).at(0).mode, kLayer3);
}

TEST(Plan, ALinkWhoseOtherEndIsOutOfReachIsMadeAnew) {
  Observed observed = kernelAfterAttach();
  observed.hostLinks.clear();
  const auto ops = plan(desire(interface()), observed).value();
  EXPECT_EQ(std::get<DeletePodLink>(ops.front().action).index, 3);
  EXPECT_EQ(stepsOf<CreateLink>(ops).size(), 1U);
  EXPECT_EQ(stepsOf<AddRoute>(ops).size(), 2U) << "those of the old link go with it";
  EXPECT_EQ(stageOf(ops.front()), Stage::Clear);
}

TEST(Plan, ALinkOnADeviceThatLostItsNameIsMadeAnewOnTheOneThatHasIt) {
  netlink::LinkInfo parent = bridgeLink();
  parent.kind = "";
  Observed observed = kernelAfterAttach();
  observed.parents["br0"] = parent;
  observed.podLinks[0].kind = "macvlan";
  observed.podLinks[0].lower = parent.index;
  EXPECT_TRUE(plan(desire(interface(kMacvlan)), observed).value().empty());
  observed.podLinks[0].lower = 7;
  const auto ops = plan(desire(interface(kMacvlan)), observed).value();
  ASSERT_EQ(stepsOf<DeletePodLink>(ops).size(), 1U);
  ASSERT_EQ(stepsOf<CreateLink>(ops).size(), 1U);
  EXPECT_EQ(stepsOf<CreateLink>(ops)[0].parentIndex, parent.index);
  EXPECT_EQ(stepsOf<AddAddress>(ops).size(), 1U);
}

TEST(Plan, ALinkUnderAnotherNameIsPutBackWithWhatThatCosts) {
  InterfacePlan wanted = interface();
  wanted.addresses.push_back({InterfaceAddress::parse("fd00:20::5/64").value(), {}});
  Observed observed = kernelAfterAttach();
  observed.podAddresses.push_back({3, wanted.addresses[1].address, false});
  observed.podLinks[0].name = "theirs";
  const auto ops = plan(desire(wanted), observed).value();
  EXPECT_EQ(stepsOf<BringDown>(ops).size(), 1U);
  EXPECT_EQ(stepsOf<FinishLink>(ops).front().name, "net1");
  ASSERT_EQ(stepsOf<AddAddress>(ops).size(), 1U) << "the kernel keeps those of IPv4";
  EXPECT_EQ(stepsOf<AddAddress>(ops).front().address, wanted.addresses[1].address);
  EXPECT_EQ(stepsOf<BringUp>(ops).size(), 1U);
  EXPECT_EQ(stepsOf<AddRoute>(ops).size(), 2U);
  observed.podLinks.push_back(attached());
  observed.podLinks[1].alias.clear();
  observed.podLinks[1].mac = MacAddress::derive("another");
  EXPECT_EQ(plan(desire(wanted), observed).error().reason, "NameTaken");
}

TEST(Plan, SysctlsAreComparedOnceTheyWereRead) {
  Observed observed = kernelAfterAttach();
  Sysctls& there = observed.podSysctls["net1"];
  for (const auto& wanted : sysctlsOf(interface())) {
    there[wanted.family + "/" + wanted.key] = wanted.value;
  }
  EXPECT_TRUE(plan(desire(interface()), observed).value().empty());
  there["ipv4/arp_ignore"] = "2";
  there["ipv4/rp_filter"] = "0";
  EXPECT_TRUE(plan(desire(interface()), observed).value().empty()) << "the pod's own, and harmless";
  there["ipv4/arp_ignore"] = "0";
  there.erase("ipv6/disable_ipv6");  // a kernel without IPv6
  const auto ops = plan(desire(interface()), observed).value();
  ASSERT_EQ(ops.size(), 1U);
  EXPECT_EQ(std::get<WriteSysctl>(ops[0].action).key, "arp_ignore");
}

TEST(Plan, AnIpvlanHasItsParentsMacAndIsAnnouncedWhereThereIsArp) {
  InterfacePlan wanted = interface(ipvlan::Link{"br0", api::IpvlanMode::L3});
  netlink::LinkInfo parent = bridgeLink();
  parent.kind = "";
  parent.mac = MacAddress::derive("the parent's");
  const auto ops = plan(desire(wanted), observe(parent)).value();
  ASSERT_EQ(stepsOf<CreateLink>(ops).size(), 1U);
  const CreateLink made = stepsOf<CreateLink>(ops).front();
  EXPECT_EQ(made.place, Place::Node);
  EXPECT_EQ(made.hostEnd, "");
  EXPECT_EQ(made.request(made, 9).what, "create ipvlan " + made.bornAs + " on br0");
  EXPECT_TRUE(stepsOf<SetMac>(ops).empty());
  Observed observed = kernelAfterAttach();
  observed.parents["br0"] = parent;
  observed.podLinks[0].kind = "ipvlan";
  observed.podLinks[0].mac = MacAddress::derive("another parent's");
  EXPECT_TRUE(plan(desire(wanted), observed).value().empty());
  EXPECT_FALSE(traitsOf(wanted.link).isAnnounced);
  EXPECT_TRUE(traitsOf(ipvlan::Link{"br0", api::IpvlanMode::L2}).isAnnounced);
  parent.master = 9;
  EXPECT_EQ(plan(desire(wanted), observe(parent)).error().reason, "ParentEnslaved");
}

TEST(Plan, AnotherMacIsSetBackExceptWhereItIsTheParents) {
  Observed observed = kernelAfterAttach();
  observed.podLinks[0].mac = MacAddress::derive("forged");
  const auto ops = plan(desire(interface()), observed).value();
  ASSERT_EQ(ops.size(), 1U);
  EXPECT_EQ(std::get<SetMac>(ops[0].action).mac, kMac);
  const InterfacePlan passthru = interface(macvlan::Link{"br0", api::MacvlanMode::Passthru});
  observed.podLinks[0].kind = "macvlan";
  EXPECT_TRUE(stepsOf<SetMac>(plan(desire(passthru), observed).value()).empty());
}

TEST(Plan, EachInterfaceHasATableOfItsOwnForWhatIsAskedOfItsAddresses) {
  Desired desired = desire(interface());
  desired.interfaces.push_back(interface());
  desired.interfaces[1].name = InterfaceName::parse("net2").value();
  desired.interfaces[1].addresses = {
      {InterfaceAddress::parse("10.30.0.5/16").value(), ip("10.30.0.1")},
      {InterfaceAddress::parse("fd00:30::5/64").value(), {}}};
  desired.interfaces[1].routes = {{prefix("10.99.0.0/16"), ip("10.30.0.9")}};
  const auto ops = plan(desired, observe()).value();
  std::vector<std::string> second;
  for (const auto& step : stepsOf<AddRoute>(ops)) {
    if (step.route.table != kSourceTableBase + 1) continue;
    second.push_back(step.route.to.str() + (step.route.via ? " " + step.route.via->str() : ""));
  }
  EXPECT_EQ(second, (std::vector<std::string>{"10.30.0.0/16", "10.99.0.0/16 10.30.0.9",
                                              "0.0.0.0/0 10.30.0.1"}));
  const auto rules = stepsOf<AddRule>(ops);
  ASSERT_EQ(rules.size(), 2U) << "none for a family without a gateway";
  EXPECT_EQ(rules[1].rule.from, ip("10.30.0.5"));
  EXPECT_EQ(rules[1].rule.table, kSourceTableBase + 1);
}

TEST(Plan, MtuIsTheParentsWhereNoneIsGiven) {
  InterfacePlan wanted = interface();
  wanted.mtu = 0;
  const auto ops = plan(desire(wanted), observe()).value();
  EXPECT_EQ(stepsOf<CreateLink>(ops).front().mtu, 1500U);
}

TEST(Plan, ParentsThatCannotCarryAreRefused) {
  Observed observed;
  EXPECT_EQ(plan(desire(interface()), observed).error().reason, "ParentMissing");
  netlink::LinkInfo parent = bridgeLink();
  parent.kind = "vxlan";
  EXPECT_EQ(plan(desire(interface()), observe(parent)).error().reason, "ParentNotBridge");
  parent = bridgeLink();
  parent.up = false;
  EXPECT_EQ(plan(desire(interface()), observe(parent)).error().reason, "ParentDown");
  parent = bridgeLink();
  parent.mtu = 1400;
  EXPECT_EQ(plan(desire(interface()), observe(parent)).error().reason, "MTUTooLarge");
  parent = bridgeLink();
  parent.master = 9;
  EXPECT_EQ(plan(desire(interface(kMacvlan)), observe(parent)).error().reason, "ParentEnslaved");
}

TEST(Plan, ABridgeThatShrankUnderARunningLinkBreaksNothing) {
  Observed observed = kernelAfterAttach();
  observed.parents["br0"].mtu = 1400;
  EXPECT_TRUE(plan(desire(interface()), observed).value().empty());
  InterfacePlan onDevice = interface(kMacvlan);
  observed.podLinks[0].kind = "macvlan";
  EXPECT_EQ(plan(desire(onDevice), observed).error().reason, "MTUTooLarge")
      << "the kernel cuts a macvlan's MTU with its parent's";
}

TEST(Plan, AMacvlanThatWasMovedToTheNodeIsRemovedThere) {
  Observed observed = observe();
  netlink::LinkInfo stray = attached();
  stray.kind = "macvlan";
  observed.strays = {stray};
  const auto ops = plan(desire(interface(kMacvlan)), observed).value();
  EXPECT_EQ(std::get<DeleteStray>(ops.front().action).name, "net1");
  observed.strays[0].alias = "multinet:other:net1";
  EXPECT_TRUE(stepsOf<DeleteStray>(plan(desire(interface(kMacvlan)), observed).value()).empty());
}

class DefaultRoute : public testing::Test {
 protected:
  DefaultRoute() {
    wanted_.defaultGatewayV4 = true;
    old_.to = prefix("0.0.0.0/0");
    old_.via = ip("10.244.1.1");
    old_.linkIndex = 2;
    observed_.podAddresses = {{2, InterfaceAddress::parse("10.244.1.9/24").value(), false}};
    observed_.podRoutes = {old_};
    wanted_.clusterPrefixes = {prefix("10.96.0.0/12"), prefix("fd00::/108")};
  }
  /// What the kernel has once the steps are done; the new link has index 3.
  void apply(const std::vector<Op>& ops) {
    for (const Op& op : ops) {
      if (const auto* step = std::get_if<AddRoute>(&op.action)) {
        observed_.podRoutes.push_back(step->route);
        if (step->route.linkIndex == 0) observed_.podRoutes.back().linkIndex = 3;
      } else if (const auto* removal = std::get_if<RemoveRoute>(&op.action)) {
        std::erase(observed_.podRoutes, removal->route);
      } else if (const auto* rule = std::get_if<AddRule>(&op.action)) {
        observed_.podRules.push_back(rule->rule);
      }
    }
  }
  std::vector<Op> steps(int linkIndex) { return planDefaultRoutes(observed_, wanted_, linkIndex); }
  InterfacePlan wanted_ = interface();
  netlink::RouteInfo old_;
  Observed observed_;
};

TEST_F(DefaultRoute, TheOldOneIsNeverGoneBeforeAnotherIsThere) {
  const auto ops = steps(0);
  bool backup = false;
  for (const Op& op : ops) {
    const auto* added = std::get_if<AddRoute>(&op.action);
    backup = backup || (added != nullptr && added->route.to == old_.to &&
                        added->route.table == netlink::kMainTable);
    if (std::holds_alternative<RemoveRoute>(op.action)) {
      EXPECT_TRUE(backup);
    }
  }
  const auto& last = std::get<AddRoute>(ops.back().action).route;
  EXPECT_EQ(last.via, ip("10.20.0.1"));
  EXPECT_EQ(last.metric, 0U);
}

TEST_F(DefaultRoute, OnceDoneNothingIsPlannedAgain) {
  apply(steps(0));
  EXPECT_TRUE(steps(3).empty());
}

TEST_F(DefaultRoute, HalfDoneIsFinished) {
  const auto whole = steps(0);
  for (std::size_t done = 0; done < whole.size(); ++done) {
    const Observed start = observed_;
    apply({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(done)});
    apply(steps(3));
    EXPECT_TRUE(steps(3).empty()) << done;
    observed_ = start;
  }
}

TEST_F(DefaultRoute, OnlyPrefixesOfTheFamilyStay) {
  std::vector<IpPrefix> kept;
  for (const auto& step : stepsOf<AddRoute>(steps(0))) {
    if (step.route.to.length() > 0) kept.push_back(step.route.to);
  }
  EXPECT_EQ(kept, (std::vector<IpPrefix>{prefix("10.96.0.0/12"), prefix("169.254.0.0/16")}));
}

TEST_F(DefaultRoute, WhatHasAWayOfItsOwnGetsNoOther) {
  // The cluster's interface has a route there, the interface has the subnet, its plan has a route.
  netlink::RouteInfo there = old_;
  there.to = prefix("10.96.0.0/12");
  observed_.podRoutes.push_back(there);
  wanted_.clusterPrefixes.push_back(prefix("10.20.0.0/16"));
  wanted_.clusterPrefixes.push_back(prefix("10.97.0.0/16"));
  wanted_.clusterPrefixes.push_back(prefix("10.97.0.0/16"));
  wanted_.routes = {{prefix("169.254.0.0/16"), {}}};
  std::vector<IpPrefix> kept;
  for (const auto& step : stepsOf<AddRoute>(steps(0))) {
    if (step.route.to.length() > 0) kept.push_back(step.route.to);
  }
  EXPECT_EQ(kept, std::vector<IpPrefix>{prefix("10.97.0.0/16")});
}

TEST_F(DefaultRoute, ARangeThatComesLaterIsAddedAloneAfterTheMove) {
  apply(steps(0));
  wanted_.clusterPrefixes.push_back(prefix("10.93.0.0/24"));
  const auto ops = steps(3);
  ASSERT_EQ(ops.size(), 1U);
  const auto& added = std::get<AddRoute>(ops[0].action).route;
  EXPECT_EQ(added.to, prefix("10.93.0.0/24"));
  EXPECT_EQ(added.via, old_.via);
  EXPECT_EQ(added.linkIndex, old_.linkIndex);
}

TEST_F(DefaultRoute, WithoutAGatewayOrAWishNothingHappens) {
  wanted_.addresses.front().gateway.reset();
  EXPECT_TRUE(steps(0).empty());
  wanted_ = interface();
  EXPECT_TRUE(steps(0).empty());
}

TEST(Alias, IsReadBackWhateverTheIntentIsMadeOf) {
  const auto parts = parseAlias(aliasOf(IntentId("a:b:c"), "net1"));
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->intent, IntentId("a:b:c"));
  EXPECT_EQ(parts->interface, "net1");
  for (const char* foreign : {"", "multinet:", "multinet:x", "multinet:x:", "multinet::net1",
                              "multinet-network:x", "other:x:net1"}) {
    EXPECT_FALSE(parseAlias(foreign)) << foreign;
  }
}

TEST(HostLinkName, FitsTheKernelAndDiffers) {
  std::set<std::string> names;
  for (int intent = 0; intent < 2000; ++intent) {
    for (const char* interface : {"net1", "net2"}) {
      for (unsigned salt = 0; salt < 2; ++salt) {
        const auto name = hostLinkName(IntentId("i" + std::to_string(intent)), interface, salt);
        EXPECT_EQ(name.size(), 15U);
        names.insert(name);
      }
    }
  }
  EXPECT_EQ(names.size(), 8000U);
}

}  // namespace
}  // namespace multinet::agent::attach
