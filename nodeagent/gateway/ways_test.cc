#include "nodeagent/gateway/ways.h"

#include <gmock/gmock.h>

#include "lib/api/service.h"

namespace multinet::agent::gateway {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const Place kPlace{NodeName("n1"), ""};

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}
IpPrefix range(const std::string& text) {
  return IpPrefix::parse(text).value();
}

k8s::Service serviceOf(const std::string& type) {
  k8s::Service service;
  service.metadata.nameSpace = "shop";
  service.metadata.name = "web";
  service.spec.type = type;
  service.spec.clusterIPs = {"10.96.0.1"};
  k8s::ServicePort port;
  port.name = "http";
  port.protocol = "TCP";
  port.port = 80;
  service.spec.ports = {port};
  return service;
}

/// The first so many are on node n1.
Slices sliceOf(unsigned endpoints, unsigned here = 0) {
  auto slice = std::make_shared<k8s::EndpointSlice>();
  slice->metadata.labels = {{api::kManagedByLabel, api::kServiceManager}};
  slice->addressType = "IPv4";
  slice->ports = {{"http", "TCP", 8080, ""}};
  for (unsigned i = 0; i < endpoints; ++i) {
    k8s::Endpoint endpoint;
    endpoint.addresses = {range("10.20.0.0/16").at(i + 1).str()};
    endpoint.conditions = {true, true, false};
    endpoint.nodeName = i < here ? "n1" : "n2";
    slice->endpoints.push_back(endpoint);
  }
  return {slice};
}

TEST(Ways, AClusterIPOfTheNetworkAloneHasNone) {
  EXPECT_THAT(waysOf(serviceOf("ClusterIP"), sliceOf(2), kPlace), IsEmpty());
  EXPECT_FALSE(isOpen(serviceOf("ClusterIP")));
  EXPECT_THAT(addressesOf(serviceOf("ClusterIP")), ElementsAre(ip("10.96.0.1")));
  EXPECT_THAT(addressesOf(serviceOf("ExternalName")), IsEmpty());
}

TEST(Ways, AnAffinityIsTheServices) {
  auto service = serviceOf("NodePort");
  service.spec.ports[0].nodePort = 30080;
  EXPECT_EQ(waysOf(service, sliceOf(2), kPlace).at(0).affinity, 0U);
  service.spec.sessionAffinity = "ClientIP";
  service.spec.sessionAffinityConfig = k8s::SessionAffinityConfig{k8s::ClientIpConfig{60}};
  EXPECT_EQ(waysOf(service, sliceOf(2), kPlace).at(0).affinity, 60U);
}

TEST(Ways, ANodePortIsAtAnyAddressOfTheNode) {
  auto service = serviceOf("NodePort");
  service.spec.ports[0].nodePort = 30080;
  const auto ways = waysOf(service, sliceOf(2), kPlace);
  ASSERT_THAT(ways, SizeIs(1));
  EXPECT_THAT(ways[0].entrances, ElementsAre(Entrance{std::nullopt, 30080}));
  EXPECT_THAT(ways[0].targets,
              ElementsAre(Target{ip("10.20.0.1"), 8080}, Target{ip("10.20.0.2"), 8080}));
  EXPECT_TRUE(isOpenEverywhere(service));
}

TEST(Ways, OfALocalPolicyKnowAllEndpointsOfTheNode) {
  auto service = serviceOf("NodePort");
  service.spec.ports[0].nodePort = 30080;
  EXPECT_THAT(waysOf(service, sliceOf(3, 2), kPlace).at(0).here, IsEmpty());
  service.spec.externalTrafficPolicy = "Local";
  auto slice = std::make_shared<k8s::EndpointSlice>(*sliceOf(3, 2).at(0));
  slice->endpoints[1].conditions = {false, true, true};
  const auto ways = waysOf(service, {slice}, kPlace);
  EXPECT_THAT(ways.at(0).targets, ElementsAre(Target{ip("10.20.0.1"), 8080}));
  EXPECT_THAT(ways.at(0).here,
              ElementsAre(Target{ip("10.20.0.1"), 8080}, Target{ip("10.20.0.2"), 8080}))
      << "one that ends, too";
}

