// What ipam, trace and topology tell, word by word.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "cli/ipam.h"
#include "cli/topology.h"
#include "cli/trace.h"

namespace multinet::cli {
namespace {

using nlohmann::json;
const WallTime kNow = parseTime("2026-01-01T01:00:00Z").value();

Addresses addresses() {
  Addresses all;
  all.networks = json::parse(R"([{"metadata": {"name": "blue"}, "spec": {"ipam": {"subnets": [
    {"cidr": "10.20.0.0/16", "gateway": "10.20.0.1"}, {"cidr": "fd00:20::/64"}]}}}])");
  all.blocks = json::parse(R"([
    {"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:30:00Z"}, "spec":
     {"podNetworkName": "blue", "cidr": "10.20.0.64/26", "nodeName": "node-a"}},
    {"metadata": {"name": "y"}, "spec":
     {"podNetworkName": "blue", "cidr": "10.20.1.0/26", "nodeName": "node-b"}},
    {"metadata": {"name": "z"}, "spec":
     {"podNetworkName": "blue", "cidr": "fd00:20::/96", "nodeName": "node-a"}}])");
  all.sets = json::parse(R"([{"metadata": {"namespace": "shop"}, "pod": {"name": "web-0"},
    "nodeName": "node-a", "interfaces": [{"name": "net1", "podNetworkName": "blue",
    "attachedAt": "2026-01-01T00:59:00Z",
    "ips": [{"address": "10.20.0.70/16"}, {"address": "fd00:20::5/64"}]}]}])");
  return all;
}

TEST(Ipam, ARowASubnet) {
  EXPECT_EQ(render(subnetsTable(addresses()), Format::Table, Colour::Never),
            "NETWORK   SUBNET         SIZE    BLOCKS   LEASED   NODES   HELD\n"
            "blue      10.20.0.0/16   65536   2        128      2       1\n"
            "blue      fd00:20::/64   2^64    1        1x2^32   1       1\n");
}

TEST(Ipam, ARowABlockAndARowAnAddress) {
  EXPECT_EQ(render(blocksTable(addresses(), kNow), Format::Table, Colour::Never),
            "NETWORK   BLOCK           NODE     HELD   SIZE   AGE\n"
            "blue      10.20.0.64/26   node-a   1      64     30m\n"
            "blue      10.20.1.0/26    node-b   0      64     -\n"
            "blue      fd00:20::/96    node-a   1      2^32   -\n");
  EXPECT_EQ(render(holdersTable(addresses(), kNow), Format::Table, Colour::Never),
            "NETWORK   ADDRESS         POD          INTERFACE   NODE     AGE\n"
            "blue      10.20.0.70/16   shop/web-0   net1        node-a   60s\n"
            "blue      fd00:20::5/64   shop/web-0   net1        node-a   60s\n");
}

TEST(Ipam, WhoHoldsAnAddress) {
  const auto told = [](const char* address) {
    return describeAddress(addresses(), IpAddress::parse(address).value());
  };
  EXPECT_EQ(told("10.20.0.70"),
            "10.20.0.70 is in subnet 10.20.0.0/16 of network blue\n"
            "  node node-a leases its block 10.20.0.64/26\n"
            "  pod shop/web-0 holds it on net1 since 2026-01-01T00:59:00Z, node node-a\n");
  EXPECT_EQ(told("10.20.0.71"),
            "10.20.0.71 is in subnet 10.20.0.0/16 of network blue\n"
            "  node node-a leases its block 10.20.0.64/26\n"
            "  no pod holds it: it is free, or rests on that node for the quarantine (60 s unless "
            "its agent says otherwise)\n");
  EXPECT_EQ(told("10.20.0.1"),
            "10.20.0.1 is in subnet 10.20.0.0/16 of network blue, whose gateway it is\n"
            "  no node leases a block around it\n");
  EXPECT_EQ(told("10.30.0.1"), "10.30.0.1 is in no subnet of any network\n");
}

