#include "controller/services/endpoints.h"

#include <gmock/gmock.h>

#include "lib/api/service.h"

namespace multinet::controller {
namespace {

using api::AddressFamily;
using k8s::ConditionStatus;

const std::vector kBoth{AddressFamily::IPv4, AddressFamily::IPv6};

struct OnePod {
  k8s::Pod pod;
  api::PodInterface interface;
  api::PodNetworkServiceSpec service;
  k8s::Node node;
  k8s::Service standing;

  OnePod() {
    standing.metadata.name = "web";
    standing.metadata.uid = "s1";
    pod.metadata.nameSpace = "shop";
    pod.metadata.name = "web-0";
    pod.metadata.uid = "u0";
    pod.spec.nodeName = "a";
    pod.status.phase = "Running";
    podReady(ConditionStatus::True);
    interface.ips = {{"10.20.0.5/16", "", AddressFamily::IPv4},
                     {"fd00:20::5/64", "", AddressFamily::IPv6}};
    interfaceReady(ConditionStatus::True);
    service.ports = {{"http", api::Protocol::TCP, 80, {0, "web"}, "http"}};
    pod.spec.containers = {{{{"web", 8080, "TCP"}}, ""}};
  }
  void podReady(ConditionStatus status) {
    pod.status.conditions.items = {{"Ready", status, 0, std::nullopt, "", ""}};
  }
  void interfaceReady(ConditionStatus status) {
    interface.conditions.items = {{"Ready", status, 0, std::nullopt, "", ""}};
  }
  std::vector<WantedEndpoint> made(const std::vector<AddressFamily>& families = kBoth) const {
    return endpointsOf(service, families, {{&pod, &interface, &node}}, standing);
  }
  k8s::EndpointConditions conditions() const { return made().at(0).endpoint.conditions; }
};

TEST(Endpoints, HaveTheAddressesOfTheNetworkInEachFamily) {
  const OnePod one;
  const auto made = one.made();
  ASSERT_EQ(made.size(), 2U);
  EXPECT_EQ(made[0].addressType, "IPv4");
  EXPECT_EQ(made[0].endpoint.addresses, std::vector<std::string>{"10.20.0.5"});
  EXPECT_EQ(made[1].addressType, "IPv6");
  EXPECT_EQ(made[1].endpoint.addresses, std::vector<std::string>{"fd00:20::5"});
  EXPECT_EQ(made[0].endpoint.nodeName, "a");
  EXPECT_EQ(made[0].endpoint.targetRef, (k8s::ObjectReference{"Pod", "shop", "web-0", "u0"}));
  EXPECT_EQ(made[0].ports, (std::vector<k8s::EndpointPort>{{"http", "TCP", 8080, "http"}}));
  EXPECT_EQ(one.made({AddressFamily::IPv6}).size(), 1U);
}

TEST(Endpoints, OfAPodWithoutAnAddressOfAFamilyHaveTheOther) {
  OnePod one;
  one.interface.ips.erase(one.interface.ips.begin());
  const auto made = one.made();
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].addressType, "IPv6");
}

/// As core's own functions say it of a pod, with the interface beside it.
TEST(Endpoints, AreReadyServingAndTerminatingAsTheApiSays) {
  struct Case {
    ConditionStatus pod;
    ConditionStatus interface;
    bool deleting;
    bool notReadyToo;
    k8s::EndpointConditions expected;
  };
  const auto yes = ConditionStatus::True;
  const auto no = ConditionStatus::False;
  const auto unknown = ConditionStatus::Unknown;
  const std::vector<Case> cases{
      {yes, yes, false, false, {true, true, false}},
      {no, yes, false, false, {false, false, false}},
      {yes, no, false, false, {false, false, false}},
      {yes, unknown, false, false, {false, false, false}},
      {yes, yes, true, false, {false, true, true}},
      {no, yes, true, false, {false, false, true}},
      {no, no, false, true, {true, false, false}},
      {yes, yes, true, true, {true, true, true}},
  };
  for (const auto& one : cases) {
    OnePod pod;
    pod.podReady(one.pod);
    pod.interfaceReady(one.interface);
    if (one.deleting) pod.pod.metadata.deletionTimestamp = WallTime{};
    pod.service.publishNotReadyAddresses = one.notReadyToo;
    EXPECT_EQ(pod.conditions(), one.expected) << "case " << (&one - cases.data());
  }
}

/// The kubelet ends it by itself: the API knows of no deletion.
TEST(Endpoints, OfAPodWhoseNodeSaysThatItDrainsAreTerminating) {
  OnePod one;
  auto& conditions = one.interface.conditions.items;
  conditions.push_back({api::kDraining, ConditionStatus::True, 0, std::nullopt, "", ""});
  EXPECT_EQ(one.conditions(), (k8s::EndpointConditions{false, true, true}));
  one.podReady(ConditionStatus::False);
  EXPECT_EQ(one.conditions(), (k8s::EndpointConditions{false, false, true}));
  one.podReady(ConditionStatus::True);
  conditions.back().status = ConditionStatus::False;
  EXPECT_EQ(one.conditions(), (k8s::EndpointConditions{true, true, false}));
}