policy::AddressRange rangeOf(const std::string& text) {
  return {range(text).first(), range(text).last()};
}

TEST(Clients, AreThoseWhomAllIsolatedEndpointsAdmit) {
  Way way{"web"};
  way.here = {{ip("10.20.0.1"), 8080}, {ip("10.20.0.2"), 8080}, {ip("10.20.0.3"), 8080}};
  const policing::Admission wide{std::nullopt, 0, 0, rangeOf("192.0.2.0/24")};
  const policing::Admission port{api::Protocol::TCP, 8000, 8080, rangeOf("192.0.2.0/25")};
  const policing::Admission other{api::Protocol::TCP, 80, 80, rangeOf("203.0.113.0/24")};
  const policing::Admission datagrams{api::Protocol::UDP, 1, 65535, rangeOf("203.0.113.0/24")};
  const policing::Admission six{std::nullopt, 0, 0, rangeOf("2001:db8::/32")};
  EXPECT_THAT(clientsOf(way, {}), IsEmpty()) << "nobody is isolated";
  EXPECT_THAT(clientsOf(way, {{ip("10.20.0.1"), {wide, other, datagrams, six}}}),
              ElementsAre(rangeOf("192.0.2.0/24")));
  EXPECT_THAT(clientsOf(way, {{ip("10.20.0.1"), {wide}}, {ip("10.20.0.2"), {port, other}}}),
              ElementsAre(rangeOf("192.0.2.0/25")));
  EXPECT_THAT(clientsOf(way, {{ip("10.20.0.1"), {wide}}, {ip("10.20.0.3"), {}}}), IsEmpty());
  EXPECT_THAT(clientsOf(way, {{ip("10.20.0.9"), {wide}}}), IsEmpty()) << "of another service";
}

TEST(Ways, ALoadBalancersAddressesAreWhereFramesArriveWithThem) {
  auto service = serviceOf("LoadBalancer");
  service.spec.loadBalancerSourceRanges = {" 10.0.0.7/8 ", "10.1.0.0/16", "fd00::/8", "nonsense"};
  k8s::ServiceStatus status;
  status.loadBalancer.ingress = {{"192.0.2.1", "", "VIP", {}},
                                 {"192.0.2.2", "", "Proxy", {}},
                                 {"", "lb.example", "", {}},
                                 {"fd00::9", "", "", {}}};
  service.status = status;
  const auto ways = waysOf(service, sliceOf(1), kPlace);
  ASSERT_THAT(ways, SizeIs(1));
  EXPECT_THAT(ways[0].entrances, ElementsAre(Entrance{ip("192.0.2.1"), 80, {range("10.0.0.0/8")}}))
      << "and no NodePort, which it needn't have";
  service.spec.loadBalancerSourceRanges = {"10.0.0.0/8", "0.0.0.0/0"};
  EXPECT_THAT(waysOf(service, sliceOf(1), kPlace)[0].entrances[0].sources, IsEmpty());
  service.spec.loadBalancerSourceRanges = {"fd00::/8"};
  EXPECT_THAT(waysOf(service, sliceOf(1), kPlace)[0].entrances[0].sources,
              ElementsAre(range("0.0.0.0/32")))
      << "nobody of IPv4";
}

TEST(Ways, LocalIsOfThisNodesEndpointsAndForNoOther) {
  auto service = serviceOf("NodePort");
  service.spec.ports[0].nodePort = 30080;
  service.spec.externalTrafficPolicy = "Local";
  EXPECT_THAT(waysOf(service, sliceOf(3, 1), kPlace)[0].targets,
              ElementsAre(Target{ip("10.20.0.1"), 8080}));
  EXPECT_THAT(waysOf(service, sliceOf(3), kPlace)[0].targets, IsEmpty());
  EXPECT_TRUE(isOpen(service));
  EXPECT_FALSE(isOpenEverywhere(service));
}

