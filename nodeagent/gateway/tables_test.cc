#include "nodeagent/gateway/tables.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace multinet::agent::gateway {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

Way wayOf(const std::string& name, unsigned targets) {
  Way way{name};
  for (unsigned i = 1; i <= targets; ++i) {
    way.targets.push_back({ip("10.20.0." + std::to_string(i)), 8080});
  }
  return way;
}

const nft::Set& setOf(const nft::Table& table, const std::string& name) {
  for (const nft::Set& set : table.sets) {
    if (set.name == name) return set;
  }
  throw std::out_of_range(name);
}

TEST(Pairs, AreNumberedInTheirRange) {
  const Pair pair = pairOf(NetworkUid("u1"), 0);
  EXPECT_EQ(pair.node4.str(), "169.254.208.1/30");
  EXPECT_EQ(pair.gateway4.str(), "169.254.208.2/30");
  EXPECT_EQ(pair.node6.str(), "fd6d:6e67::1/126");
  EXPECT_EQ(pair.device.size(), 15U);
  EXPECT_NE(pair.device, pairOf(NetworkUid("u2"), 0).device);
  for (const unsigned number : {0U, 1U, kMostGateways - 1}) {
    EXPECT_EQ(numberOf(pairOf(NetworkUid("u"), number).node4), number);
  }
  EXPECT_EQ(pairOf(NetworkUid("u"), kMostGateways - 1).gateway4.str(), "169.254.223.254/30");
  EXPECT_FALSE(numberOf(pair.gateway4));
  EXPECT_FALSE(numberOf(InterfaceAddress::parse("169.254.20.10/32").value()));
}

TEST(WayPorts, StayAndNeverMeet) {
  std::vector<Way> ways;
  for (int i = 0; i < 2000; ++i) ways.push_back(wayOf("way" + std::to_string(i), 1));
  const WayPorts first = portsFor(ways, {});
  std::set<std::uint16_t> distinct;
  for (const auto& [name, port] : first) {
    EXPECT_GE(port, 1024);
    distinct.insert(port);
  }
  EXPECT_THAT(distinct, SizeIs(2000));
  EXPECT_EQ(portsFor({ways.rbegin(), ways.rend()}, {}), first) << "whatever the order";
  ways.erase(ways.begin(), ways.begin() + 1000);
  ways.push_back(wayOf("new", 1));
  const WayPorts next = portsFor(ways, first);
  EXPECT_THAT(next, SizeIs(1001));
  for (const auto& [name, port] : next) {
    if (name != "new") {
      EXPECT_EQ(port, first.at(name)) << name;
    }
  }
}

TEST(WayPorts, OfClientsWhoAreJudgedAreLow) {
  Way way = wayOf("way", 1);
  way.clients = {{ip("192.0.2.0"), ip("192.0.2.255")}};
  std::vector<Way> ways;
  for (int i = 0; i < 1100; ++i) {
    ways.push_back(way);
    ways.back().name += std::to_string(i);
  }
  const WayPorts ports = portsFor(ways, {});
  std::set<std::uint16_t> low;
  for (const auto& [name, port] : ports) {
    EXPECT_GT(port, kProbePort);
    EXPECT_EQ(port < 1024, name.ends_with(" judged")) << name;
    if (port < 1024) low.insert(port);
  }
  EXPECT_THAT(low, SizeIs(1016)) << "the others have none";
  EXPECT_THAT(ports, SizeIs(1100 + 1016));
  // They aren't led by one that isn't theirs.
  const auto table =
      nodeTable({{pairOf(NetworkUid("u"), 0), true, {way}, {{"way", 4000}}}}, {}, {});
  EXPECT_THAT(setOf(table, "judged_ports4").elements, IsEmpty());
  EXPECT_THAT(setOf(table, "admitted4").elements, IsEmpty());
}

TEST(GatewayTable, HasASlotForEachRandomNumber) {
  const std::vector<Way> few = {wayOf("a", 3), wayOf("none", 0)};
  const auto table = gatewayTable(few, {{"a", 4000}, {"none", 4001}});
  EXPECT_THAT(setOf(table, "slots4").elements, SizeIs(16));
  EXPECT_THAT(setOf(table, "slots4").elements, Contains("6 . 4000 . 15 : 10.20.0.1 . 8080"));
  EXPECT_THAT(table.chains[0].rules[0], testing::HasSubstr("mod 16"));
  const auto many = gatewayTable({wayOf("a", 5)}, {{"a", 4000}});
  EXPECT_THAT(setOf(many, "slots4").elements, SizeIs(128));
  EXPECT_THAT(many.chains[0].rules[0], testing::HasSubstr("mod 128"));
  Way six = wayOf("six", 0);
  six.family = IpFamily::V6;
  six.targets = {{ip("fd00:20::1"), 53}};
  six.transport = Transport::Udp;
  EXPECT_THAT(setOf(gatewayTable({six}, {{"six", 5000}}), "slots6").elements,
              Contains("17 . 5000 . 0 : fd00:20::1 . 53"));
}