/// A pod that is Ready and doesn't answer on the network leaves the service that asks for it there.
TEST(Endpoints, WithAHealthCheckServeOnceTheirNodeSaysThatTheyAreHealthy) {
  OnePod one;
  const auto said = [&](std::vector<api::InterfaceHealth> health) {
    one.interface.health = std::move(health);
    return one.conditions();
  };
  const k8s::EndpointConditions in{true, true, false};
  const k8s::EndpointConditions out{false, false, false};
  EXPECT_EQ(said({{"web", "s1", false, "Refused", ""}}), in) << "a service without a check";
  one.service.healthCheck = api::HealthCheck{{}, api::TcpSocketCheck{{80, ""}}, {}, {}, {}, {}, {}};
  EXPECT_EQ(said({}), out) << "nobody has asked it yet";
  EXPECT_EQ(said({{"web", "s1", true, "Answered", ""}}), in);
  EXPECT_EQ(said({{"web", "s1", false, "Refused", ""}}), out);
  EXPECT_EQ(said({{"web", "s0", true, "Answered", ""}}), out) << "one that was made before";
  EXPECT_EQ(said({{"db", "s1", true, "Answered", ""}}), out) << "another's";
  EXPECT_EQ(said({{"db", "s2", false, "Refused", ""}, {"web", "s1", true, "Answered", ""}}), in);
  one.podReady(ConditionStatus::False);
  EXPECT_EQ(one.conditions(), out) << "and the pod says no";
  one.podReady(ConditionStatus::True);
  one.pod.metadata.deletionTimestamp = WallTime{};
  EXPECT_EQ(one.conditions(), (k8s::EndpointConditions{false, true, true}));
  one.service.publishNotReadyAddresses = true;
  EXPECT_EQ(said({}), (k8s::EndpointConditions{true, false, true}));
}

TEST(Endpoints, AreInTheZoneOfTheirNode) {
  OnePod one;
  EXPECT_EQ(*one.made()[0].endpoint.zone, "");
  one.node.metadata.labels = {{"topology.kubernetes.io/zone", "east"}};
  EXPECT_EQ(*one.made()[0].endpoint.zone, "east");
  EXPECT_EQ(
      endpointsOf(one.service, kBoth, {{&one.pod, &one.interface, nullptr}}, one.standing).size(),
      2U)
      << "a node that isn't there";
}

/// As core's endpoint slice controller hints them (k8s.io/endpointslice/trafficdist, 1.34).
TEST(Endpoints, AreHintedAsTheServiceSays) {
  OnePod one;
  one.node.metadata.labels = {{"topology.kubernetes.io/zone", "east"}};
  const auto hints = [&one](const char* distribution) {
    one.standing.spec.trafficDistribution = std::string(distribution);
    return *one.made()[0].endpoint.hints;
  };
  const k8s::EndpointHints none;
  const k8s::EndpointHints zone{{{"east"}}, {}};
  const k8s::EndpointHints both{{{"east"}}, {{"a"}}};
  EXPECT_EQ(hints(""), none);
  EXPECT_EQ(hints("Somehow"), none);
  EXPECT_EQ(hints("PreferClose"), zone);
  EXPECT_EQ(hints("PreferSameZone"), zone);
  EXPECT_EQ(hints("PreferSameNode"), both);
  one.node.metadata.labels = {};
  EXPECT_EQ(hints("PreferSameZone"), none);
  EXPECT_EQ(hints("PreferSameNode"), (k8s::EndpointHints{{}, {{"a"}}}));
  one.podReady(ConditionStatus::False);
  EXPECT_EQ(hints("PreferSameNode"), none) << "it gets no connections";
  one.service.publishNotReadyAddresses = true;
  EXPECT_EQ(hints("PreferSameNode"), (k8s::EndpointHints{{}, {{"a"}}}));
}

TEST(Endpoints, OfFinishedPodsAreNone) {
  for (const char* phase : {"Succeeded", "Failed"}) {
    OnePod one;
    one.pod.status.phase = phase;
    one.service.publishNotReadyAddresses = true;
    EXPECT_THAT(one.made(), ::testing::IsEmpty()) << phase;
  }
}

TEST(Endpoints, FindPortsByTheirNamesInContainersAndSidecars) {
  OnePod one;
  const auto number = [&] { return one.made().at(0).ports.at(0).port; };
  EXPECT_EQ(number(), 8080);
  one.pod.spec.containers[0].ports[0].protocol = "UDP";
  EXPECT_THAT(one.made().at(0).ports, ::testing::IsEmpty()) << "of another protocol";
  one.pod.spec.initContainers = {{{{"web", 1, "TCP"}}, ""}, {{{"web", 9090, "TCP"}}, "Always"}};
  EXPECT_EQ(number(), 9090) << "an init container that ended serves nothing";
  one.service.ports[0].targetPort = {81, ""};
  EXPECT_EQ(number(), 81);
  one.service.ports[0].targetPort = {};
  EXPECT_EQ(number(), 80) << "as the service's own";
}

TEST(Endpoints, HaveTheHostnameOfTheirPodIfItHasOne) {
  OnePod one;
  EXPECT_EQ(one.made()[0].endpoint.hostname, "");
  one.pod.spec.hostname = "db-0";
  EXPECT_EQ(one.made()[0].endpoint.hostname, "db-0");
}

}  // namespace
}  // namespace multinet::controller
