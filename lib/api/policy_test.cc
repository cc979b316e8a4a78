#include "lib/api/policy.h"

#include <gmock/gmock.h>

#include <functional>

#include "lib/api/describe.h"
#include "lib/api/test_objects.h"
#include "lib/api/validate.h"

namespace multinet::api {
namespace {

using testing::goodCatalog;
using testing::goodPolicy;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string all(const Violations& violations) {
  std::string out;
  for (const auto& violation : violations) out += violation.str() + "\n";
  return out;
}

PolicyPeer& from(PodNetworkPolicy& policy, std::size_t peer = 0) {
  return policy.spec.ingress.at(0).peers.at(peer);
}
PolicyPort& port(PodNetworkPolicy& policy) {
  return policy.spec.ingress.at(0).ports.at(0);
}
k8s::IntOrString number(std::int32_t value) {
  return {value, ""};
}

struct Bad {
  const char* name;
  std::function<void(PodNetworkPolicy&)> spoil;
  const char* sentence;
  const char* reason;
};

const std::vector<Bad> kBad{
    {"no network", [](auto& p) { p.spec.podNetworkNames.clear(); },
     "spec.podNetworkNames: is missing; name the networks on which it holds", "NetworksMissing"},
    {"a network twice", [](auto& p) { p.spec.podNetworkNames = {"blue", "red", "blue"}; },
     "spec.podNetworkNames[2]: \"blue\" stands twice; write each network once", "Duplicate"},
    {"seventeen networks",
     [](auto& p) {
       p.spec.podNetworkNames.clear();
       for (int i = 0; i < 17; ++i) p.spec.podNetworkNames.push_back("n" + std::to_string(i));
     },
     "spec.podNetworkNames: \"17 networks\" are too many; write at most 16", "TooMany"},
    {"the cluster's network", [](auto& p) { p.spec.podNetworkNames = {"default"}; },
     "spec.podNetworkNames[0]: \"default\" is the cluster's own network, which isn't Multinet's; "
     "write a NetworkPolicy for it",
     "ClusterNetwork"},
    {"the cluster's interface", [](auto& p) { p.spec.podNetworkNames = {"blue", "eth0"}; },
     "spec.podNetworkNames[1]: \"eth0\" is the cluster's own network", "ClusterNetwork"},
    {"an empty name", [](auto& p) { p.spec.podNetworkNames = {""}; },
     "spec.podNetworkNames[0]: is no network's name", "IllegalName"},
    {"a name in capitals", [](auto& p) { p.spec.podNetworkNames = {"Blue"}; },
     "spec.podNetworkNames[0]: \"Blue\" is no network's name", "IllegalName"},
    {"a star", [](auto& p) { p.spec.podNetworkNames = {"*"}; },
     "spec.podNetworkNames[0]: \"*\" is no network's name", "IllegalName"},
    {"a type twice", [](auto& p) { p.spec.policyTypes = {PolicyType::Egress, PolicyType::Egress}; },
     "spec.policyTypes[1]: \"Egress\" stands twice; write each type once", "Duplicate"},
    {"a selector that nobody can match",
     [](auto& p) { p.spec.podSelector.matchLabels = {{"a b", "c"}}; },
     "spec.podSelector: matchLabels: \"a b\" is no label key", "InvalidSelector"},
    {"In without values",
     [](auto& p) {
       from(p).podSelector = k8s::LabelSelector{{}, {{"app", k8s::SelectorOperator::In, {}}}};
     },
     "spec.ingress[0].from[0].podSelector: matchExpressions[0].values: is empty",
     "InvalidSelector"},
    {"a namespace's label of 64",
     [](auto& p) {
       from(p).namespaceSelector = k8s::LabelSelector{{{"team", std::string(64, 'a')}}, {}};
     },
     "spec.ingress[0].from[0].namespaceSelector: matchLabels.team: ", "InvalidSelector"},
    {"labels one more than there may be",
     [](auto& p) {
       k8s::StringMap labels;
       for (int i = 0; i < 17; ++i) labels["l" + std::to_string(i)] = "a";
       p.spec.podSelector.matchLabels = labels;
     },
     "spec.podSelector.matchLabels: \"17 labels\" are too many", "TooMany"},
    {"values one more than there may be",
     [](auto& p) {
       const std::vector<std::string> values(33, "a");
       from(p).namespaceSelector =
           k8s::LabelSelector{{}, {{"app", k8s::SelectorOperator::NotIn, values}}};
     },
     "spec.ingress[0].from[0].namespaceSelector.matchExpressions[0].values: \"33 values\" are too",
     "TooMany"},
    {"a block and a selector", [](auto& p) { from(p).ipBlock = PolicyIpBlock{"10.20.0.0/16", {}}; },
     "spec.ingress[0].from[0]: has an ipBlock and a selector; make two peers of it", "OneOf"},
    {"a peer without a word", [](auto& p) { from(p) = {}; },
     "spec.ingress[0].from[0]: says nothing of who it is; write podSelector, namespaceSelector or "
     "ipBlock",
     "PeerMissing"},
    {"an egress peer without a word", [](auto& p) { p.spec.egress = {{{{PolicyPeer{}}, {}}}}; },
     "spec.egress[0].to[0]: says nothing of who it is", "PeerMissing"},
    {"host bits", [](auto& p) { from(p, 1).ipBlock->cidr = "10.20.0.5/16"; },
     "spec.ingress[0].from[1].ipBlock.cidr: \"10.20.0.5/16\" has host bits set; write "
     "10.20.0.0/16",
     "HostBitsSet"},
    {"an address for a block", [](auto& p) { from(p, 1).ipBlock->cidr = "10.20.0.5"; },
     "spec.ingress[0].from[1].ipBlock.cidr: \"10.20.0.5\" is no prefix; write one such as",
     "InvalidCIDR"},
    {"no cidr", [](auto& p) { from(p, 1).ipBlock->cidr = ""; },
     "spec.ingress[0].from[1].ipBlock.cidr: is missing", "InvalidCIDR"},
    {"a length that is none", [](auto& p) { from(p, 1).ipBlock->cidr = "10.20.0.0/33"; },
     "spec.ingress[0].from[1].ipBlock.cidr: \"10.20.0.0/33\" is no prefix", "InvalidCIDR"},
    {"an exception outside", [](auto& p) { from(p, 1).ipBlock->except = {"10.21.0.0/24"}; },
     "spec.ingress[0].from[1].ipBlock.except[0]: \"10.21.0.0/24\" isn't within 10.20.0.0/16; write "
     "a smaller prefix of 10.20.0.0/16",
     "ExceptOutside"},
    {"an exception that is larger", [](auto& p) { from(p, 1).ipBlock->except = {"10.0.0.0/8"}; },
     "spec.ingress[0].from[1].ipBlock.except[0]: \"10.0.0.0/8\" isn't within", "ExceptOutside"},
    {"an exception that is all", [](auto& p) { from(p, 1).ipBlock->except = {"10.20.0.0/16"}; },
     "spec.ingress[0].from[1].ipBlock.except[0]: \"10.20.0.0/16\" is the whole block",
     "ExceptOutside"},
    {"an exception of the other family",
     [](auto& p) { from(p, 1).ipBlock->except = {"fd00:20::/80"}; },
     "spec.ingress[0].from[1].ipBlock.except[0]: \"fd00:20::/80\" isn't within", "ExceptOutside"},
    {"port 0", [](auto& p) { port(p).port = number(0); },
     "spec.ingress[0].ports[0].port: \"0\" is no port; write 1 to 65535", "InvalidPort"},
    {"a negative port", [](auto& p) { port(p).port = number(-1); },
     "spec.ingress[0].ports[0].port: \"-1\" is no port", "InvalidPort"},
    {"port 65536", [](auto& p) { port(p).port = number(65536); },
     "spec.ingress[0].ports[0].port: \"65536\" is no port", "InvalidPort"},
    {"a name of 16", [](auto& p) { port(p).port = k8s::IntOrString{0, "sixteen-letters-"}; },
     "spec.ingress[0].ports[0].port: \"sixteen-letters-\" is no port", "InvalidPort"},
    {"a number in quotes", [](auto& p) { port(p).port = k8s::IntOrString{0, "80"}; },
     "spec.ingress[0].ports[0].port: \"80\" is no port", "InvalidPort"},
    {"an end before the beginning", [](auto& p) { port(p).endPort = 79; },
     "spec.ingress[0].ports[0].endPort: \"79\" ends no range that begins at 80; write 80 to 65535",
     "InvalidPort"},
    {"an end above all", [](auto& p) { port(p).endPort = 65536; },
     "spec.ingress[0].ports[0].endPort: \"65536\" ends no range", "InvalidPort"},
    {"an end without a beginning", [](auto& p) { port(p) = {Protocol::TCP, std::nullopt, 90}; },
     "spec.ingress[0].ports[0].endPort: \"90\" is the end of a range that has no beginning; write "
     "port too",
     "PortMissing"},
    {"an end of a name",
     [](auto& p) { port(p) = {Protocol::TCP, k8s::IntOrString{0, "http"}, 90}; },
     "spec.ingress[0].ports[0].endPort: \"90\" can't end a range that begins with a name",
     "EndOfNamedPort"},
    {"101 rules", [](auto& p) { p.spec.ingress.resize(101); },
     "spec.ingress: \"101 rules\" are too many; write at most 100; several policies add up",
     "TooMany"},
    {"101 rules of egress", [](auto& p) { p.spec.egress.resize(101); },
     "spec.egress: \"101 rules\" are too many", "TooMany"},
    {"101 peers", [](auto& p) { p.spec.ingress[0].peers.resize(101, from(p)); },
     "spec.ingress[0].from: \"101 peers\" are too many", "TooMany"},
    {"101 ports", [](auto& p) { p.spec.ingress[0].ports.resize(101, port(p)); },
     "spec.ingress[0].ports: \"101 ports\" are too many", "TooMany"},
    {"101 exceptions", [](auto& p) { from(p, 1).ipBlock->except.resize(101, "10.20.9.0/24"); },
     "spec.ingress[0].from[1].ipBlock.except: \"101 exceptions\" are too many", "TooMany"},
    {"more peers than a head holds",
     [](auto& p) {
       p.spec.ingress.resize(21, p.spec.ingress[0]);
       for (auto& rule : p.spec.ingress) rule.peers.resize(100, from(p));
     },
     "spec: \"2079 selected peers (on egress times names of ports) on its networks\" are too many; "
     "write at most 2000",
     "TooMany"},
    {"names of ports for as many",
     [](auto& p) {
       p.spec.egress.resize(21);
       for (auto& rule : p.spec.egress) {
         rule.peers.resize(100, from(p, 1));
         rule.ports = {{Protocol::TCP, k8s::IntOrString{0, "pg"}, {}}};
       }
     },
     "spec: \"2101 selected peers (on egress times names of ports) on its networks\" are too many",
     "TooMany"},
    {"half a megabyte",
     [](auto& p) {
       auto& block = *from(p, 1).ipBlock;
       block.except.resize(100, "10.20.9.0/24");
       p.spec.ingress[0].peers.resize(100, from(p, 1));
       p.spec.ingress.resize(4, p.spec.ingress[0]);
     },
     "bytes\" are too many; write at most 262144 in JSON", "TooLarge"},
};

TEST(PolicyRules, RefuseWithFieldValueAndRemedy) {
  for (const auto& bad : kBad) {
    auto policy = goodPolicy("db", "blue");
    bad.spoil(policy);
    const auto report = validate(policy);
    ASSERT_FALSE(report.ok()) << bad.name;
    EXPECT_THAT(all(report.violations), HasSubstr(bad.sentence)) << bad.name;
    EXPECT_EQ(report.violations.front().reason, bad.reason) << bad.name;
    EXPECT_EQ(validate(policy, goodCatalog()).violations, report.violations) << bad.name;
  }
}

TEST(PolicyRules, TakeWhatCoreTakes) {
  auto policy = goodPolicy("db", "blue");
  EXPECT_TRUE(validate(policy).ok());
  EXPECT_THAT(validate(policy).warnings, IsEmpty());
  policy.spec.podNetworkNames.clear();
  for (int i = 0; i < 16; ++i) policy.spec.podNetworkNames.push_back("n" + std::to_string(i));
  policy.spec.ingress.resize(100);
  policy.spec.ingress[0].peers.resize(100, PolicyPeer{k8s::LabelSelector{}, {}, {}});
  policy.spec.ingress[0].ports.resize(100, {Protocol::SCTP, {}, {}});
  policy.spec.ingress[1].ports = {{Protocol::TCP, number(1), 65535},
                                  {Protocol::UDP, number(80), 80},
                                  {Protocol::TCP, k8s::IntOrString{0, "http"}, {}}};
  policy.spec.ingress[1].peers = {{{}, {}, PolicyIpBlock{"0.0.0.0/0", {"10.0.0.0/8"}}},
                                  {{}, {}, PolicyIpBlock{"::/0", {}}},
                                  {k8s::LabelSelector{}, k8s::LabelSelector{}, {}}};
  EXPECT_TRUE(validate(policy).ok()) << all(validate(policy).violations);
}

TEST(PolicyTypes, AbsentMeanIngressAndEgressWhereItHasRules) {
  PodNetworkPolicySpec spec;
  EXPECT_TRUE(spec.isolates(PolicyType::Ingress));
  EXPECT_FALSE(spec.isolates(PolicyType::Egress));
  spec.egress.resize(1);
  EXPECT_TRUE(spec.isolates(PolicyType::Ingress));
  EXPECT_TRUE(spec.isolates(PolicyType::Egress));
  spec.policyTypes = {PolicyType::Egress};
  EXPECT_FALSE(spec.isolates(PolicyType::Ingress));
  spec.policyTypes = {PolicyType::Ingress};
  EXPECT_FALSE(spec.isolates(PolicyType::Egress)) << "what is written counts, not the rules";
}

TEST(PolicyTypes, RulesOfADirectionThatTheyLeaveOutAreWarned) {
  auto policy = goodPolicy("db", "blue");
  policy.spec.policyTypes = {PolicyType::Ingress};
  policy.spec.egress.resize(1);
  auto report = validate(policy);
  EXPECT_TRUE(report.ok());
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_THAT(all(report.warnings), HasSubstr("spec.egress: says nothing: spec.policyTypes lacks "
                                              "Egress"));
  policy.spec.policyTypes = {PolicyType::Egress};
  EXPECT_THAT(all(validate(policy).warnings), HasSubstr("spec.ingress: says nothing"));
}

TEST(PolicyAndNetworks, AnUnknownOrClosedOneIsWarned) {
  auto catalog = goodCatalog();
  catalog.networks.at("red").spec.access.namespaces.from = AccessFrom::None;
  auto policy = goodPolicy("db", "blue");
  EXPECT_THAT(validate(policy, catalog).warnings, IsEmpty());
  policy.spec.podNetworkNames = {"blue", "red", "bleu"};
  const auto report = validate(policy, catalog);
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(all(report.warnings),
              HasSubstr("spec.podNetworkNames[1]: \"red\" names no PodNetwork that is open to "
                        "namespace \"default\""));
  EXPECT_THAT(all(report.warnings), HasSubstr("spec.podNetworkNames[2]: \"bleu\" names no"));
}

TEST(PolicyAndNetworks, ABlockThatNobodyHasIsWarned) {
  auto catalog = goodCatalog();
  for (auto& subnet : catalog.networks.at("blue").spec.ipam.subnets) subnet.gateway.clear();
  auto policy = goodPolicy("db", "blue");
  from(policy, 1).ipBlock = PolicyIpBlock{"10.99.0.0/16", {}};
  EXPECT_THAT(all(validate(policy, catalog).warnings),
              HasSubstr("spec.ingress[0].from[1].ipBlock.cidr: \"10.99.0.0/16\" matches nothing"));
  from(policy, 1).ipBlock = PolicyIpBlock{"10.0.0.0/8", {}};
  EXPECT_THAT(validate(policy, catalog).warnings, IsEmpty()) << "it holds the subnet";

  // Another family than the network's.
  catalog.networks.at("blue").spec.ipam.subnets.pop_back();
  from(policy, 1).ipBlock = PolicyIpBlock{"::/0", {}};
  EXPECT_THAT(all(validate(policy, catalog).warnings), HasSubstr("no gateway in IPv6"));
  // By a gateway anything may come.
  catalog.networks.at("blue").spec.ipam.subnets[0].gateway = "10.20.0.1";
  from(policy, 1).ipBlock = PolicyIpBlock{"192.0.2.0/24", {}};
  EXPECT_THAT(validate(policy, catalog).warnings, IsEmpty());
}

TEST(PolicyRules, WithoutPeersAreWarned) {
  auto policy = goodPolicy("db", "blue");
  policy.spec.policyTypes = {PolicyType::Egress, PolicyType::Ingress};
  policy.spec.egress.resize(1);
  EXPECT_THAT(all(validate(policy).warnings),
              HasSubstr("spec.egress[0].to: is left out or empty, which means everybody on the "
                        "network, by every protocol"));
}

TEST(PolicyAndNetworks, OneThatWeakensItIsWarned) {
  auto catalog = goodCatalog();
  const auto policy = goodPolicy("db", "blue");
  catalog.networks.at("blue").spec.portSecurity = PortSecurity::MacOnly;
  EXPECT_THAT(all(validate(policy, catalog).warnings),
              HasSubstr("spec.podNetworkNames: \"blue\" has portSecurity MACOnly"));
  catalog.networks.at("blue").spec.portSecurity = PortSecurity::Enforced;
  catalog.networks.at("blue").spec.type = NetworkType::IPVlan;
  catalog.networks.at("blue").spec.ipvlan = IpvlanSpec{"eth1", IpvlanMode::L3S};
  EXPECT_THAT(all(validate(policy, catalog).warnings), HasSubstr("nodes don't enforce policies"));
  catalog.networks.at("blue").spec.ipvlan->mode = IpvlanMode::L3;
  EXPECT_THAT(validate(policy, catalog).warnings, IsEmpty());
  for (const auto type :
       {NetworkType::Vxlan, NetworkType::Bridge, NetworkType::Vlan, NetworkType::Macvlan}) {
    catalog.networks.at("blue").spec.type = type;
    EXPECT_THAT(validate(policy, catalog).warnings, IsEmpty());
  }
}

TEST(PolicyAndNetworks, ARefusalOfNetAdminThatRefusesNobodyIsWarned) {
  auto network = testing::goodNetwork("blue");
  network.spec.allow.netAdmin = true;
  EXPECT_THAT(validate(network).warnings, IsEmpty());
  network.spec.allow.netAdmin = false;
  EXPECT_THAT(all(validate(network).warnings),
              HasSubstr("spec.allow.netAdmin: \"false\" refuses nobody on a network of type "));
  network.spec.type = NetworkType::IPVlan;
  network.spec.bridge.reset();
  network.spec.ipvlan = IpvlanSpec{"eth1", IpvlanMode::L3S};
  EXPECT_THAT(all(validate(network).warnings), Not(HasSubstr("netAdmin")));
}

TEST(PolicyAndNetworks, TrackingThatDoesNothingIsWarned) {
  auto network = testing::goodNetwork("blue");
  network.spec.trackConnections = TrackConnections::Always;
  EXPECT_THAT(validate(network).warnings, IsEmpty());
  network.spec.type = NetworkType::IPVlan;
  network.spec.bridge.reset();
  network.spec.ipvlan = IpvlanSpec{"eth1", IpvlanMode::L2};
  EXPECT_THAT(all(validate(network).warnings), Not(HasSubstr("trackConnections")));
  network.spec.ipvlan->mode = IpvlanMode::L3S;
  EXPECT_THAT(all(validate(network).warnings),
              HasSubstr("spec.trackConnections: \"Always\" does nothing on interfaces of type "
                        "IPVlan and mode L3S"));
  network.spec.trackConnections = TrackConnections::Auto;
  EXPECT_THAT(all(validate(network).warnings), Not(HasSubstr("trackConnections")));
}

TEST(PolicyAndNetworks, ADefaultThatShutsOrThatNobodyEnforcesIsWarned) {
  auto network = testing::goodNetwork("blue");
  EXPECT_THAT(validate(network).warnings, IsEmpty());
  network.spec.defaultPolicy = DefaultPolicy::SameNamespace;
  EXPECT_THAT(validate(network).warnings, IsEmpty());
  network.spec.defaultPolicy = DefaultPolicy::Deny;
  EXPECT_THAT(all(validate(network).warnings),
              HasSubstr("spec.defaultPolicy: \"Deny\" lets pods of the network neither"));
  network.spec.type = NetworkType::IPVlan;
  network.spec.bridge.reset();
  network.spec.ipvlan = IpvlanSpec{"eth1", IpvlanMode::L3S};
  EXPECT_THAT(all(validate(network).warnings), HasSubstr("isn't enforced by nodes on interfaces of "
                                                         "type IPVlan"));
}

TEST(PolicyAndNetworks, PodsWithoutAddressesAreNoPeers) {
  auto catalog = goodCatalog();
  catalog.networks.at("blue").spec.ipam.subnets.clear();
  auto policy = goodPolicy("db", "blue");
  EXPECT_THAT(all(validate(policy, catalog).warnings), HasSubstr("\"blue\" has no subnets"));
  policy.spec.ingress[0].peers.erase(policy.spec.ingress[0].peers.begin());
  EXPECT_THAT(validate(policy, catalog).warnings, IsEmpty()) << "a block alone needs none";
}

Result<PodNetworkPolicy> read(const std::string& spec) {
  return k8s::decodeText<PodNetworkPolicy>(
      R"({"kind":"PodNetworkPolicy","metadata":{"name":"a","namespace":"b"},"spec":)" + spec + "}");
}

TEST(PolicyCodec, TellsAbsentFromEmpty) {
  const auto policy = read(R"({"podNetworkNames":["blue"],"ingress":[
      {},{"from":[],"ports":[]},{"from":[{"podSelector":{}}]},
      {"from":[{"namespaceSelector":{}}],"ports":[{"port":"pg"},{"protocol":"UDP"},{"port":0}]}]})");
  ASSERT_TRUE(policy.has_value()) << policy.error().message;
  const auto& rules = policy->spec.ingress;
  ASSERT_EQ(rules.size(), 4U);
  EXPECT_EQ(rules[0], rules[1]);
  EXPECT_EQ(rules[2].peers[0].podSelector, k8s::LabelSelector{});
  EXPECT_FALSE(rules[2].peers[0].namespaceSelector);
  EXPECT_EQ(rules[3].peers[0].namespaceSelector, k8s::LabelSelector{});
  EXPECT_FALSE(rules[3].peers[0].podSelector);
  EXPECT_EQ(rules[3].ports[0].port->name, "pg");
  EXPECT_FALSE(rules[3].ports[1].port) << "every port of UDP";
  EXPECT_TRUE(rules[3].ports[2].port) << "a 0 isn't every port";
  const auto again =
      k8s::decodeText<PodNetworkPolicy>(k8s::KindTraits<PodNetworkPolicy>::encode(*policy).dump());
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(*again, *policy);
}

TEST(PolicyCodec, RefusesWordsThatThereArent) {
  const auto protocol =
      read(R"({"podNetworkNames":["b"],"egress":[{"ports":[{"protocol":"ICMP"}]}]})");
  ASSERT_FALSE(protocol.has_value());
  EXPECT_THAT(protocol.error().message,
              HasSubstr("spec.egress[0].ports[0].protocol: is \"ICMP\", must be one of TCP, UDP, "
                        "SCTP"));
  const auto type = read(R"({"podNetworkNames":["b"],"policyTypes":["ingress"]})");
  ASSERT_FALSE(type.has_value());
  EXPECT_THAT(type.error().message, HasSubstr("must be one of Ingress, Egress"));
  const auto operation = read(
      R"({"podNetworkNames":["b"],"podSelector":{"matchExpressions":[{"key":"a","operator":"Is"}]}})");
  EXPECT_FALSE(operation.has_value());
  EXPECT_FALSE(read(R"({"ingress":[]})").has_value()) << "podNetworkNames is required";
  EXPECT_FALSE(read(R"({"podNetworkNames":["b"],"ingress":[{"from":[null]}]})").has_value());
}

}  // namespace
}  // namespace multinet::api
