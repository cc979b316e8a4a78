#include "nodeagent/policy/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace multinet::agent::policing {
namespace {

using policy::AddressRange;
using policy::Number;
using testing::ElementsAre;
using testing::Pair;

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}
AddressRange range(const std::string& first, const std::string& last) {
  return {ip(first), ip(last)};
}
AddressRange one(const std::string& address) {
  return range(address, address);
}
const policy::PodKey kWeb{"shop", "web"};
const policy::PodKey kDb{"shop", "db"};

/// `db` gets TCP 80 to 90 and 443 from class 7, and anything from class 8; `web` may send nothing.
Policed shop() {
  Policed wanted;
  wanted.ports = {{kWeb, "mnvweb"}, {kDb, "mnvdb"}};
  wanted.program.egress[kWeb] = 1;
  wanted.program.ingress[kDb] = 2;
  wanted.program.addresses = {{one("10.0.0.1"), 7},
                              {range("10.1.0.0", "10.1.255.255"), 8},
                              {range("fd00::1:0", "fd00::2:5"), 8}};
  wanted.program.permits = {{2, 7, api::Protocol::TCP, 80, 90},
                            {2, 7, api::Protocol::TCP, 443, 443},
                            {2, 8, std::nullopt, 0, 0},
                            {2, policy::kEverybody, api::Protocol::SCTP, 0, 65535}};
  return wanted;
}

Standing standingOf(const Policed& wanted) {
  Standing standing{"br-blue", 3, 77, {}};
  Number last = 0x1ffff;
  number(wanted.program, standing, last);
  return standing;
}

nft::Elements allOf(const Policed& wanted, const Standing& standing) {
  nft::Elements all = portElements(wanted, standing);
  all.merge(flowElements(standing));
  all.merge(programElements(wanted.program.addresses, wanted.program.permits, standing));
  return all;
}

TEST(PolicyRules, ElementsAreAsNftListsThem) {
  const nft::Elements wanted = {
      {"isolated", {"mnvdb", "mnvweb"}},
      {"egress_ports", {"mnvweb"}},
      {"ingress_ports", {"mnvdb"}},
      {"networks", {"mnvdb : 2147483651", "mnvweb : 2147483651"}},
      {"tracked", {"mnvdb", "mnvweb"}},
      {"numbers", {"mnvdb : 3011677406", "mnvweb : 3402611546"}},
      {"egress", {"mnvweb : 2:0"}},
      {"ingress", {"mnvdb : 2:1"}},
      {"classes4", {"2147483651 . 10.0.0.1 : 131074"}},
      {"ranges4", {"2147483651 . 10.1.0.0/16 : 131075"}},
      {"ranges6", {"2147483651 . fd00::1:0-fd00::2:5 : 131075"}},
      {"every", {"2:1 . 131075"}},
      {"ports", {"2:1 . 0 . 132 . 0-65535", "2:1 . 131074 . 6 . 443", "2:1 . 131074 . 6 . 80-90"}},
      {"bridges", {"br-blue"}},
      {"zones", {"br-blue : 3"}},
      {"generations", {"br-blue : 77"}},
      {"current", {"br-blue . 77"}},
  };
  EXPECT_EQ(allOf(shop(), standingOf(shop())), wanted);
}

TEST(PolicyRules, ProtocolsWithoutPortsAreAllNumbersButThoseOfThreeAndAreFoundAgain) {
  Policed wanted = shop();
  policy::Permit others{2, 7, std::nullopt, 0, 0, true};
  wanted.program.permits = {others};
  others.peers = policy::kEverybody;
  wanted.program.permits.insert(others);
  const Standing standing = standingOf(wanted);
  const nft::Elements all = allOf(wanted, standing);
  EXPECT_FALSE(all.contains("every")) << "it would let TCP pass";
  EXPECT_THAT(all.at("ports"),
              ElementsAre("2:1 . 0 . 0-5 . 0-65535", "2:1 . 0 . 133-255 . 0-65535",
                          "2:1 . 0 . 18-131 . 0-65535", "2:1 . 0 . 7-16 . 0-65535",
                          "2:1 . 131074 . 0-5 . 0-65535", "2:1 . 131074 . 133-255 . 0-65535",
                          "2:1 . 131074 . 18-131 . 0-65535", "2:1 . 131074 . 7-16 . 0-65535"));
  const FoundAll found = foundIn(all);
  EXPECT_EQ(found.networks.at("br-blue").elements, all) << "a successor finds them";
  EXPECT_TRUE(found.strays.empty());
}

