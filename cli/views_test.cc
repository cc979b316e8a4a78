#include "cli/views.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

const WallTime kNow = *parseTime("2026-01-01T01:00:00Z");

std::string shown(const Table& table, Format format = Format::Table) {
  return render(table, format, Colour::Never);
}

TEST(Views, Networks) {
  const auto networks = json::parse(R"([
    {"metadata": {"name": "storage", "creationTimestamp": "2026-01-01T00:59:00Z"},
     "spec": {"type": "Bridge", "ipam": {"subnets": [{"cidr": "10.30.0.0/24"}]}}},
    {"metadata": {"name": "blue", "creationTimestamp": "2026-01-01T00:00:00Z"},
     "spec": {"type": "VXLAN", "ipam": {"subnets": [{"cidr": "10.20.0.0/16"}, {"cidr": "fd00:20::/64"}]}},
     "status": {"vni": 7001, "nodes": {"desired": 2, "ready": 1}, "attachedPods": 3,
       "blockers": ["pod default/a", "pod default/b"],
       "conditions": [{"type": "Ready", "status": "True", "reason": "Accepted", "message": "Fine."}]}}])");
  EXPECT_EQ(shown(networksTable(networks, kNow)),
            "NAME      TYPE     READY     REASON     VNI    NODES   PODS   SUBNETS                 "
            "    AGE\n"
            "blue      VXLAN    True      Accepted   7001   1/2     3      "
            "10.20.0.0/16,fd00:20::/64   60m\n"
            "storage   Bridge   Unknown   -          -      -       -      10.30.0.0/24            "
            "    60s\n");
  EXPECT_NE(shown(networksTable(networks, kNow), Format::Wide).find("pod default/a,pod default/b"),
            std::string::npos);
}

TEST(Views, ServicesWithWhatTheyLeadTo) {
  const auto services = json::parse(R"([{"metadata": {"namespace": "shop", "name": "web",
      "creationTimestamp": "2026-01-01T00:59:00Z"},
    "spec": {"podNetworkName": "blue", "selector": {"app": "web", "tier": "front"},
      "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]},
    "status": {"clusterIPs": ["None"], "endpoints": {"ready": 2, "serving": 3, "terminating": 1},
      "conditions": [{"type": "Ready", "status": "True", "reason": "Accepted"},
        {"type": "Endpoints", "status": "True", "reason": "Available", "message": "Some are."}]}}])");
  EXPECT_EQ(shown(servicesTable(services, kNow)),
            "NAMESPACE   NAME   NETWORK   TYPE   CLUSTER-IP   EXTERNAL   PORTS                "
            "ENDPOINTS   READY   REASON     AGE\n"
            "shop        web    blue      -      None         -          http:80/TCP,53/UDP   "
            "2/3/1       True    Accepted   60s\n");
  EXPECT_NE(shown(servicesTable(services, kNow), Format::Wide)
                .find("Some are.           app=web,tier=front"),
            std::string::npos);
}

