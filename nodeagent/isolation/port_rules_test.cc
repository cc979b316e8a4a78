#include "nodeagent/isolation/port_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace multinet::agent::isolation {
namespace {

using api::PortSecurity;
using testing::ElementsAre;
using testing::Pair;
using testing::UnorderedElementsAre;

Port port(const std::vector<std::string>& addresses) {
  Port made{"mnvaaaa",
            IntentId("i"),
            "net1",
            NetworkUid("u"),
            MacAddress::parse("02:00:00:00:01:05").value(),
            {}};
  for (const std::string& text : addresses) {
    made.addresses.push_back(IpAddress::parse(text).value());
  }
  return made;
}

TEST(PortRules, EnforcedHoldsMacAddressesAndTheLinkLocalOne) {
  EXPECT_THAT(
      elementsOf(port({"10.20.0.5", "fd00:20::5"}), PortSecurity::Enforced),
      UnorderedElementsAre(
          Pair("ports", ElementsAre("mnvaaaa")), Pair("strict", ElementsAre("mnvaaaa")),
          Pair("macs", ElementsAre("mnvaaaa . 02:00:00:00:01:05")),
          Pair("addresses4", ElementsAre("mnvaaaa . 10.20.0.5")),
          Pair("addresses6", ElementsAre("mnvaaaa . fd00:20::5", "mnvaaaa . fe80::ff:fe00:105")),
          Pair("targets", ElementsAre("mnvaaaa . 0xfd000020000000000000000000000005",
                                      "mnvaaaa . 0xfe80000000000000000000fffe000105"))));
}

TEST(PortRules, MacOnlyAndDisabledHoldLess) {
  EXPECT_THAT(elementsOf(port({"10.20.0.5", "fd00:20::5"}), PortSecurity::MacOnly),
              UnorderedElementsAre(Pair("ports", ElementsAre("mnvaaaa")),
                                   Pair("macs", ElementsAre("mnvaaaa . 02:00:00:00:01:05"))));
  EXPECT_THAT(elementsOf(port({"10.20.0.5", "fd00:20::5"}), PortSecurity::Disabled),
              UnorderedElementsAre(Pair("ports", ElementsAre("mnvaaaa")),
                                   Pair("open", ElementsAre("mnvaaaa"))));
}

TEST(PortRules, WithoutIpv6NoneIsLetThroughInAnyMode) {
  for (const auto security :
       {PortSecurity::Enforced, PortSecurity::MacOnly, PortSecurity::Disabled}) {
    const auto elements = elementsOf(port({"10.20.0.5"}), security);
    EXPECT_TRUE(elements.contains("no_ipv6")) << api::name(security);
    EXPECT_FALSE(elements.contains("addresses6")) << api::name(security);
  }
}

TEST(PortRules, ANetworkWithoutSubnetsHoldsTheMacAlone) {
  const Port bare = port({});
  EXPECT_EQ(elementsOf(bare, PortSecurity::Enforced), elementsOf(bare, PortSecurity::MacOnly));
  EXPECT_FALSE(elementsOf(bare, PortSecurity::Enforced).contains("no_ipv6"));
  EXPECT_EQ(told(bare, PortSecurity::Enforced).reason, "MACOnly");
  EXPECT_THAT(told(bare, PortSecurity::Enforced).message, testing::HasSubstr("no subnets"));
}

TEST(PortRules, WhatAPortIsHeldToIsReadBack) {
  nft::Elements all;
  for (const auto& [name, security] :
       {std::pair{"mnva", PortSecurity::Enforced}, std::pair{"mnvb", PortSecurity::MacOnly},
        std::pair{"mnvc", PortSecurity::Disabled}}) {
    Port one = port({"10.20.0.5", "64:ff9b::1"});
    one.name = name;
    for (const auto& [set, elements] : elementsOf(one, security)) {
      all[set].insert(elements.begin(), elements.end());
    }
  }
  all[kTunnelSet] = {"4799"};
  all[kDroppedSet] = {"?"};
  const auto ports = portsIn(all);
  ASSERT_EQ(ports.size(), 3U);
  EXPECT_EQ(securityOf(ports.at("mnva")), PortSecurity::Enforced);
  EXPECT_EQ(securityOf(ports.at("mnvb")), PortSecurity::MacOnly);
  EXPECT_EQ(securityOf(ports.at("mnvc")), PortSecurity::Disabled);
  // As the kernel lists an integer.
  EXPECT_TRUE(ports.at("mnva").at("targets").contains("mnva . 0x64ff9b000000000000000000000001"));
}

TEST(PortRules, ADroppedFramesElementNamesPortAndReason) {
  for (const char* text : {"mnva . 9", "mnva . 0x00000009"}) {
    const auto dropped = droppedOf(text);
    ASSERT_TRUE(dropped) << text;
    EXPECT_EQ(dropped->port, "mnva");
    EXPECT_EQ(dropped->reason, "tunnel");
  }
  for (const char* text : {"", "mnva", "mnva . ", "mnva . 0", "mnva . 14", "mnva . x", "? . ?"}) {
    EXPECT_FALSE(droppedOf(text)) << text;
  }
}

TEST(PortRules, TheNumberOfRulesIsConstant) {
  const nft::Table table = portTable();
  std::size_t rules = 0;
  for (const nft::Chain& chain : table.chains) rules += chain.rules.size();
  EXPECT_EQ(table.counters.size(), kReasons.size());
  EXPECT_LE(rules, 75U);
  for (const nft::Set& set : table.sets) EXPECT_TRUE(set.elements.empty()) << set.name;
}

Port onParent() {
  Port one = port({"10.20.0.5", "fd00:20::5"});
  one.name = one.mac.str();
  one.site = Site::NodeParent;
  one.parent = "eth1";
  return one;
}

TEST(PortRules, OnAParentAPortIsKnownByItsMac) {
  const auto elements = elementsOf(onParent(), PortSecurity::Enforced);
  EXPECT_THAT(elements.at("ports"), ElementsAre("02:00:00:00:01:05"));
  EXPECT_THAT(elements.at("macs"), ElementsAre("02:00:00:00:01:05 . 02:00:00:00:01:05"));
  EXPECT_THAT(elements.at("addresses4"), ElementsAre("02:00:00:00:01:05 . 10.20.0.5"));
  const auto ports = portsIn(elements);
  ASSERT_EQ(ports.size(), 1U);
  EXPECT_EQ(ports.begin()->second, elements);
  const auto dropped = droppedOf("02:00:00:00:01:05 . 0x00000001");
  ASSERT_TRUE(dropped);
  EXPECT_EQ(dropped->port, "02:00:00:00:01:05");
}

TEST(PortRules, AParentsNameIsReadBackFromItsChains) {
  const std::set<std::string> parents = {"eth1", "bond0.100", "br-ex", "out_x", "odd@name:1", "x"};
  nft::Listing listing;
  for (const nft::Chain& chain : parentTable(parents).chains) listing.comments[chain.name];
  EXPECT_EQ(parentsIn(listing), parents);
  EXPECT_TRUE(parentsIn({}).empty());
}

TEST(PortRules, EachParentHasTwoChainsMoreAndNoRuleForAPort) {
  const std::size_t none = parentTable({}).chains.size();
  const nft::Table table = parentTable({"eth1", "eth2"});
  EXPECT_EQ(table.chains.size(), none + 4);
  EXPECT_EQ(table.family, "netdev");
  for (const nft::Chain& chain : table.chains) EXPECT_EQ(chain.device.empty(), chain.hook.empty());
}

TEST(PortRules, APodsTableHoldsItsInterfacesToTheirModes) {
  Port open = onParent();
  open.interface = "net2";
  open.mac = MacAddress::parse("02:00:00:00:01:06").value();
  open.name = open.mac.str();
  const nft::Table table =
      podTable({{onParent(), PortSecurity::Enforced}, {open, PortSecurity::Disabled}}, {4799});
  std::map<std::string, std::vector<std::string>> rules;
  for (const nft::Chain& chain : table.chains) {
    if (!chain.hook.empty()) rules[chain.hook + " " + chain.device] = chain.rules;
  }
  EXPECT_THAT(rules.at("egress net1"),
              ElementsAre("ether saddr != 02:00:00:00:01:05 goto drop_source_mac", "goto sent"));
  EXPECT_THAT(rules.at("ingress net1"), testing::Contains("ip saddr 10.20.0.5 goto drop_claimed"));
  EXPECT_THAT(rules.at("egress net2"), ElementsAre("goto sent"));
  EXPECT_TRUE(rules.at("ingress net2").empty());
  for (const nft::Set& set : table.sets) {
    if (set.name == "open") {
      EXPECT_THAT(set.elements, ElementsAre("net2"));
    } else if (set.name == kTunnelSet) {
      EXPECT_THAT(set.elements, ElementsAre("4799"));
    }
  }
}

TEST(PortRules, AnInterfaceOnAParentSaysWhereItIsHeld) {
  const auto told = isolation::told(onParent(), PortSecurity::Enforced);
  EXPECT_TRUE(told.holds);
  EXPECT_EQ(told.reason, "Enforced");
  EXPECT_THAT(told.message, testing::HasSubstr("eth1"));
  EXPECT_THAT(told.message, testing::HasSubstr("NET_ADMIN"));
}

Port sharedOn(const std::string& interface) {
  Port one = onParent();
  one.interface = interface;
  one.site = Site::Pod;
  return one;
}

TEST(PortRules, ALinkThatSharesItsMacIsHeldByItsNameAndOneLinkLocalAddressOfThatMac) {
  Port second = sharedOn("net2");
  second.addresses = {IpAddress::parse("10.20.0.6").value()};
  const nft::Table table =
      podTable({{sharedOn("net1"), PortSecurity::Enforced}, {second, PortSecurity::Enforced}}, {});
  std::map<std::string, std::vector<std::string>> rules;
  for (const nft::Chain& chain : table.chains) rules[chain.name] = chain.rules;
  EXPECT_THAT(rules.at("in_net1"), testing::Not(testing::Contains(testing::HasSubstr("ether"))))
      << "others on its device have that MAC";
  EXPECT_THAT(rules.at("in_net1"), testing::Contains("ip saddr 10.20.0.5 goto drop_claimed"));
  const std::string of = "oifname \"net1\" ip6 saddr & ffff:ffff:ffff:ffff:ffff:ff00:ff:ffff == ";
  EXPECT_THAT(rules.at("from_ipv6"),
              testing::Contains("meta l4proto != 255 " + of + "fe80::200:0:0:105 accept"));
  EXPECT_THAT(rules.at("from_ipv6"), testing::Not(testing::Contains(testing::HasSubstr("net2"))));
  for (const nft::Set& set : table.sets) {
    if (set.name == "addresses4") {
      EXPECT_THAT(set.elements, ElementsAre("net1 . 10.20.0.5", "net2 . 10.20.0.6"));
    } else if (set.name == "addresses6") {
      EXPECT_THAT(set.elements, ElementsAre("net1 . fd00:20::5"));
    }
  }
}

TEST(PortRules, OnADeviceALinkThatSharesItsMacIsAPortForEachAddress) {
  nft::Elements all;
  for (const Port& one : onDevice(sharedOn("net1"))) {
    const auto elements = elementsOf(one, PortSecurity::Enforced);
    EXPECT_TRUE(isOnDevice(elements));
    EXPECT_EQ(elements, elementsOf(one, PortSecurity::MacOnly));
    EXPECT_TRUE(elementsOf(one, PortSecurity::Disabled).empty());
    nft::insert(elements, all);
    EXPECT_EQ(portsIn(elements), (std::map<std::string, nft::Elements>{{one.name, elements}}));
  }
  EXPECT_THAT(
      all,
      UnorderedElementsAre(
          Pair("shared4", ElementsAre("02:00:00:00:01:05 . 10.20.0.5")),
          Pair("shared6", ElementsAre("02:00:00:00:01:05 . 0xfd000020000000000000000000000005"))));
  EXPECT_EQ(portsIn(all).size(), 2U);
  EXPECT_FALSE(isOnDevice(elementsOf(onParent(), PortSecurity::Enforced)));
}

TEST(PortRules, ADeviceThatItsLinksShareHasChainsOfItsOwn) {
  const std::set<std::string> shared = {"eth2", "odd@name:1"};
  nft::Listing listing;
  for (const nft::Chain& chain : parentTable({"eth1"}, shared).chains) {
    listing.comments[chain.name];
    if (chain.device == "eth2") {
      EXPECT_THAT(chain.rules, testing::Not(testing::Contains(testing::HasSubstr("port"))))
          << "the node's own frames aren't held against anything";
    }
  }
  EXPECT_EQ(sharedIn(listing), shared);
  EXPECT_EQ(parentsIn(listing), std::set<std::string>{"eth1"});
}

TEST(PortRules, AnInterfaceThatIsHeldInItsPodAloneSaysSo) {
  Port one = sharedOn("net1");
  EXPECT_TRUE(told(one, PortSecurity::Enforced).holds);
  EXPECT_THAT(
      told(one, PortSecurity::Enforced).message,
      testing::AllOf(testing::HasSubstr("in the pod, where who has NET_ADMIN"),
                     testing::HasSubstr("MAC of eth1"), testing::Not(testing::HasSubstr("wire"))));
  one.isWireUnseen = true;
  EXPECT_THAT(told(one, PortSecurity::MacOnly).message, testing::HasSubstr("wire"));
  EXPECT_EQ(told(one, PortSecurity::Disabled).reason, "Disabled");
}

}  // namespace
}  // namespace multinet::agent::isolation