TEST(Trace, StepsInOrderOfTimeAndWhatHoldsNowAtTheEnd) {
  Traces all;
  all.pod = json::parse(R"({"metadata": {"name": "web-0", "creationTimestamp":
    "2026-01-01T00:00:00Z", "annotations": {"multinet.dev/networks": "blue",
    "multinet.dev/resolved": "net1=blue@uid-1"}}, "status": {"conditions": [
    {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"},
    {"type": "multinet.dev/networks-ready", "status": "False", "reason": "PoolExhausted",
     "message": "no block is free", "lastTransitionTime": "2026-01-01T00:00:03Z"}]}})");
  all.events = json::parse(R"([{"lastTimestamp": "2026-01-01T00:00:02Z", "type": "Warning",
    "source": {"component": "kubelet"}, "reason": "FailedCreatePodSandBox", "count": 3,
    "message": "refused"}])");
  all.sets = json::parse(R"([{"interfaces": [{"name": "net1", "podNetworkName": "blue",
    "mac": "0a:58:0a:14:00:02", "mtu": 1450, "ips": [{"address": "10.20.0.2/16"}],
    "attachedAt": "2026-01-01T00:00:05Z", "conditions": [{"type": "Ready", "status": "True",
    "lastTransitionTime": "2026-01-01T00:00:06Z"}]}]}])");
  all.nodeSets = json::parse(R"([{"metadata": {"name": "node-a"}, "status": {"networks": [
    {"podNetworkName": "blue", "conditions": [{"type": "Ready", "status": "False",
     "reason": "MTUNotCarried", "message": "to node-b"}], "checks": [{"name": "Link",
     "status": "True"}, {"name": "MTU", "status": "False", "reason": "NoAnswer"}]},
    {"podNetworkName": "other"}]}}])");
  EXPECT_EQ(
      render(traceTable(all), Format::Table, Colour::Never),
      "TIME       SINCE   WHO           STEP                                WHY\n"
      "00:00:00   +0s     pod           created                             asks for blue\n"
      "00:00:00   +0s     admission     net1 resolved                       network blue\n"
      "00:00:01   +1s     pod           PodScheduled=True                   -\n"
      "00:00:02   +2s     kubelet       FailedCreatePodSandBox (3 times)    refused\n"
      "00:00:03   +3s     pod           multinet.dev/networks-ready=False   PoolExhausted: no "
      "block is free\n"
      "00:00:05   +5s     agent         net1 attached                       blue, "
      "10.20.0.2/16, MAC 0a:58:0a:14:00:02, MTU 1450\n"
      "00:00:06   +6s     kernel        net1 Ready=True                     -\n"
      "now        -       node node-a   blue Ready=False                    MTUNotCarried: to "
      "node-b; MTU=False NoAnswer\n");
}

TEST(Trace, WhichPoliciesAnInterfaceIsHeldTo) {
  Traces all;
  all.pod = json::parse(R"({"metadata": {"name": "web-0", "namespace": "shop",
    "labels": {"app": "web"}}})");
  all.events = json::array();
  all.nodeSets = json::array();
  all.sets = json::parse(R"([{"interfaces": [{"name": "net1", "podNetworkName": "blue",
    "policy": {"enforced": true, "where": "Node", "reason": "Enforced", "message": ""}},
    {"name": "net2", "podNetworkName": "lan", "policy": {"enforced": false, "where": "None",
     "reason": "TypeNotCovered", "message": "use VXLAN"}},
    {"name": "net3", "podNetworkName": "red"}, {"name": "net4", "podNetworkName": "free"}]}])");
  all.policies = json::parse(R"([
    {"metadata": {"name": "in", "namespace": "shop"}, "spec": {"podNetworkNames": ["blue", "red"],
     "podSelector": {"matchLabels": {"app": "web"}}}},
    {"metadata": {"name": "out", "namespace": "shop"}, "spec": {"podNetworkNames": ["blue"],
     "podSelector": {}, "policyTypes": ["Egress"]}},
    {"metadata": {"name": "db", "namespace": "shop"}, "spec": {"podNetworkNames": ["free"],
     "podSelector": {"matchLabels": {"app": "db"}}}}])");
  const auto told = render(traceTable(all), Format::Table, Colour::Never);
  EXPECT_THAT(told, ::testing::ContainsRegex(
                        "policy +net1 held +Enforced; selected by in \\(ingress\\), out "
                        "\\(egress\\)"));
  EXPECT_THAT(told, ::testing::ContainsRegex("policy +net2 not held +TypeNotCovered: use VXLAN; "
                                             "selected by none: its network's default"));
  EXPECT_THAT(told, ::testing::ContainsRegex("policy +net3 not reported +selected by in "
                                             "\\(ingress\\); its node hasn't said"));
  EXPECT_EQ(told.find("net4 "), std::string::npos) << told;
}