TEST(Views, ServicesShowWhereTheyAreReachedFromOutside) {
  auto service = json::parse(R"({"metadata": {"namespace": "shop", "name": "web"},
    "spec": {"podNetworkName": "blue", "type": "LoadBalancer", "ports": [
      {"name": "http", "port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]},
    "status": {"clusterIPs": ["10.96.0.7"], "nodePorts": [30080, 0], "conditions": [
      {"type": "LoadBalancer", "status": "False", "reason": "Pending", "message": "None yet."}]}})");
  const auto row = [&] { return servicesTable(json::array({service}), kNow).rows.at(0); };
  EXPECT_EQ(row()[3].text, "LoadBalancer");
  EXPECT_EQ(row()[5].text, "<pending>");
  EXPECT_EQ(row()[6].text, "http:80:30080/TCP,53/UDP");
  EXPECT_NE(shown(servicesTable(json::array({service}), kNow), Format::Wide).find("None yet."),
            std::string::npos);
  service["status"]["loadBalancer"] = {
      {"ingress", {{{"ip", "192.0.2.10"}}, {{"hostname", "lb.example.com"}}}}};
  EXPECT_EQ(row()[5].text, "192.0.2.10,lb.example.com");
}

TEST(Views, PodsOneRowAnInterface) {
  const auto sets = json::parse(R"([{"metadata": {"namespace": "default", "name": "web-0-1234"},
    "pod": {"name": "web-0", "uid": "u"}, "nodeName": "node-a", "sandboxID": "0123456789abcdef",
    "interfaces": [
      {"name": "net2", "podNetworkName": "storage", "attachmentName": "nas", "mac": "0a:58:0a:1e:00:02",
       "mtu": 1500, "ips": [{"address": "10.30.0.2/24"}], "attachedAt": "2026-01-01T00:59:55Z",
       "conditions": [{"type": "Ready", "status": "False"}]},
      {"name": "net1", "podNetworkName": "blue", "ips": [{"address": "10.20.0.2/16"},
       {"address": "fd00:20::2/64"}], "conditions": [{"type": "Ready", "status": "True"}]}]}])");
  EXPECT_EQ(
      shown(podsTable(sets, kNow)),
      "NAMESPACE   POD     INTERFACE   NETWORK   ADDRESSES                    READY   NODE     "
      "AGE\n"
      "default     web-0   net1        blue      10.20.0.2/16,fd00:20::2/64   True    node-a   -\n"
      "default     web-0   net2        storage   10.30.0.2/24                 False   node-a   "
      "5s\n");
  EXPECT_NE(shown(podsTable(sets, kNow), Format::Wide)
                .find("0a:58:0a:1e:00:02   1500   nas          0123456789abc"),
            std::string::npos);
}

TEST(Views, NodesOneRowANetwork) {
  const auto nodeSets = json::parse(R"([{"metadata": {"name": "node-a"}, "status": {"networks": [
    {"podNetworkName": "blue", "conditions": [{"type": "Ready", "status": "False",
      "reason": "MTUNotCarried", "message": "to node-b"}],
     "checks": [{"name": "Link", "status": "True"}, {"name": "MTU", "status": "False"}]}]}}])");
  EXPECT_EQ(shown(nodesTable(nodeSets), Format::Wide),
            "NODE     NETWORK   READY   REASON          MESSAGE     CHECKS\n"
            "node-a   blue      False   MTUNotCarried   to node-b   Link=True,MTU=False\n");
}

TEST(Views, WhatIsAmissWithANodeItselfIsARow) {
  const auto nodeSets = json::parse(R"([{"metadata": {"name": "node-a"}, "status": {
    "networks": [{"podNetworkName": "blue", "conditions": [{"type": "Ready", "status": "True",
      "reason": "Ready", "message": "fine"}]}],
    "conditions": [
      {"type": "AgentBypassed", "status": "False", "reason": "NoneFound", "message": "none"},
      {"type": "AddressesContested", "status": "True", "reason": "Contested", "message": "two"},
      {"type": "ServicesTranslated", "status": "True", "reason": "Translated", "message": "yes"},
      {"type": "Gateway", "status": "False", "reason": "NoAddress", "message": "full"}]}}])");
  EXPECT_EQ(shown(nodesTable(nodeSets), Format::Wide),
            "NODE     NETWORK   READY   REASON      MESSAGE   CHECKS\n"
            "node-a   -         False   Contested   two       AddressesContested=True\n"
            "node-a   -         False   NoAddress   full      Gateway=False\n"
            "node-a   blue      True    Ready       fine      -\n");
}

TEST(Views, ANodeWithoutNetworksIsShownAsThat) {
  const auto rows = nodesTable(json::parse(R"([{"metadata": {"name": "node-b"}}])")).rows;
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0][0].text, "node-b");
  EXPECT_EQ(rows[0][3].text, "NotJoined");
}

TEST(Views, OddObjectsDontBreakATable) {
  const auto odd = json::parse(R"([{}, {"metadata": 3, "status": [], "interfaces": {"a": 1}},
    {"interfaces": [1, null]}, null])");
  EXPECT_EQ(networksTable(odd, kNow).rows.size(), 4U);
  EXPECT_EQ(podsTable(odd, kNow).rows.size(), 2U);
  EXPECT_EQ(servicesTable(odd, kNow).rows.size(), 4U);
  EXPECT_TRUE(nodesTable(odd).rows.empty());
}

}  // namespace
}  // namespace multinet::cli
