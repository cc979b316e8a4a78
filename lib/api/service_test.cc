#include "lib/api/service.h"

#include <gmock/gmock.h>

#include <functional>

#include "lib/api/describe.h"
#include "lib/api/test_objects.h"

namespace multinet::api {
namespace {

using testing::goodCatalog;
using testing::goodService;

std::string all(const Violations& violations) {
  std::string out;
  for (const auto& violation : violations) out += violation.str() + "\n";
  return out;
}

struct Bad {
  const char* name;
  std::function<void(PodNetworkService&)> spoil;
  const char* sentence;
  const char* reason;
};

PodNetworkServicePort& port(PodNetworkService& service) {
  return service.spec.ports.at(0);
}
void twice(PodNetworkService& service, PodNetworkServicePort second) {
  service.spec.ports.push_back(std::move(second));
}

void outside(PodNetworkService& service, const std::string& name) {
  service.spec = PodNetworkServiceSpec();
  service.spec.podNetworkName = "blue";
  service.spec.type = ServiceType::ExternalName;
  service.spec.externalName = name;
}

void affine(PodNetworkService& service, std::optional<std::int32_t> seconds) {
  service.spec.clusterIP.clear();
  service.spec.sessionAffinity = SessionAffinity::ClientIP;
  service.spec.sessionAffinityConfig = SessionAffinityConfig{ClientIpAffinity{seconds}};
}

void expose(PodNetworkService& service, ServiceType type) {
  service.spec.clusterIP.clear();
  service.spec.type = type;
}

const std::vector<Bad> kBad{
    {"a node port of a ClusterIP", [](auto& s) { port(s).nodePort = 30080; },
     "spec.ports[0].nodePort: \"30080\" is for types NodePort and LoadBalancer; leave it out",
     "OnlyWithNodePort"},
    {"a negative node port",
     [](auto& s) {
       expose(s, ServiceType::NodePort);
       port(s).nodePort = -1;
     },
     "spec.ports[0].nodePort: \"-1\" is no port; write one of the cluster's node ports",
     "InvalidPort"},
    {"a node port twice",
     [](auto& s) {
       expose(s, ServiceType::LoadBalancer);
       port(s).nodePort = 30080;
       twice(s, {"b", Protocol::TCP, 81, {}, "", 30080});
     },
     "spec.ports[1].nodePort: \"30080\" stands twice with this protocol; give each", "Duplicate"},
    {"None with NodePort", [](auto& s) { s.spec.type = ServiceType::NodePort; },
     "spec.clusterIP: \"None\" is for type ClusterIP alone; leave it out", "HeadlessNotExposed"},
    {"None with LoadBalancer", [](auto& s) { s.spec.type = ServiceType::LoadBalancer; },
     "spec.clusterIP: \"None\" is for type ClusterIP alone", "HeadlessNotExposed"},
    {"SCTP with NodePort",
     [](auto& s) {
       expose(s, ServiceType::NodePort);
       port(s).protocol = Protocol::SCTP;
     },
     "spec.ports[0].protocol: \"SCTP\" isn't served", "ProtocolNotServed"},
    {"an external policy of a ClusterIP",
     [](auto& s) {
       expose(s, ServiceType::ClusterIP);
       s.spec.externalTrafficPolicy = TrafficPolicy::Cluster;
     },
     "spec.externalTrafficPolicy: \"Cluster\" is for types NodePort and LoadBalancer; leave it out",
     "OnlyWithNodePort"},
    {"a class of a NodePort",
     [](auto& s) {
       expose(s, ServiceType::NodePort);
       s.spec.loadBalancerClass = "example.com/lb";
     },
     "spec.loadBalancerClass: \"example.com/lb\" is for type LoadBalancer alone; leave it out, or "
     "set type: LoadBalancer",
     "OnlyWithLoadBalancer"},
    {"ranges of a ClusterIP", [](auto& s) { s.spec.loadBalancerSourceRanges = {"192.0.2.0/24"}; },
     "spec.loadBalancerSourceRanges: \"192.0.2.0/24\" is for type LoadBalancer alone",
     "OnlyWithLoadBalancer"},
    {"allocation of a NodePort",
     [](auto& s) {
       expose(s, ServiceType::NodePort);
       s.spec.allocateLoadBalancerNodePorts = false;
     },
     "spec.allocateLoadBalancerNodePorts: \"false\" is for type LoadBalancer alone",
     "OnlyWithLoadBalancer"},
    {"a class that is no name",
     [](auto& s) {
       expose(s, ServiceType::LoadBalancer);
       s.spec.loadBalancerClass = "a b";
     },
     "spec.loadBalancerClass: \"a b\" is no class's name; write one such as", "IllegalName"},
    {"a range that is none",
     [](auto& s) {
       expose(s, ServiceType::LoadBalancer);
       s.spec.loadBalancerSourceRanges = {"192.0.2.0/24", "192.0.2.1"};
     },
     "spec.loadBalancerSourceRanges[1]: \"192.0.2.1\" is no prefix of addresses; write one",
     "InvalidPrefix"},
    {"a range with bits of a host",
     [](auto& s) {
       expose(s, ServiceType::LoadBalancer);
       s.spec.loadBalancerSourceRanges = {"192.0.2.1/24"};
     },
     "spec.loadBalancerSourceRanges[0]: \"192.0.2.1/24\" is no prefix", "InvalidPrefix"},
    {"a range twice",
     [](auto& s) {
       expose(s, ServiceType::LoadBalancer);
       s.spec.loadBalancerSourceRanges = {"fd00::/64", "fd00::/64"};
     },
     "spec.loadBalancerSourceRanges[1]: \"fd00::/64\" stands twice", "Duplicate"},
    {"65 ranges",
     [](auto& s) {
       expose(s, ServiceType::LoadBalancer);
       for (int i = 0; i < 65; ++i) {
         s.spec.loadBalancerSourceRanges.push_back("10." + std::to_string(i) + ".0.0/16");
       }
     },
     "spec.loadBalancerSourceRanges: \"65 ranges\" are too many; write at most 64", "TooMany"},
    {"reach of a headless one", [](auto& s) { s.spec.reach = Reach::Cluster; },
     "spec.reach: \"Cluster\" is for a ClusterIP, and names of a headless service lead to the "
     "network itself; leave it out, or clusterIP: None",
     "NotWithHeadless"},
    {"reach of an outside name",
     [](auto& s) {
       outside(s, "db.example.com");
       s.spec.reach = Reach::Cluster;
     },
     "spec.reach: \"Cluster\" says nothing with type ExternalName; leave it out",
     "NotWithExternalName"},
    {"a check of an outside name",
     [](auto& s) {
       outside(s, "db.example.com");
       s.spec.healthCheck = HealthCheck{};
     },
     "spec.healthCheck: says nothing with type ExternalName; leave it out", "NotWithExternalName"},
    {"a check of nothing", [](auto& s) { s.spec.healthCheck = HealthCheck{}; },
     "spec.healthCheck: has none of httpGet, tcpSocket and grpc; write one of them, with a port",
     "OneOf"},
    {"a name with a digit in front", [](auto& s) { s.metadata.name = "9web"; },
     "metadata.name: \"9web\" is no Service's name; write a letter and up to 62 of a-z, 0-9 and "
     "'-', no '-' at the end",
     "IllegalName"},
    {"a name with a dot", [](auto& s) { s.metadata.name = "web.blue"; }, "metadata.name",
     "IllegalName"},
    {"a label of Kubernetes'", [](auto& s) { s.metadata.labels[kServiceProxyLabel] = "mine"; },
     "metadata.labels[service.kubernetes.io/service-proxy-name]: \"mine\"", "ReservedLabel"},
    {"a label of ours", [](auto& s) { s.metadata.labels["multinet.dev/network"] = "red"; },
     "metadata.labels[multinet.dev/network]: \"red\"", "ReservedLabel"},
    {"no network's name", [](auto& s) { s.spec.podNetworkName = "Blue"; },
     "spec.podNetworkName: \"Blue\" is no PodNetwork's name", "IllegalName"},
    {"no selector", [](auto& s) { s.spec.selector.clear(); },
     "spec.selector: would select every pod; write the labels", "SelectorMissing"},
    {"17 pairs",
     [](auto& s) {
       for (int i = 0; i < 16; ++i) s.spec.selector["k" + std::to_string(i)] = "v";
     },
     "spec.selector: \"17 pairs\" are too many; write at most 16", "TooMany"},
    {"no label's value", [](auto& s) { s.spec.selector["app"] = "-web"; },
     "spec.selector[app]: \"-web\" is nothing that a label can be", "InvalidSelector"},
    {"no label's key", [](auto& s) { s.spec.selector["a b"] = "web"; },
     "spec.selector[a b]: \"web\"", "InvalidSelector"},
    {"an address that is none", [](auto& s) { s.spec.clusterIP = "10.1"; },
     "spec.clusterIP: \"10.1\" is neither None nor an address; write one such as 10.96.0.20, None",
     "InvalidAddress"},
    {"an address of another family",
     [](auto& s) {
       s.spec.clusterIP = "10.96.8.1";
       s.spec.ipFamilies = {AddressFamily::IPv6, AddressFamily::IPv4};
     },
     "spec.clusterIP: \"10.96.8.1\" isn't of the first of spec.ipFamilies, IPv6; write an address",
     "FamilyDiffers"},
    {"an annotation of ours", [](auto& s) { s.metadata.annotations["multinet.dev/labels"] = "a"; },
     "metadata.annotations[multinet.dev/labels]: \"a\" is set by Multinet", "ReservedAnnotation"},
    {"one stack of two families",
     [](auto& s) {
       s.spec.ipFamilies = {AddressFamily::IPv4, AddressFamily::IPv6};
       s.spec.ipFamilyPolicy = FamilyPolicy::SingleStack;
     },
     "spec.ipFamilyPolicy: \"SingleStack\" is for one family, and spec.ipFamilies has two",
     "FamilyPolicyDiffers"},
    {"an outside name of a ClusterIP", [](auto& s) { s.spec.externalName = "db.example.com"; },
     "spec.externalName: \"db.example.com\" is for type ExternalName alone",
     "OnlyWithExternalName"},
    {"no outside name", [](auto& s) { outside(s, ""); },
     "spec.externalName: is missing; write one such as db.example.com", "IllegalName"},
    {"a wildcard", [](auto& s) { outside(s, "*.example.com"); },
     "spec.externalName: \"*.example.com\" is no name that DNS could have", "IllegalName"},
    {"an outside name of 254", [](auto& s) { outside(s, std::string(254, 'a')); },
     "spec.externalName: \"aaaa", "IllegalName"},
    {"a selector of an outside name",
     [](auto& s) {
       outside(s, "db.example.com");
       s.spec.selector = {{"app", "web"}};
     },
     "spec.selector: \"1 labels\" says nothing with type ExternalName; leave it out",
     "NotWithExternalName"},
    {"None of an outside name",
     [](auto& s) {
       outside(s, "db.example.com");
       s.spec.clusterIP = "None";
     },
     "spec.clusterIP: \"None\" says nothing with type ExternalName", "NotWithExternalName"},
    {"families of an outside name",
     [](auto& s) {
       outside(s, "db.example.com");
       s.spec.ipFamilies = {AddressFamily::IPv6};
     },
     "spec.ipFamilies: \"IPv6\" says nothing with type ExternalName", "NotWithExternalName"},
    {"a policy of an outside name",
     [](auto& s) {
       outside(s, "db.example.com");
       s.spec.ipFamilyPolicy = FamilyPolicy::SingleStack;
     },
     "spec.ipFamilyPolicy: \"SingleStack\" says nothing with type ExternalName",
     "NotWithExternalName"},
    {"pods that aren't ready of an outside name",
     [](auto& s) {
       outside(s, "db.example.com");
       s.spec.publishNotReadyAddresses = true;
     },
     "spec.publishNotReadyAddresses: \"true\" says nothing with type ExternalName",
     "NotWithExternalName"},
    {"a family twice",
     [](auto& s) { s.spec.ipFamilies = {AddressFamily::IPv4, AddressFamily::IPv4}; },
     "spec.ipFamilies[1]: \"IPv4\" stands twice", "Duplicate"},
    {"no ports and no None",
     [](auto& s) {
       s.spec.clusterIP.clear();
       s.spec.ports.clear();
     },
     "spec.ports: is missing; write at least one port, or set clusterIP: None", "PortsMissing"},
    {"101 ports",
     [](auto& s) {
       for (int i = 0; i < 100; ++i) twice(s, {"p" + std::to_string(i), {}, 1000 + i, {}, ""});
     },
     "spec.ports: \"101 ports\" are too many; write at most 100", "TooMany"},
    {"port 0", [](auto& s) { port(s).port = 0; },
     "spec.ports[0].port: \"0\" is no port; write 1 to", "InvalidPort"},
    {"port 65536", [](auto& s) { port(s).port = 65536; }, "spec.ports[0].port: \"65536\"",
     "InvalidPort"},
    {"two ports, one unnamed", [](auto& s) { twice(s, {"", {}, 81, {}, ""}); },
     "spec.ports[1].name: is missing, and there are others", "NameMissing"},
    {"a port's name", [](auto& s) { port(s).name = "HTTP"; },
     "spec.ports[0].name: \"HTTP\" is no port's name", "IllegalName"},
    {"a port twice", [](auto& s) { twice(s, {"b", {}, 80, {}, ""}); },
     "spec.ports[1].port: \"80\" stands twice with this protocol", "Duplicate"},
    {"a name twice", [](auto& s) { twice(s, {"http", {}, 81, {}, ""}); },
     "spec.ports[1].name: \"http\" stands twice", "Duplicate"},
    {"a target of 16 letters", [](auto& s) { port(s).targetPort.name = "abcdefghijklmnop"; },
     "spec.ports[0].targetPort: \"abcdefghijklmnop\" is no port of a container", "InvalidPort"},
    {"a target without a letter", [](auto& s) { port(s).targetPort.name = "80-80"; },
     "spec.ports[0].targetPort: \"80-80\"", "InvalidPort"},
    {"a target out of range", [](auto& s) { port(s).targetPort.number = 70000; },
     "spec.ports[0].targetPort: \"70000\"", "InvalidPort"},
    {"a protocol of spaces", [](auto& s) { port(s).appProtocol = "a b"; },
     "spec.ports[0].appProtocol: \"a b\" is no protocol's name", "IllegalName"},
    {"SCTP by a ClusterIP",
     [](auto& s) {
       s.spec.clusterIP.clear();
       port(s).protocol = Protocol::SCTP;
     },
     "spec.ports[0].protocol: \"SCTP\" isn't served by a ClusterIP", "ProtocolNotServed"},
    {"an affinity of an outside name",
     [](auto& s) {
       outside(s, "db.example.com");
       s.spec.sessionAffinity = SessionAffinity::ClientIP;
     },
     "spec.sessionAffinity: \"ClientIP\" says nothing with type ExternalName",
     "NotWithExternalName"},
    {"a distribution of an outside name",
     [](auto& s) {
       outside(s, "db.example.com");
       s.spec.trafficDistribution = TrafficDistribution::PreferSameZone;
     },
     "spec.trafficDistribution: \"PreferSameZone\" says nothing with type ExternalName",
     "NotWithExternalName"},
    {"an affinity of a headless one",
     [](auto& s) { s.spec.sessionAffinity = SessionAffinity::ClientIP; },
     "spec.sessionAffinity: \"ClientIP\" is for a ClusterIP, and clients of a headless service "
     "choose for themselves; leave it out",
     "NotWithHeadless"},
    {"more of no affinity",
     [](auto& s) { s.spec.sessionAffinityConfig = SessionAffinityConfig{ClientIpAffinity{5}}; },
     "spec.sessionAffinityConfig: says something of an affinity that there isn't; leave it out, "
     "or set sessionAffinity: ClientIP",
     "OnlyWithClientIP"},
    {"an affinity of no time", [](auto& s) { affine(s, 0); },
     "spec.sessionAffinityConfig.clientIP.timeoutSeconds: \"0\" is no time to keep an endpoint "
     "for; write 1 to 86400",
     "InvalidTimeout"},
    {"an affinity of more than a day", [](auto& s) { affine(s, 86401); },
     "spec.sessionAffinityConfig.clientIP.timeoutSeconds: \"86401\" is no time", "InvalidTimeout"},
    {"a hold of no time", [](auto& s) { s.spec.termination = {TerminationHold::Auto, 0}; },
     "spec.termination.seconds: \"0\" is no time to wait for; write 1 to 30, or hold: Off",
     "InvalidHold"},
    {"a hold of 31 s", [](auto& s) { s.spec.termination = {TerminationHold::Auto, 31}; },
     "spec.termination.seconds: \"31\" is no time", "InvalidHold"},
    {"a time for none", [](auto& s) { s.spec.termination = {TerminationHold::Off, 3}; },
     "spec.termination.seconds: \"3\" says how long, and hold: Off says not at all",
     "Contradiction"},
};

TEST(Service, AGoodOneIsGood) {
  const auto report = validate(goodService("web", "blue"), goodCatalog());
  EXPECT_EQ(all(report.violations), "");
  EXPECT_EQ(all(report.warnings), "");
}

TEST(Service, EachBadInputIsRefusedWithFieldValueAndRemedy) {
  for (const auto& bad : kBad) {
    SCOPED_TRACE(bad.name);
    auto service = goodService("web", "blue");
    bad.spoil(service);
    const auto report = validate(service);
    ASSERT_EQ(report.violations.size(), 1U) << all(report.violations);
    EXPECT_THAT(report.violations[0].str(), ::testing::StartsWith(bad.sentence));
    EXPECT_EQ(report.violations[0].reason, bad.reason);
    EXPECT_FALSE(report.violations[0].remedy.empty());
  }
}

TEST(Service, WhatIsOfOtherObjectsOnlyWarns) {
  auto service = goodService("web", "absent");
  auto report = validate(service, goodCatalog());
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(all(report.warnings),
              ::testing::StartsWith("spec.podNetworkName: \"absent\" names no PodNetwork that is "
                                    "open to namespace \"default\""));
  auto catalog = goodCatalog();
  catalog.networks["blue"].spec.access.namespaces.from = AccessFrom::None;
  service.spec.podNetworkName = "blue";
  EXPECT_THAT(all(validate(service, catalog).warnings), ::testing::HasSubstr("no PodNetwork"));
  catalog = goodCatalog();
  catalog.networks["blue"].spec.ipam.subnets.resize(1);
  service.spec.ipFamilies = {AddressFamily::IPv6};
  EXPECT_THAT(all(validate(service, catalog).warnings),
              ::testing::StartsWith("spec.ipFamilies: \"IPv6\" is no family of network \"blue\""));
}

TEST(Service, AnOutsideNameAsksNothingOfTheNetwork) {
  auto service = goodService("web", "blue");
  for (const auto* name : {"db.example.com", "db.example.com.", "localhost"}) {
    outside(service, name);
    service.spec.podNetworkName = "absent";
    const auto report = validate(service, goodCatalog());
    EXPECT_EQ(all(report.violations) + all(report.warnings), "");
  }
  EXPECT_TRUE(familiesOf(service.spec, testing::goodNetwork()).empty());
  outside(service, "10.1.2.3");
  EXPECT_THAT(all(validate(service, goodCatalog()).warnings),
              ::testing::StartsWith("spec.externalName: \"10.1.2.3\" is an address"));
}

TEST(Service, AnAddressOfOnesChoiceIsOfTheClustersServices) {
  auto service = goodService("web", "blue");
  service.spec.clusterIP = "10.92.8.1";
  EXPECT_EQ(all(validate(service, goodCatalog()).violations), "");
  const std::vector<ClusterRange> ranges{
      {*IpPrefix::parse("10.92.0.0/16"), RangeUse::Pods, ""},
      {*IpPrefix::parse("10.96.0.0/16"), RangeUse::Services, "kubernetes"},
      {*IpPrefix::parse("fd00:96::/112"), RangeUse::Services, "kubernetes"}};
  EXPECT_EQ(all(checkClusterIP(service.spec, ranges).violations),
            "spec.clusterIP: \"10.92.8.1\" is no address of this cluster's Services; write one of "
            "10.96.0.0/16, fd00:96::/112, or leave it out\n");
  service.spec.clusterIP = "10.96.8.1";
  EXPECT_TRUE(checkClusterIP(service.spec, ranges).ok());
  service.spec.clusterIP = "10.92.8.1";
  EXPECT_TRUE(checkClusterIP(service.spec, {ranges[0]}).ok()) << "not known: the server will tell";
  service.spec.clusterIP = "None";
  EXPECT_TRUE(checkClusterIP(service.spec, ranges).ok());
}

TEST(Service, AClusterIPIsNothingToWarnOf) {
  auto service = goodService("web", "blue");
  service.spec.clusterIP.clear();
  const auto report = validate(service, goodCatalog());
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(all(report.warnings), "");
}

TEST(Service, WhatItIsMadeForNeverChanges) {
  const auto before = goodService("web", "blue");
  const auto changed = [&](const std::function<void(PodNetworkService&)>& change) {
    auto after = before;
    change(after);
    return all(validateUpdate(before, after, goodCatalog()).violations);
  };
  EXPECT_EQ(changed([](auto& s) { s.spec.selector["tier"] = "front"; }), "");
  EXPECT_EQ(changed([](auto& s) { s.spec.podNetworkName = "red"; }),
            "spec.podNetworkName: \"red\" can't change; make another service instead\n");
  EXPECT_THAT(changed([](auto& s) { s.spec.clusterIP.clear(); }),
              ::testing::StartsWith("spec.clusterIP: can't change"));
  EXPECT_EQ(changed([](auto& s) { outside(s, "db.example.com"); }),
            "spec.clusterIP: can't change; make another service instead\n"
            "spec.type: \"ExternalName\" can't change; make another service instead\n");
  EXPECT_EQ(changed([](auto& s) { s.spec.ipFamilyPolicy = FamilyPolicy::SingleStack; }), "");
  EXPECT_EQ(changed([](auto& s) { s.spec.ipFamilies = {AddressFamily::IPv6}; }),
            "spec.ipFamilies: \"IPv6\" can't change; make another service instead\n");
}

TEST(Service, AClientKeepsItsEndpointForThreeHoursUnlessItSaysOtherwise) {
  auto service = goodService("web", "blue");
  EXPECT_EQ(affinitySecondsOf(service.spec), 0);
  affine(service, {});
  EXPECT_EQ(affinitySecondsOf(service.spec), 10800);
  for (const std::int32_t seconds : {1, 600, 86400}) {
    affine(service, seconds);
    EXPECT_EQ(affinitySecondsOf(service.spec), seconds);
    EXPECT_EQ(all(validate(service, goodCatalog()).violations), "");
  }
  service.spec.sessionAffinityConfig.reset();
  EXPECT_EQ(affinitySecondsOf(service.spec), 10800);
}

TEST(Service, FamiliesAreItsOwnOrTheNetworks) {
  const auto blue = testing::goodNetwork();
  auto service = goodService("web", "blue");
  EXPECT_THAT(familiesOf(service.spec, blue),
              ::testing::ElementsAre(AddressFamily::IPv4, AddressFamily::IPv6));
  service.spec.ipFamilies = {AddressFamily::IPv6};
  EXPECT_THAT(familiesOf(service.spec, blue), ::testing::ElementsAre(AddressFamily::IPv6));
}

TEST(Service, TheTypeChangesAndItsClassDoesNot) {
  auto before = goodService("web", "blue");
  const auto changed = [&](const std::function<void(PodNetworkService&)>& change) {
    auto after = before;
    change(after);
    return all(validateUpdate(before, after, goodCatalog()).violations);
  };
  expose(before, ServiceType::ClusterIP);
  for (const auto from :
       {ServiceType::ClusterIP, ServiceType::NodePort, ServiceType::LoadBalancer}) {
    before.spec.type = from;
    for (const auto to :
         {ServiceType::ClusterIP, ServiceType::NodePort, ServiceType::LoadBalancer}) {
      EXPECT_EQ(changed([to](auto& s) { s.spec.type = to; }), "");
    }
    EXPECT_THAT(changed([](auto& s) { outside(s, "db.example.com"); }),
                ::testing::HasSubstr("spec.type: \"ExternalName\" can't change"));
  }
  const auto mine = [](auto& s) { s.spec.loadBalancerClass = "example.com/mine"; };
  EXPECT_EQ(changed(mine),
            "spec.loadBalancerClass: \"example.com/mine\" can't change; make another service "
            "instead\n");
  mine(before);
  EXPECT_THAT(changed([](auto& s) { s.spec.loadBalancerClass.clear(); }),
              ::testing::HasSubstr("spec.loadBalancerClass: can't change"));
  EXPECT_EQ(changed([](auto& s) {
              s.spec.type = ServiceType::NodePort;
              s.spec.loadBalancerClass.clear();
            }),
            "");
}

TEST(Service, WhatANodeLosesIsWarnedOf) {
  auto service = goodService("web", "blue");
  expose(service, ServiceType::NodePort);
  EXPECT_EQ(all(validate(service, goodCatalog()).warnings), "");
  service.spec.externalTrafficPolicy = TrafficPolicy::Local;
  auto report = validate(service, goodCatalog());
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(all(report.warnings), ::testing::HasSubstr("doesn't keep the clients' addresses"));
  expose(service, ServiceType::ClusterIP);
  service.spec.externalTrafficPolicy.reset();
  service.spec.sessionAffinity = SessionAffinity::ClientIP;
  EXPECT_EQ(all(validate(service, goodCatalog()).warnings), "");
  service.spec.reach = Reach::Cluster;
  EXPECT_EQ(all(validate(service, goodCatalog()).warnings), "");
}

TEST(Service, AHoldThatMostPodsCutShortIsWarnedOf) {
  auto service = goodService("web", "blue");
  service.spec.termination = {TerminationHold::Auto, 15};
  EXPECT_EQ(all(validate(service, goodCatalog()).warnings), "");
  service.spec.termination->seconds = 16;
  const auto report = validate(service, goodCatalog());
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(
      all(report.warnings),
      "spec.termination.seconds: \"16\" is over half of the 30 s of grace that a pod has by "
      "default, and a hold ends there; give its pods a terminationGracePeriodSeconds of 32 or "
      "more\n");
}

TEST(Service, AGatewayOnEachNodeNeedsRoom) {
  PodNetworkServiceSpec spec;
  spec.podNetworkName = "blue";
  EXPECT_FALSE(needsGatewayOnEachNode(spec));
  spec.reach = Reach::Cluster;
  EXPECT_TRUE(needsGatewayOnEachNode(spec));
  spec.reach = Reach::Network;
  spec.type = ServiceType::NodePort;
  EXPECT_TRUE(needsGatewayOnEachNode(spec));
  spec.externalTrafficPolicy = TrafficPolicy::Local;
  EXPECT_FALSE(needsGatewayOnEachNode(spec)) << "those with pods of it alone";

  PodNetwork network;
  const auto room = [&](std::vector<Subnet> subnets, std::size_t nodes) {
    network.spec.ipam.subnets = std::move(subnets);
    return all(warnOfRoom(spec, network, nodes));
  };
  EXPECT_EQ(room({{"10.20.0.0/29", "", {}, {}}}, 5), "");
  EXPECT_THAT(room({{"10.20.0.0/29", "10.20.0.1", {}, {}}}, 5), ::testing::HasSubstr("room for 5"));
  EXPECT_EQ(room({{"10.20.0.0/29", "", {}, {}}, {"10.20.1.0/30", "", {}, {}}}, 7), "");
  EXPECT_THAT(room({{"10.20.0.0/24", "", {"10.20.0.0/24"}, {}}}, 1),
              ::testing::HasSubstr("room for 0"));
  EXPECT_EQ(room({{"10.20.0.0/16", "", {}, {}}, {"fd00::/64", "", {}, {}}}, 5000), "");
  EXPECT_THAT(room({{"10.20.0.0/16", "", {}, {}}, {"fd00::/126", "", {}, {}}}, 3),
              ::testing::HasSubstr("room for 3 addresses of IPv6, and a gateway on each of 3"));
  EXPECT_EQ(room({{"10.20.0.0/31", "", {}, {}}}, 1), "");
  EXPECT_THAT(room({{"10.20.0.0/32", "", {}, {}}}, 1), ::testing::HasSubstr("room for 1"));
  EXPECT_EQ(room({}, 9), "") << "refused elsewhere";
}

TEST(Service, AHoldIsSaidByALabelAndIsLongerByName) {
  const auto hold = [](std::optional<PodNetworkServiceTermination> said, bool headless) {
    PodNetworkServiceSpec spec;
    spec.termination = said;
    const auto label = holdLabelOf(spec);
    return holdOf(label ? &*label : nullptr, headless).count();
  };
  EXPECT_EQ(hold({}, false), 3);
  EXPECT_EQ(hold({}, true), 6);
  EXPECT_EQ(hold({{TerminationHold::Auto, {}}}, true), 6);
  EXPECT_EQ(hold({{TerminationHold::Auto, 12}}, true), 12);
  EXPECT_EQ(hold({{TerminationHold::Off, {}}}, true), 0);
  for (const std::string nonsense : {"", "x", "3s", "-1", "31"}) {
    EXPECT_EQ(holdOf(&nonsense, false), kHold) << nonsense;
  }
}

TEST(Service, AsManyFamiliesAsThePolicySays) {
  auto both = testing::goodNetwork();
  auto one = both;
  one.spec.ipam.subnets.resize(1);
  PodNetworkServiceSpec spec;
  const auto families = [&](const PodNetwork& network) {
    std::string out;
    for (const auto family : familiesOf(spec, network)) {
      out += family == AddressFamily::IPv4 ? "4" : "6";
    }
    return out;
  };
  spec.ipFamilyPolicy = FamilyPolicy::SingleStack;
  EXPECT_EQ(families(both), "4");
  spec.clusterIP = "fd00:96::1";
  EXPECT_EQ(families(both), "6") << "the address says which";
  spec.ipFamilyPolicy = {};
  EXPECT_EQ(families(both), "64");
  spec.clusterIP.clear();
  spec.ipFamilies = {AddressFamily::IPv4};
  EXPECT_EQ(families(both), "4");
  spec.ipFamilyPolicy = FamilyPolicy::PreferDualStack;
  EXPECT_EQ(families(both), "46");
  EXPECT_EQ(families(one), "4");
  spec.ipFamilyPolicy = FamilyPolicy::RequireDualStack;
  EXPECT_EQ(families(one), "46");
  auto service = goodService("web", "blue");
  service.spec.ipFamilyPolicy = FamilyPolicy::RequireDualStack;
  auto catalog = goodCatalog();
  catalog.networks["blue"] = one;
  catalog.networks["blue"].metadata.name = "blue";
  EXPECT_THAT(all(validate(service, catalog).warnings),
              ::testing::StartsWith("spec.ipFamilyPolicy: \"IPv6\" is no family of network"));
}

TEST(Service, KubectlsNoteStaysWhereItIs) {
  EXPECT_EQ(sharedAnnotations({{"kubectl.kubernetes.io/last-applied-configuration", "{}"},
                               {"multinet.dev/labels", "a"},
                               {"team", "a"}}),
            (k8s::StringMap{{"team", "a"}}));
}

TEST(Service, ATargetPortIsANumberOrAName) {
  const auto text = R"({"metadata": {"name": "web"}, "spec": {"podNetworkName": "blue",
    "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "web"},
    {"port": 81, "targetPort": 8081}, {"port": 82}]}})";
  const auto service = k8s::decodeText<PodNetworkService>(text);
  ASSERT_TRUE(service.has_value()) << service.error().message;
  const auto& ports = service->spec.ports;
  EXPECT_EQ(ports[0].targetPort, (k8s::IntOrString{0, "web"}));
  EXPECT_EQ(withDefaults(ports[1]).targetPort.number, 8081);
  EXPECT_EQ(withDefaults(ports[2]).targetPort.number, 82);
  const auto json = k8s::KindTraits<PodNetworkService>::encode(*service)["spec"]["ports"];
  EXPECT_EQ(json[0]["targetPort"], "web");
  EXPECT_EQ(json[1]["targetPort"], 8081);
  EXPECT_FALSE(json[2].contains("targetPort"));
}

}  // namespace
}  // namespace multinet::api
