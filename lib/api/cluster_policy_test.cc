#include "lib/api/cluster_policy.h"

#include <gmock/gmock.h>

#include <functional>
#include <string>
#include <vector>

#include "lib/api/describe.h"
#include "lib/api/test_objects.h"

namespace multinet::api {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

ClusterPodNetworkPolicy good() {
  return testing::goodClusterPolicy("guard", "blue");
}

struct Bad {
  const char* name;
  std::function<void(ClusterPodNetworkPolicySpec&)> spoil;
  const char* sentence;
  const char* reason;
};

ClusterPolicyPeer& from(ClusterPodNetworkPolicySpec& spec) {
  return spec.ingress.at(0).peers.at(0);
}
ClusterPolicyPeer& to(ClusterPodNetworkPolicySpec& spec) {
  return spec.egress.at(0).peers.at(0);
}
ClusterPolicyPort& ssh(ClusterPodNetworkPolicySpec& spec) {
  return *spec.ingress.at(0).protocols.at(0).tcp->destinationPort;
}

const std::vector<Bad> kBad{
    {"no network", [](auto& s) { s.podNetworkNames.clear(); }, "spec.podNetworkNames: is missing",
     "NetworksMissing"},
    {"a priority below all", [](auto& s) { s.priority = -1; },
     "spec.priority: \"-1\" is no priority; write 0 to 1000", "InvalidPriority"},
    {"a priority above all", [](auto& s) { s.priority = 1001; }, "spec.priority: \"1001\"",
     "InvalidPriority"},
    {"no subject", [](auto& s) { s.subject = {}; }, "spec.subject: says nothing", "SubjectMissing"},
    {"two subjects", [](auto& s) { s.subject.pods.emplace(); },
     "spec.subject: has namespaces and pods", "OneOf"},
    {"a subject that nobody can match",
     [](auto& s) { s.subject.namespaces->matchLabels = {{"a b", "c"}}; },
     "spec.subject.namespaces: matchLabels: \"a b\" is no label key", "InvalidSelector"},
    {"no peers", [](auto& s) { s.ingress[0].peers.clear(); },
     "spec.ingress[0].from: is missing or empty", "PeerMissing"},
    {"a peer without a word", [](auto& s) { from(s) = {}; },
     "spec.ingress[0].from[0]: says nothing of who it is", "PeerMissing"},
    {"a peer in two ways", [](auto& s) { from(s).namespaces.emplace(); },
     "spec.ingress[0].from[0]: says in several ways", "OneOf"},
    {"networks of ingress",
     [](auto& s) {
       from(s) = {};
       from(s).networks = {"10.0.0.0/8"};
     },
     "spec.ingress[0].from[0].networks: is for egress alone", "NotForIngress"},
    {"nodes",
     [](auto& s) {
       to(s) = {};
       to(s).nodes.emplace();
     },
     "spec.egress[0].to[0].nodes: isn't known on a network of pods; write networks",
     "NotSupported"},
    {"a domain's name",
     [](auto& s) {
       to(s) = {};
       to(s).domainNames = {"example.com"};
     },
     "spec.egress[0].to[0].domainNames: \"example.com\" isn't known", "NotSupported"},
    {"host bits", [](auto& s) { to(s).networks[0] = "192.0.2.1/24"; },
     "spec.egress[0].to[0].networks[0]: \"192.0.2.1/24\" has host bits set; write 192.0.2.0/24",
     "HostBitsSet"},
    {"a block twice", [](auto& s) { to(s).networks[1] = "192.0.2.0/24"; },
     "spec.egress[0].to[0].networks[1]: \"192.0.2.0/24\" stands twice", "Duplicate"},
    {"a name of blocks",
     [](auto& s) {
       s.egress[0].protocols[0] = {};
       s.egress[0].protocols[0].destinationNamedPort = "web";
     },
     "spec.egress[0].protocols: \"web\" is a name that blocks of addresses don't have",
     "NamedPortOfNetworks"},
    {"a protocol without a word", [](auto& s) { s.ingress[0].protocols[0] = {}; },
     "spec.ingress[0].protocols[0]: must say one thing", "OneOf"},
    {"two protocols in one", [](auto& s) { s.ingress[0].protocols[0].udp.emplace(); },
     "spec.ingress[0].protocols[0]: must say one thing", "OneOf"},
    {"no port", [](auto& s) { s.ingress[0].protocols[0].tcp->destinationPort.reset(); },
     "spec.ingress[0].protocols[0].tcp: says nothing of ports", "PortMissing"},
    {"port 0", [](auto& s) { ssh(s).number = 0; },
     "spec.ingress[0].protocols[0].tcp.destinationPort.number: \"0\" is no port", "InvalidPort"},
    {"a number and a range", [](auto& s) { ssh(s).range = ClusterPolicyPortRange{1, 2}; },
     "destinationPort: has a number and a range", "OneOf"},
    {"a range of one", [](auto& s) { ssh(s) = {std::nullopt, ClusterPolicyPortRange{22, 22}}; },
     "destinationPort.range: \"22 to 22\" is no range of ports", "InvalidPort"},
    {"26 rules", [](auto& s) { s.ingress.resize(26, s.ingress[0]); },
     "spec.ingress: \"26 rules\" are too many; write at most 25", "TooMany"},
    {"a long name", [](auto& s) { s.ingress[0].name = std::string(101, 'a'); },
     "is too long; write at most 100 characters", "TooLong"},
    {"peers of many networks",
     [](auto& s) {
       for (int i = 0; i < 8; ++i) s.podNetworkNames.push_back("n" + std::to_string(i));
       s.ingress[0].peers.resize(25, from(s));
       s.ingress.resize(25, s.ingress[0]);
     },
     "spec: \"5625 selected peers", "TooMany"},
};

TEST(ClusterPolicy, TakesWhatIsRight) {
  const auto report = validate(good(), testing::goodCatalog());
  EXPECT_THAT(report.violations, IsEmpty());
}

TEST(ClusterPolicy, RefusesWithFieldValueAndRemedy) {
  for (const auto& bad : kBad) {
    auto policy = good();
    bad.spoil(policy.spec);
    const auto report = validate(policy);
    std::string all;
    bool told = false;
    for (const auto& one : report.violations) {
      all += one.str() + "\n";
      told =
          told || (one.reason == bad.reason && one.str().find(bad.sentence) != std::string::npos);
    }
    EXPECT_TRUE(told) << bad.name << ": " << all;
  }
}

TEST(ClusterPolicy, WarnsOfNoRulesAndOfANetworkThatIsntThere) {
  auto policy = good();
  policy.spec.ingress.clear();
  policy.spec.egress.clear();
  policy.spec.podNetworkNames = {"nowhere"};
  const auto report = validate(policy, testing::goodCatalog());
  ASSERT_EQ(report.warnings.size(), 2U);
  EXPECT_EQ(report.warnings[0].reason, "RulesMissing");
  EXPECT_EQ(report.warnings[1].reason, "NetworkNotFound");
}

TEST(ClusterPolicy, IsTheSameAfterItsJson) {
  const auto policy = good();
  const auto text = k8s::KindTraits<ClusterPodNetworkPolicy>::encode(policy).dump();
  const auto again = k8s::decodeText<ClusterPodNetworkPolicy>(text);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->spec, policy.spec);
}

TEST(ClusterPolicy, PodsOfAllNamespacesNeedNoSelectorOfThese) {
  auto json = k8s::KindTraits<ClusterPodNetworkPolicy>::encode(good());
  json["spec"]["subject"] = {{"pods", {{"podSelector", nlohmann::json::object()}}}};
  const auto decoded = k8s::decodeText<ClusterPodNetworkPolicy>(json.dump());
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->spec.subject.pods, NamespacedPods{});
}

TEST(ClusterPolicy, WordsThatThereArentDontDecode) {
  auto json = k8s::KindTraits<ClusterPodNetworkPolicy>::encode(good());
  json["spec"]["ingress"][0]["action"] = "Log";
  const auto decoded = k8s::decodeText<ClusterPodNetworkPolicy>(json.dump());
  ASSERT_FALSE(decoded);
  EXPECT_THAT(decoded.error().message, HasSubstr("spec.ingress[0].action"));
}

}  // namespace
}  // namespace multinet::api