TEST(PolicyRules, EachSetThatElementsAreOfIsInATable) {
  for (const Tracking tracking : {Tracking::Bridge, Tracking::BrNetfilter}) {
    const Tables tables = tablesFor(tracking, 65536);
    std::set<std::string> names;
    for (const auto* table : {&tables.rules, &tables.flows}) {
      for (const auto& set : table->sets) EXPECT_TRUE(names.insert(set.name).second) << set.name;
    }
    // Who sends is known by its port, or by a number where rules see no port.
    const char* const spare = tracking == Tracking::Bridge ? "numbers" : "tracked";
    for (const auto& [set, elements] : allOf(shop(), standingOf(shop()))) {
      EXPECT_EQ(names.contains(set), set != spare) << set;
    }
    EXPECT_EQ(tables.flows.family, tracking == Tracking::Bridge ? "bridge" : "inet");
  }
}

TEST(PolicyRules, InAPodTheGatewaysAddressesAreOfEachLinkThatIsIsolatedOnWhatItGets) {
  Policed wanted = shop();
  wanted.gatewayAddresses = {ip("10.0.0.9"), ip("fd00::9")};
  const Standing standing = standingOf(wanted);
  const nft::Elements all = allOf(wanted, standing);
  EXPECT_THAT(all.at("gateways4"), ElementsAre("mnvdb . 10.0.0.9"));
  EXPECT_THAT(all.at("gateways6"), ElementsAre("mnvdb . fd00::9"));
  EXPECT_EQ(foundIn(all).networks["br-blue"].elements, all) << "a successor finds them";
  const Tables tables = tablesFor(Tracking::Pod, 0);
  for (const char* const name : {"gateways4", "gateways6"}) {
    const auto isIt = [&](const nft::Set& set) { return set.name == name; };
    EXPECT_TRUE(std::ranges::any_of(tables.rules.sets, isIt)) << name;
    EXPECT_TRUE(mayTighten({{name, {"x"}}}, {}, false)) << "its address may be another's soon";
    EXPECT_FALSE(mayTighten({}, {{name, {"x"}}}, true)) << name;
  }
  // Of a link that becomes another's, or another subject's, they go and come with it.
  Policed other = wanted;
  other.program.ingress[kDb] = 9;
  EXPECT_EQ(portsOfOthers(wanted, other).gatewayAddresses, wanted.gatewayAddresses);
  EXPECT_EQ(portElements(portsOfOthers(wanted, other), standing).at("gateways4"),
            all.at("gateways4"));
}

TEST(PolicyRules, NumbersOfPortsAreNoMarkOfTheTables) {
  for (const char* const port : {"mnv0", "mnv1", "", "mnx12345678"}) {
    EXPECT_GE(portNumber(port), kEndOfNumbers);
  }
  EXPECT_NE(portNumber("mnv0"), portNumber("mnv1"));
}

TEST(PolicyRules, WhereNobodyIsLimitedNothingIsCounted) {
  for (const Tracking tracking : {Tracking::Bridge, Tracking::BrNetfilter}) {
    const Tables tables = tablesFor(tracking, 0);
    for (const auto* table : {&tables.rules, &tables.flows}) {
      for (const auto& set : table->sets) EXPECT_FALSE(set.name.starts_with("held")) << set.name;
      for (const auto& chain : table->chains) {
        for (const auto& rule : chain.rules) EXPECT_EQ(rule.find("ct count"), rule.npos) << rule;
      }
    }
  }
}

