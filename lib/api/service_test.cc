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

const std::vector<Bad> kBad{
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
    {"a chosen address", [](auto& s) { s.spec.clusterIP = "10.92.8.1"; },
     "spec.clusterIP: \"10.92.8.1\" can't be chosen on a network; write None",
     "ClusterIPNotServed"},
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
  EXPECT_EQ(changed([](auto& s) { s.spec.ipFamilies = {AddressFamily::IPv6}; }),
            "spec.ipFamilies: \"IPv6\" can't change; make another service instead\n");
}

TEST(Service, FamiliesAreItsOwnOrTheNetworks) {
  const auto blue = testing::goodNetwork();
  auto service = goodService("web", "blue");
  EXPECT_THAT(familiesOf(service.spec, blue),
              ::testing::ElementsAre(AddressFamily::IPv4, AddressFamily::IPv6));
  service.spec.ipFamilies = {AddressFamily::IPv6};
  EXPECT_THAT(familiesOf(service.spec, blue), ::testing::ElementsAre(AddressFamily::IPv6));
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
