#include "nodeagent/gateway/flows.h"

#include <gtest/gtest.h>

namespace multinet::agent::gateway {
namespace {

netlink::FlowEnd at(const std::string& address, std::uint16_t port) {
  return {IpAddress::parse(address).value(), port};
}

Way dns() {
  Way way{"dns"};
  way.transport = Transport::Udp;
  way.entrances = {{std::nullopt, 30053}, {at("192.0.2.1", 0).address, 53}};
  way.targets = {{at("10.20.0.5", 0).address, 5353}};
  return way;
}

TEST(NodeFlows, AreStaleWhereTheyGoAnotherWay) {
  const Opened opened{pairOf(NetworkUid("u"), 0), true, {dns()}, {{"dns", 4000}}};
  const NodeFlows flows({opened});
  EXPECT_TRUE(flows.any());
  const auto from = at("10.9.0.2", 5000);
  const auto gateway = at("169.254.208.2", 4000);
  EXPECT_FALSE(flows.isStale({from, at("10.9.0.1", 30053), gateway}));
  EXPECT_FALSE(flows.isStale({from, at("192.0.2.1", 53), gateway}));
  EXPECT_TRUE(flows.isStale({from, at("10.9.0.1", 30053), at("10.9.0.1", 30053)}))
      << "from before there was a gateway";
  EXPECT_TRUE(flows.isStale({from, at("192.0.2.1", 53), at("169.254.208.6", 4000)}));
  EXPECT_TRUE(flows.isStale({from, at("10.9.0.1", 30054), gateway})) << "a way that is gone";
  EXPECT_FALSE(flows.isStale({from, at("10.9.0.1", 53), at("10.9.0.1", 53)}));
  EXPECT_FALSE(flows.isStale({from, at("10.9.0.1", 30053), at("10.244.0.5", 53)}))
      << "somebody else translated it";
  EXPECT_FALSE(NodeFlows({}).any());
}

TEST(NodeFlows, AreStaleWhereTheirClientIsJudgedAnotherWay) {
  Way way = dns();
  way.clients = {{at("10.9.0.0", 0).address, at("10.9.0.255", 0).address}};
  const Opened opened{
      pairOf(NetworkUid("u"), 0), true, {way}, {{"dns", 4000}, {judgedName(way), 99}}};
  const NodeFlows flows({opened});
  const auto to = at("192.0.2.1", 53);
  const auto plain = at("169.254.208.2", 4000);
  const auto judged = at("169.254.208.2", 99);
  EXPECT_FALSE(flows.isStale({at("10.9.0.2", 5000), to, judged}));
  EXPECT_TRUE(flows.isStale({at("10.9.0.2", 5000), to, plain}));
  EXPECT_TRUE(flows.isStale({at("10.9.1.2", 5000), to, judged}));
  EXPECT_FALSE(flows.isStale({at("10.9.1.2", 5000), to, plain}));
  const GatewayFlows inside(opened.ways, opened.ports);
  EXPECT_FALSE(inside.isStale({at("169.254.208.1", 1), judged, at("10.20.0.5", 5353)}));
}

TEST(GatewayFlows, AreStaleWhereTheirEndpointIsGone) {
  const GatewayFlows flows({dns()}, {{"dns", 4000}});
  const auto from = at("169.254.208.1", 5000);
  const auto to = at("169.254.208.2", 4000);
  EXPECT_FALSE(flows.isStale({from, to, at("10.20.0.5", 5353)}));
  EXPECT_TRUE(flows.isStale({from, to, at("10.20.0.6", 5353)}));
  EXPECT_TRUE(flows.isStale({from, to, to})) << "it came before there was an endpoint";
  EXPECT_TRUE(flows.isStale({from, at("169.254.208.2", 4001), at("10.20.0.5", 5353)}));
  EXPECT_FALSE(flows.isStale({at("10.20.0.7", 1), at("10.20.0.1", 53), at("10.20.0.1", 53)}))
      << "the network's own";
}

}  // namespace
}  // namespace multinet::agent::gateway