TEST(PolicyRules, WhatIsFoundBelongsToItsNetwork) {
  const Policed wanted = shop();
  const Standing standing = standingOf(wanted);
  Policed other;
  other.ports = {{kDb, "mnvred"}};
  other.program.ingress[kDb] = 1;
  other.program.permits = {{1, policy::kEverybody, std::nullopt, 0, 0}};
  Standing red{"br-red", 4, std::nullopt, {{1, 0x30000}}};
  nft::Elements all = allOf(wanted, standing);
  for (const auto& [set, elements] : allOf(other, red)) {
    all[set].insert(elements.begin(), elements.end());
  }
  all["every"].insert("9:9 . 0");
  all["networks"].insert("mnvlost : 5");
  all["zones"].insert("br-none : 0");
  FoundAll found = foundIn(all);
  EXPECT_EQ(found.networks["br-blue"].elements, allOf(wanted, standing));
  EXPECT_EQ(found.networks["br-blue"].standing.zone, 3);
  EXPECT_EQ(found.networks["br-blue"].standing.generation, 77U);
  EXPECT_THAT(found.networks["br-blue"].ports, ElementsAre("mnvdb", "mnvweb"));
  EXPECT_EQ(found.networks["br-red"].elements, allOf(other, red));
  EXPECT_EQ(found.networks["br-red"].standing.generation, std::nullopt);
  EXPECT_THAT(found.strays, ElementsAre(Pair("every", ElementsAre("9:9 . 0")),
                                        Pair("networks", ElementsAre("mnvlost : 5")),
                                        Pair("zones", ElementsAre("br-none : 0"))));
  EXPECT_EQ(found.last, 0x90009U);
}

TEST(PolicyRules, AGenerationThatIsntWholeIsNone) {
  nft::Elements all = flowElements(standingOf(shop()));
  all["current"].insert("br-blue . 78");
  EXPECT_EQ(foundIn(all).networks["br-blue"].standing.generation, std::nullopt);
  all["current"] = {"br-blue . 78"};
  EXPECT_EQ(foundIn(all).networks["br-blue"].standing.generation, std::nullopt);
}

TEST(PolicyRules, WhatIsFoundThatNobodyWroteIsNoNetworks) {
  FoundAll found = foundIn({{"zones", {"br : x", "br", "br : 70000", ""}},
                            {"egress", {"", "a", "a : b", "a : 1:2"}},
                            {"ports", {"", "1 . 2", "1:1"}},
                            {"classes4", {"", "1 . 2", "1 . 2 : 3"}},
                            {"generations", {"br : 3"}}});
  EXPECT_TRUE(found.networks.empty());
  EXPECT_EQ(found.strays.size(), 5U);
}

TEST(PolicyRules, ASuccessorTakesOverNumbers) {
  const Policed before = shop();
  const Standing there = standingOf(before);
  const FoundAll found = foundIn(allOf(before, there));
  Policed after = shop();
  after.program.egress[kWeb] = 12;
  after.program.ingress[kDb] = 11;
  after.program.addresses = {{one("10.0.0.1"), 3},
                             {range("10.1.0.0", "10.1.255.255"), 4},
                             {range("fd00::1:0", "fd00::2:5"), 4}};
  after.program.permits = {{11, 3, api::Protocol::TCP, 80, 90},
                           {11, 3, api::Protocol::TCP, 443, 443},
                           {11, 4, std::nullopt, 0, 0},
                           {11, policy::kEverybody, api::Protocol::SCTP, 0, 65535}};
  Standing standing = found.networks.at("br-blue").standing;
  adopt(after, found.networks.at("br-blue"), standing);
  Number last = found.last;
  number(after.program, standing, last);
  EXPECT_EQ(last, found.last);
  EXPECT_EQ(allOf(after, standing), allOf(before, there));
}

TEST(PolicyRules, TwoThatAreOneThereDontBecomeOne) {
  const Policed before = shop();
  const FoundAll found = foundIn(allOf(before, standingOf(before)));
  Policed after = shop();
  after.program.addresses.put(range("fd00::1:0", "fd00::2:5"), 9);  // no longer as 10.1.0.0/16
  Standing standing = found.networks.at("br-blue").standing;
  adopt(after, found.networks.at("br-blue"), standing);
  Number last = found.last;
  number(after.program, standing, last);
  EXPECT_NE(standing.numbers.at(8), standing.numbers.at(9));
  EXPECT_EQ(last, found.last + 1);
}

TEST(PolicyRules, WhatIsElsewhereIsLeftOut) {
  Policed wanted = shop();
  wanted.ports.erase(kDb);
  const Policed local = localOf(wanted);
  EXPECT_TRUE(local.program.ingress.empty());
  EXPECT_TRUE(local.program.permits.empty());
  EXPECT_TRUE(isPoliced(local));
  wanted.ports.clear();
  EXPECT_FALSE(isPoliced(localOf(wanted)));
  wanted.track = api::TrackConnections::Always;
  EXPECT_TRUE(isPoliced(localOf(wanted)));
}