TEST(Trace, WhatOnesRightsHideIsSaidToBeHidden) {
  Traces all;
  all.pod = json::parse(R"({"metadata": {"name": "web-0", "namespace": "shop"}})");
  all.events = json::array();
  all.nodeSets = json::array();
  all.sets = json::parse(R"([{"interfaces": [{"name": "net1", "podNetworkName": "blue",
    "policy": {"enforced": true, "where": "Node", "reason": "Enforced"}},
    {"name": "net2", "podNetworkName": "red"}]}])");
  all.clusterPolicies = nullptr;
  const auto told = [&] { return render(traceTable(all), Format::Table, Colour::Never); };
  EXPECT_THAT(told(), ::testing::ContainsRegex("policy +net1 held +Enforced; maybe selected by "
                                               "ClusterPodNetworkPolicies: you may not list them"));
  EXPECT_THAT(told(), ::testing::ContainsRegex("policy +net2 not isolated +as far as its node has "
                                               "said; maybe selected by Cluster"));
  EXPECT_THAT(told(), ::testing::Not(::testing::HasSubstr("selected by none")));
  all.policies = nullptr;
  EXPECT_THAT(told(), ::testing::HasSubstr("PodNetworkPolicies and ClusterPodNetworkPolicies"));
}

TEST(Trace, WhichPoliciesOfTheClusterAnInterfaceIsHeldTo) {
  Traces all;
  all.pod = json::parse(R"({"metadata": {"name": "web-0", "namespace": "shop",
    "labels": {"app": "web"}}})");
  all.events = json::array();
  all.nodeSets = json::array();
  all.policies = json::array();
  all.sets = json::parse(R"([{"interfaces": [{"name": "net1", "podNetworkName": "blue",
    "policy": {"enforced": true, "where": "Node", "reason": "Enforced"}}]}])");
  all.clusterPolicies = json::parse(R"([
    {"metadata": {"name": "walls"}, "spec": {"podNetworkNames": ["blue"], "tier": "Baseline",
     "priority": 3, "subject": {"namespaces": {}}}},
    {"metadata": {"name": "guard"}, "spec": {"podNetworkNames": ["blue"], "tier": "Admin",
     "priority": 7, "subject": {"pods": {"namespaceSelector": {"matchLabels": {"team": "a"}},
     "podSelector": {"matchLabels": {"app": "web"}}}}}},
    {"metadata": {"name": "others"}, "spec": {"podNetworkNames": ["blue"], "tier": "Admin",
     "priority": 1, "subject": {"namespaces": {"matchLabels": {"team": "b"}}}}},
    {"metadata": {"name": "elsewhere"}, "spec": {"podNetworkNames": ["red"], "tier": "Admin",
     "priority": 1, "subject": {"namespaces": {}}}}])");
  const auto told = [&] { return render(traceTable(all), Format::Table, Colour::Never); };
  EXPECT_THAT(told(), ::testing::HasSubstr("you may not read its Namespace"));
  all.nameSpace = json::parse(R"({"metadata": {"name": "shop", "labels": {"team": "a"}}})");
  EXPECT_THAT(told(), ::testing::HasSubstr("selected by ClusterPodNetworkPolicy guard (Admin 7), "
                                           "ClusterPodNetworkPolicy walls (Baseline 3)\n"));
}