TEST(Ways, OnesThatEndServeOnWhileLoadBalancersAreToldToGoElsewhere) {
  auto service = serviceOf("LoadBalancer");
  service.spec.externalTrafficPolicy = "Local";
  EXPECT_EQ(readyHere(service, sliceOf(3, 2), kPlace), 2U) << "before there is a way in";
  service.spec.ports[0].nodePort = 30080;
  auto slices = sliceOf(3, 2);
  auto ending = std::make_shared<k8s::EndpointSlice>(*slices.front());
  for (auto& endpoint : ending->endpoints) endpoint.conditions = {false, true, true};
  EXPECT_THAT(waysOf(service, {ending}, kPlace)[0].targets, SizeIs(2));
  EXPECT_EQ(readyHere(service, {ending}, kPlace), 0U);
  EXPECT_EQ(readyHere(service, slices, {NodeName("n3"), ""}), 0U);
}

TEST(Ways, APodOfTwoFamiliesAndPortsIsOneThatIsReady) {
  auto service = serviceOf("NodePort");
  service.spec.clusterIPs = {"10.96.0.1", "fd96::1"};
  auto more = service.spec.ports[0];
  more.name = "admin";
  service.spec.ports.push_back(more);
  auto four = std::make_shared<k8s::EndpointSlice>(*sliceOf(1, 1).front());
  four->ports = {{"http", "TCP", 8080, ""}, {"admin", "TCP", 8081, ""}};
  four->endpoints[0].targetRef = k8s::ObjectReference{"Pod", "shop", "web-0", "uid-web-0"};
  auto six = std::make_shared<k8s::EndpointSlice>(*four);
  six->addressType = "IPv6";
  six->endpoints[0].addresses = {"fd20::1"};
  EXPECT_EQ(readyHere(service, {four, six}, kPlace), 1U);
  four->ports = six->ports = {};
  EXPECT_EQ(readyHere(service, {four, six}, kPlace), 0U) << "no port of theirs by these names";
}

TEST(Ways, TheClusterReachesAClusterIPByItsOwnPolicy) {
  auto service = serviceOf("NodePort");
  service.metadata.labels = {{api::kReachLabel, "Cluster"}};
  service.spec.ports[0].nodePort = 30080;
  service.spec.externalTrafficPolicy = "Local";
  const auto ways = waysOf(service, sliceOf(2), kPlace);
  ASSERT_THAT(ways, SizeIs(2));
  EXPECT_THAT(ways[0].targets, IsEmpty());
  EXPECT_THAT(ways[1].entrances, ElementsAre(Entrance{ip("10.96.0.1"), 80}));
  EXPECT_THAT(ways[1].targets, SizeIs(2));
  EXPECT_NE(ways[0].name, ways[1].name);
  EXPECT_TRUE(isOpenEverywhere(service));
}

TEST(Ways, OfManyEndpointsEachNodeTakesItsOwn) {
  auto service = serviceOf("NodePort");
  service.spec.ports[0].nodePort = 30080;
  const auto mine = waysOf(service, sliceOf(1000), kPlace)[0].targets;
  const auto others = waysOf(service, sliceOf(1000), {NodeName("n2"), ""})[0].targets;
  EXPECT_THAT(mine, SizeIs(kMostTargets));
  EXPECT_TRUE(mine == waysOf(service, sliceOf(1000), kPlace)[0].targets);
  EXPECT_TRUE(mine != others);
  // One that goes takes only its own place.
  const auto less = waysOf(service, sliceOf(999), kPlace)[0].targets;
  std::vector<Target> same;
  std::ranges::set_intersection(mine, less, std::back_inserter(same));
  EXPECT_GE(same.size(), kMostTargets - 1);
}

TEST(Ways, WhatIsNoPortHasNone) {
  auto service = serviceOf("NodePort");
  service.spec.ports[0].nodePort = 30080;
  service.spec.ports[0].protocol = "SCTP";
  EXPECT_THAT(waysOf(service, sliceOf(1), kPlace), IsEmpty());
  service = serviceOf("NodePort");
  service.spec.ports[0].nodePort = 70000;
  EXPECT_THAT(waysOf(service, sliceOf(1), kPlace), IsEmpty());
  service.spec.clusterIPs = {"None"};
  EXPECT_THAT(waysOf(service, sliceOf(1), kPlace), IsEmpty());
}

}  // namespace
}  // namespace multinet::agent::gateway