TEST(PolicyRules, PermitsOfWhoIsGoneWaitAndOthersDont) {
  const Policed wanted = shop();
  const Standing standing = standingOf(wanted);
  nft::Elements gone = {{"every", {"2:1 . 131075", "2:1 . 9", "5:5 . 131075"}},
                        {"ports", {"2:1 . 0 . 6 . 1", "5:5 . 0 . 6 . 1"}},
                        {"classes4", {"2147483651 . 10.0.0.9 : 131074"}}};
  const nft::Elements unused = takeUnused(gone, wanted.program, standing);
  EXPECT_EQ(unused, (nft::Elements{{"every", {"2:1 . 9", "5:5 . 131075"}},
                                   {"ports", {"5:5 . 0 . 6 . 1"}}}));
  EXPECT_EQ(gone["every"], std::set<std::string>{"2:1 . 131075"});
  EXPECT_EQ(gone["ports"], std::set<std::string>{"2:1 . 0 . 6 . 1"});
  EXPECT_EQ(gone["classes4"].size(), 1U);
}

TEST(PolicyRules, WhatGoesOrIsolatesMayTighten) {
  for (const char* const set : {"classes4", "classes6", "ranges4", "ranges6", "every", "ports"}) {
    EXPECT_TRUE(mayTighten({{set, {"x"}}}, {}, false)) << set;
    EXPECT_FALSE(mayTighten({{set, {}}}, {{set, {"x"}}}, false)) << set;
  }
  for (const char* const set : {"egress", "ingress"}) {
    EXPECT_TRUE(mayTighten({{set, {"x"}}}, {}, false)) << set;
    EXPECT_TRUE(mayTighten({}, {{set, {"x"}}}, false)) << set;
  }
}

TEST(PolicyRules, WhereAnOrderMattersAnAddressThatComesMayTighten) {
  for (const char* const set : {"classes4", "classes6", "ranges4", "ranges6"}) {
    EXPECT_TRUE(mayTighten({}, {{set, {"x"}}}, true)) << set;
  }
  for (const char* const set : {"every", "ports", "tracked"}) {
    EXPECT_FALSE(mayTighten({}, {{set, {"x"}}}, true)) << set;
  }
}

TEST(PolicyRules, NumbersOfWhatIsGoneAreForgotten) {
  Policed wanted = shop();
  Standing standing;
  Number last = 0;
  constexpr Number kMany = 1000;
  for (Number i = 0; i < kMany; ++i) {
    wanted.program.addresses.put(one("10.0.0.1"), 100 + i);
    number(wanted.program, standing, last);
    keepOnly(wanted.program, standing);
  }
  EXPECT_LT(standing.numbers.size(), 70U);
  EXPECT_TRUE(standing.numbers.contains(100 + kMany - 1));
  last = kEndOfNumbers - 1;
  wanted.program.addresses.put(one("10.0.0.1"), 7777);
  number(wanted.program, standing, last);
  EXPECT_EQ(standing.numbers.at(7777), 1U);
}

TEST(PolicyRules, PortsThatMeetOthersOfTheSameAreTold) {
  const std::set<std::string> gone = {"2:1 . 7 . 6 . 80-90", "2:1 . 7 . 17 . 53",
                                      "2:2 . 7 . 6 . 0-65535"};
  EXPECT_THAT(
      portsApartFrom(gone, {"2:1 . 7 . 6 . 90-95", "2:1 . 7 . 6 . 91", "2:1 . 7 . 6 . 0-79",
                            "2:1 . 7 . 6 . 85", "2:1 . 7 . 6 . 0-65535", "2:1 . 7 . 17 . 52-54",
                            "2:1 . 8 . 17 . 53", "2:2 . 7 . 6 . 1", "2:3 . 7 . 6 . 80-90"}),
      ElementsAre("2:1 . 7 . 6 . 0-79", "2:1 . 7 . 6 . 91", "2:1 . 8 . 17 . 53",
                  "2:3 . 7 . 6 . 80-90"));
}

}  // namespace
}  // namespace multinet::agent::policing