Topology someTopology(int nodes, int pods, const json& services = json::array()) {
  json networks = json::parse(R"([
    {"metadata": {"name": "blue"}, "spec": {"type": "VXLAN", "ipam": {"subnets": [{"cidr":
     "10.20.0.0/16"}]}}, "status": {"vni": 7001, "conditions": [{"type": "Ready", "status": "True"}]}},
    {"metadata": {"name": "lan"}, "spec": {"type": "Macvlan", "ipam": {"subnets": [{"cidr":
     "192.168.73.0/24"}]}}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
    {"metadata": {"name": "storage"}, "spec": {"type": "Bridge", "ipam": {"subnets": [{"cidr":
     "10.30.0.0/24"}]}}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}}])");
  json nodeSets = json::array();
  json sets = json::array();
  for (int node = 0; node < nodes; ++node) {
    const std::string name = "node-" + std::to_string(node);
    json reported = json::array();
    for (const char* network : {"blue", "lan", "storage"}) {
      if (node % 3 == 2 && std::string(network) == "lan") continue;
      reported.push_back(
          {{"podNetworkName", network},
           {"conditions",
            {{{"type", "Ready"},
              {"status", std::string(network) == "storage" && node == 1 ? "False" : "True"}}}}});
    }
    nodeSets.push_back({{"metadata", {{"name", name}}}, {"status", {{"networks", reported}}}});
  }
  for (int pod = 0; pod < pods; ++pod) {
    const int node = pod % nodes;
    json interfaces = json::array();
    const auto add = [&](const char* network, const std::string& address) {
      interfaces.push_back(
          {{"name", "net" + std::to_string(interfaces.size() + 1)},
           {"podNetworkName", network},
           {"ips", {{{"address", address}}}},
           {"conditions", {{{"type", "Ready"}, {"status", pod % 23 == 0 ? "False" : "True"}}}}});
    };
    if (pod % 4 != 3) add("blue", "10.20.0." + std::to_string(pod % 250) + "/16");
    if (pod % 3 == 0 && node % 3 != 2)
      add("lan", "192.168.73." + std::to_string(pod % 250) + "/24");
    if (pod % 4 == 3 || pod % 5 == 0)
      add("storage", "10.30.0." + std::to_string(pod % 250) + "/24");
    const std::string names[] = {"web-5d4f9c7b8-", "worker-", "cache-7c9d8b6f5-"};
    sets.push_back({{"metadata", {{"namespace", "shop"}}},
                    {"pod", {{"name", names[pod % 3] + std::to_string(10000 + pod)}}},
                    {"nodeName", "node-" + std::to_string(node)},
                    {"interfaces", interfaces}});
  }
  return makeTopology(networks, nodeSets, sets, services);
}

TEST(TopologyText, ATreeANetwork) {
  EXPECT_EQ(drawText(someTopology(3, 7), 2, Colour::Never),
            "blue  VXLAN 7001  10.20.0.0/16  Ready  3 nodes, 6 pods\n"
            "├─ node-0  True     2 pods: shop/web-5d4f9c7b8-10000, shop/web-5d4f9c7b8-10006\n"
            "├─ node-1  True     2 pods: shop/worker-10001, shop/worker-10004\n"
            "└─ node-2  True     2 pods: shop/cache-7c9d8b6f5-10002, shop/cache-7c9d8b6f5-10005\n"
            "\n"
            "lan  Macvlan  192.168.73.0/24  Ready  2 nodes, 3 pods\n"
            "├─ node-0  True     3 pods: shop/web-5d4f9c7b8-10000, shop/web-5d4f9c7b8-10003, and 1 "
            "more\n"
            "└─ node-1  True     0 pods\n"
            "\n"
            "storage  Bridge  10.30.0.0/24  Ready=False  3 nodes, 3 pods\n"
            "├─ node-0  True     2 pods: shop/web-5d4f9c7b8-10000, shop/web-5d4f9c7b8-10003\n"
            "├─ node-1  False    0 pods\n"
            "└─ node-2  True     1 pod: shop/cache-7c9d8b6f5-10005\n");
}

json someServices(int count) {
  json services = json::parse(R"([
    {"metadata": {"namespace": "shop", "name": "web-blue"}, "spec": {"podNetworkName": "blue",
     "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}, "status": {"clusterIPs":
     ["10.96.0.7"], "endpoints": {"ready": 2, "serving": 3, "terminating": 1}, "conditions":
     [{"type": "Ready", "status": "True"}]}},
    {"metadata": {"namespace": "shop", "name": "db"}, "spec": {"podNetworkName": "storage"},
     "status": {"clusterIPs": ["None"], "endpoints": {"ready": 0, "serving": 0, "terminating": 0},
     "conditions": [{"type": "Ready", "status": "True"}]}},
    {"metadata": {"namespace": "shop", "name": "new"}, "spec": {"podNetworkName": "blue"}},
    {"metadata": {"namespace": "shop", "name": "outside"}, "spec": {"podNetworkName": "blue",
     "type": "ExternalName", "externalName": "db.example.com"}},
    {"metadata": {"namespace": "shop", "name": "gone"}, "spec": {"podNetworkName": "red"}}])");
  for (int i = 0; i < count; ++i) {
    json one = services[0];
    one["metadata"]["name"] = "service-" + std::to_string(10 + i);
    services.push_back(one);
  }
  return services;
}