TEST(GatewayTable, RemembersClientsOfWaysThatKeepTheirs) {
  Way keeps = wayOf("keeps", 2);
  keeps.affinity = 60;
  const std::vector<Way> ways = {wayOf("any", 2), keeps};
  const auto table = gatewayTable(ways, {{"any", 4000}, {"keeps", 4001}});
  EXPECT_THAT(setOf(table, "numbers").elements, SizeIs(16)) << "one for each slot";
  EXPECT_THAT(setOf(table, "usable").elements, SizeIs(2));
  EXPECT_THAT(setOf(table, "times").elements, ElementsAre("6 . 4001 : 60"));
  EXPECT_THAT(setOf(table, "slots4").elements, SizeIs(16 + 2)) << "by slot, and by number";
  EXPECT_THAT(table.chains[0].rules, Contains(testing::HasSubstr("timeout 60s")).Times(2));
  std::ranges::reverse(keeps.targets);
  const auto again = gatewayTable({keeps}, {{"keeps", 4001}});
  EXPECT_EQ(setOf(again, "usable").elements, setOf(table, "usable").elements)
      << "a target's number is its own";
  const auto none = gatewayTable({wayOf("any", 2)}, {{"any", 4000}});
  EXPECT_THAT(none.chains[0].rules, SizeIs(3)) << "who keeps nothing pays nothing";
}

TEST(NodeTable, SaysByWhichWaysClientsAreTold) {
  Way keeps = wayOf("keeps", 1);
  keeps.affinity = 60;
  keeps.entrances = {{std::nullopt, 30080}};
  const Opened opened{pairOf(NetworkUid("u"), 0), true, {keeps}, {{"keeps", 4001}}};
  const auto table = nodeTable({opened}, {}, {});
  EXPECT_THAT(setOf(table, "keeping4").elements, ElementsAre("169.254.208.2 . 6 . 4001"));
  EXPECT_FALSE(isPairs(clientsRange(IpFamily::V4).first()));
  EXPECT_FALSE(isPairs(clientsRange(IpFamily::V6).first()));
}

TEST(NodeTable, LeadsToGatewaysAndRefusesTheRest) {
  Way way = wayOf("a", 1);
  way.entrances = {
      {std::nullopt, 30080},
      {ip("192.0.2.1"),
       80,
       {IpPrefix::parse("10.0.0.0/8").value(), IpPrefix::parse("10.9.9.9/32").value()}}};
  Way none = wayOf("none", 0);
  none.entrances = {{std::nullopt, 30081}, {ip("192.0.2.2"), 80}};
  Way twice = wayOf("twice", 1);
  twice.entrances = {{std::nullopt, 30080}};
  Way closed = wayOf("closed", 1);
  closed.entrances = {{ip("192.0.2.3"), 80}};
  const Opened opened{pairOf(NetworkUid("u"), 0),
                      true,
                      {way, none, twice},
                      {{"a", 4000}, {"none", 4001}, {"twice", 4002}}};
  const auto table = nodeTable({opened}, {closed}, {ip("10.96.0.1"), ip("fd00::1")});
  EXPECT_THAT(setOf(table, "node_ports4").elements,
              ElementsAre("6 . 30080 : 169.254.208.2 . 4000"));
  EXPECT_THAT(setOf(table, "entrances4").elements,
              ElementsAre("169.254.208.1 . 17 . 7 : 169.254.208.2 . 7",
                          "192.0.2.1 . 6 . 80 : 169.254.208.2 . 4000"));
  EXPECT_THAT(setOf(table, "limited4").elements, ElementsAre("192.0.2.1 . 6 . 80"));
  EXPECT_THAT(setOf(table, "sources4").elements,
              ElementsAre("192.0.2.1 . 6 . 80 . 10.0.0.0/8", "192.0.2.1 . 6 . 80 . 10.9.9.9"));
  EXPECT_THAT(setOf(table, "refused4").elements,
              ElementsAre("192.0.2.2 . 6 . 80", "192.0.2.3 . 6 . 80"));
  EXPECT_THAT(setOf(table, "addresses4").elements, ElementsAre("10.96.0.1"));
  EXPECT_THAT(setOf(table, "addresses6").elements, ElementsAre("fd00::1"));
  EXPECT_THAT(setOf(table, "gateways").elements, ElementsAre(opened.pair.device));
  EXPECT_FALSE(isEmpty(table));
}

TEST(NodeTable, WithoutServicesHasNothingInIt) {
  EXPECT_TRUE(isEmpty(nodeTable({}, {}, {})));
  Way way = wayOf("six", 0);
  way.family = IpFamily::V6;
  way.targets = {{ip("fd00:20::1"), 80}};
  way.entrances = {{ip("fd00::5"), 80}};
  const Opened opened{pairOf(NetworkUid("u"), 0), false, {way}, {{"six", 4000}}};
  const auto table = nodeTable({opened}, {}, {});
  EXPECT_THAT(setOf(table, "entrances6").elements, IsEmpty());
  EXPECT_THAT(setOf(table, "refused6").elements, ElementsAre("fd00::5 . 6 . 80"));
}

}  // namespace
}  // namespace multinet::agent::gateway