TEST(TopologyText, ServicesOfEachNetwork) {
  EXPECT_EQ(drawText(someTopology(1, 1, someServices(3)), 2, Colour::Never),
            "blue  VXLAN 7001  10.20.0.0/16  Ready  1 node, 1 pod, 5 services\n"
            "├─ node-0  True     1 pod: shop/web-5d4f9c7b8-10000\n"
            "└─ services: shop/new - -, shop/service-10 10.96.0.7 2/3/1, and 3 more\n"
            "\n"
            "lan  Macvlan  192.168.73.0/24  Ready  1 node, 1 pod\n"
            "└─ node-0  True     1 pod: shop/web-5d4f9c7b8-10000\n"
            "\n"
            "storage  Bridge  10.30.0.0/24  Ready=False  1 node, 1 pod, 1 service\n"
            "├─ node-0  True     1 pod: shop/web-5d4f9c7b8-10000\n"
            "└─ services: shop/db headless 0/0/0\n");
}

TEST(TopologyText, WaysInFromOutside) {
  json services = json::array({someServices(0)[0]});
  services[0]["status"]["nodePorts"] = {30080, 0};
  services[0]["status"]["loadBalancer"]["ingress"] = {{{"ip", "192.0.2.10"}},
                                                      {{"hostname", "lb.example.com"}}};
  const auto topology = someTopology(1, 1, services);
  EXPECT_NE(drawText(topology, 2, Colour::Never)
                .find("└─ services: shop/web-blue 10.96.0.7 (192.0.2.10, lb.example.com, node port "
                      "30080) 2/3/1\n"),
            std::string::npos)
      << drawText(topology, 2, Colour::Never);
  EXPECT_NE(drawSvg(topology).find("from outside: 192.0.2.10, lb.example.com, node port 30080"),
            std::string::npos);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST(TopologySvg, ShowsEachPodOnceWithADotANetwork) {
  const auto topology = someTopology(10, 300);
  const auto svg = drawSvg(topology);
  if (const char* file = std::getenv("MULTINET_TOPOLOGY_SVG")) {  // NOLINT(concurrency-mt-unsafe)
    std::ofstream(file) << svg;
  }
  std::size_t dots = 0;
  for (const auto& node : topology.nodes) {
    for (const auto& pod : node.pods) dots += pod.interfaces.size();
  }
  EXPECT_EQ(count(svg, "<circle"), dots);
  EXPECT_EQ(count(svg, "<title>"), 300U);
  EXPECT_EQ(count(svg, "<rect"), 11U);
}

TEST(TopologySvg, ManyPodsOfANodeAreShownByWorkload) {
  const auto svg = drawSvg(someTopology(1, 300));
  EXPECT_LT(count(svg, "<title>"), 60U);
  EXPECT_NE(svg.find(" × "), std::string::npos);
}

TEST(TopologySvg, ServicesHangFromTheirNetworksRail) {
  const auto plain = drawSvg(someTopology(3, 12));
  const auto svg = drawSvg(someTopology(3, 12, someServices(5)));
  if (const char* file = std::getenv("MULTINET_SERVICES_SVG")) {  // NOLINT(concurrency-mt-unsafe)
    std::ofstream(file) << svg;
  }
  EXPECT_EQ(count(svg, "rx=\"8\""), 8U)
      << "not the outside name, nor that of a network that is gone";
  EXPECT_EQ(count(svg, "rx=\"8\" fill=\"#ffffff\" stroke=\"#009E73\" stroke-dasharray"), 1U)
      << "db has none ready";
  EXPECT_EQ(count(svg, "shop/web-blue 10.96.0.7 (2 ready)"), 1U);
  EXPECT_EQ(count(svg, "2/3/1 ready/serving/terminating"), 6U);
  EXPECT_EQ(count(svg, "<circle"), count(plain, "<circle") + 8);
  EXPECT_EQ(count(drawSvg(someTopology(3, 12, someServices(200))), " more</text>"), 1U);
}

TEST(TopologySvg, OddNamesDontBreakIt) {
  const auto odd = json::parse(R"([{"metadata": {"name": "<a>&\""}}, {}, null, 3])");
  const auto svg = drawSvg(makeTopology(odd, odd, odd, odd));
  EXPECT_NE(svg.find("&lt;a&gt;&amp;&quot;"), std::string::npos) << svg;
  EXPECT_EQ(drawSvg({}).find("<svg"), 0U);
}

}  // namespace
}  // namespace multinet::cli
