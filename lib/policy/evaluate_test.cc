#include "lib/policy/evaluate.h"

#include <gmock/gmock.h>

#include "lib/policy/test_worlds.h"

namespace multinet::policy {
namespace {

using api::PolicyType;
using testing::ip;
using testing::pod;

const Network kBlue{"blue", api::DefaultPolicy::Allow};

k8s::LabelSelector app(const std::string& value) {
  return {{{"app", value}}, {}};
}
api::PolicyPeer pods(const std::string& value) {
  return {app(value), std::nullopt, std::nullopt};
}
api::PolicyPort tcp(std::int32_t number) {
  return {api::Protocol::TCP, k8s::IntOrString{number, ""}, std::nullopt};
}
api::PolicyIngressRule from(std::vector<api::PolicyPeer> peers,
                            std::vector<api::PolicyPort> ports = {}) {
  return {{std::move(peers), std::move(ports)}};
}
api::PolicyEgressRule to(std::vector<api::PolicyPeer> peers,
                         std::vector<api::PolicyPort> ports = {}) {
  return {{std::move(peers), std::move(ports)}};
}

/// Of the pods with app: db in namespace shop.
api::PodNetworkPolicy ofDb(const std::string& name) {
  api::PodNetworkPolicy policy;
  policy.metadata.nameSpace = "shop";
  policy.metadata.name = name;
  policy.spec.podNetworkNames = {"blue"};
  policy.spec.podSelector = app("db");
  return policy;
}

/// web and db in shop, web in other, all on blue; a host 10.0.0.99.
class Evaluate : public ::testing::Test {
 protected:
  Evaluate() {
    world.namespaces = {{"shop", {{"team", "a"}}}, {"other", {{"team", "b"}}}};
    world.pods = {pod("shop", "web", {{"app", "web"}}, {ip("10.0.0.1"), ip("fd00::1")}),
                  pod("shop", "db", {{"app", "db"}}, {ip("10.0.0.2"), ip("fd00::2")},
                      {{"pg", api::Protocol::TCP, 5432}, {"pg", api::Protocol::UDP, 99}}),
                  pod("other", "web", {{"app", "web"}}, {ip("10.0.0.3")},
                      {{"pg", api::Protocol::TCP, 6000}})};
  }

  Verdict ask(const std::string& source, const std::string& destination, std::uint16_t port = 80,
              std::optional<api::Protocol> protocol = api::Protocol::TCP,
              const Network& network = kBlue) const {
    return evaluate(world, network, {ip(source), ip(destination), protocol, port});
  }

  World world;
};

TEST_F(Evaluate, NobodyIsIsolatedWithoutAPolicy) {
  const auto verdict = ask("10.0.0.1", "10.0.0.2");
  EXPECT_TRUE(verdict.allowed());
  EXPECT_EQ(verdict.ingress.ground, Ground::Default);
  EXPECT_EQ(ask("10.0.0.1", "10.0.0.99").ingress.ground, Ground::NoPod);
}

TEST_F(Evaluate, TheRuleThatAllowsIsNamed) {
  world.policies = {ofDb("none"), ofDb("some")};
  world.policies[1].spec.ingress = {from({}, {tcp(1)}), from({pods("web")}, {tcp(80)})};
  const auto verdict = ask("10.0.0.1", "10.0.0.2");
  EXPECT_TRUE(verdict.allowed());
  EXPECT_EQ(verdict.ingress.ground, Ground::Rule);
  EXPECT_EQ(verdict.ingress.policy, "shop/some");
  EXPECT_EQ(verdict.ingress.rule, 1U);
  EXPECT_THAT(verdict.ingress.isolatedBy, ::testing::ElementsAre("shop/none", "shop/some"));
  EXPECT_EQ(verdict.egress.ground, Ground::Default);

  const auto denied = ask("10.0.0.1", "10.0.0.2", 81);
  EXPECT_FALSE(denied.allowed());
  EXPECT_EQ(denied.ingress.ground, Ground::NoRule);
  EXPECT_EQ(denied.ingress.policy, "");
  EXPECT_FALSE(ask("10.0.0.3", "10.0.0.2").allowed()) << "its namespace is another";
  EXPECT_FALSE(ask("10.0.0.99", "10.0.0.2").allowed()) << "a host is nobody's pod";
}

TEST_F(Evaluate, AnInterfaceOnAnotherNetworkIsLeftAlone) {
  world.policies = {ofDb("none")};
  world.policies[0].spec.podNetworkNames = {"red"};
  EXPECT_TRUE(ask("10.0.0.1", "10.0.0.2").allowed());
  // Of the same pod another interface is isolated: same address, another network.
  world.pods[1].interfaces.push_back({"red", {ip("10.0.0.2")}});
  EXPECT_TRUE(ask("10.0.0.1", "10.0.0.2").allowed());
  EXPECT_FALSE(ask("10.0.0.9", "10.0.0.2", 80, api::Protocol::TCP, {"red"}).allowed());
  // And a peer is who has an interface there.
  world.policies[0].spec.ingress = {from({pods("web")})};
  EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2", 80, api::Protocol::TCP, {"red"}).allowed());
}

TEST_F(Evaluate, TwoSelectorsInOnePeerAreAndTwoPeersAreOr) {
  world.policies = {ofDb("db")};
  const k8s::LabelSelector teamB{{{"team", "b"}}, {}};
  world.policies[0].spec.ingress = {from({{app("web"), teamB, {}}})};
  EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2").allowed());
  EXPECT_TRUE(ask("10.0.0.3", "10.0.0.2").allowed());
  world.policies[0].spec.ingress = {from({{app("web"), {}, {}}, {{}, teamB, {}}})};
  EXPECT_TRUE(ask("10.0.0.1", "10.0.0.2").allowed());
  EXPECT_TRUE(ask("10.0.0.3", "10.0.0.2").allowed());
  world.namespaces.erase("other");
  EXPECT_FALSE(ask("10.0.0.3", "10.0.0.2").allowed())
      << "of an unknown namespace no label is known";
}

TEST_F(Evaluate, AnExceptionBelongsToItsOwnBlock) {
  world.policies = {ofDb("db")};
  const api::PolicyPeer block{{}, {}, api::PolicyIpBlock{"10.0.0.0/24", {"10.0.0.1/32"}}};
  world.policies[0].spec.ingress = {from({block})};
  EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2").allowed());
  EXPECT_TRUE(ask("10.0.0.99", "10.0.0.2").allowed());
  EXPECT_TRUE(ask("10.0.0.3", "10.0.0.2").allowed()) << "a block means pods too";
  world.policies[0].spec.ingress = {from({block, pods("web")})};
  EXPECT_TRUE(ask("10.0.0.1", "10.0.0.2").allowed());
  EXPECT_FALSE(ask("fd00::9", "fd00::2").allowed()) << "no block of IPv6";
}

TEST_F(Evaluate, RulesWithPortsAreForTheirProtocolsAlone) {
  world.policies = {ofDb("db")};
  world.policies[0].spec.ingress = {from({}, {tcp(80)})};
  EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2", 80, api::Protocol::UDP).allowed());
  EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2", 80, api::Protocol::SCTP).allowed());
  EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2", 0, std::nullopt).allowed()) << "ICMP";
  world.policies[0].spec.ingress = {from({}, {{api::Protocol::UDP, {}, {}}})};
  EXPECT_TRUE(ask("10.0.0.1", "10.0.0.2", 0, api::Protocol::UDP).allowed());
  EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2", 80).allowed());
  world.policies[0].spec.ingress = {from({})};
  EXPECT_TRUE(ask("10.0.0.1", "10.0.0.2", 0, std::nullopt).allowed());
  auto range = tcp(79);
  range.endPort = 81;
  world.policies[0].spec.ingress = {from({}, {range})};
  EXPECT_TRUE(ask("10.0.0.1", "10.0.0.2", 81).allowed());
  EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2", 82).allowed());
}

TEST_F(Evaluate, ANameIsOfAPortOfWhoReceives) {
  const api::PolicyPort pg{api::Protocol::TCP, k8s::IntOrString{0, "pg"}, {}};
  world.policies = {ofDb("db")};
  world.policies[0].spec.ingress = {from({}, {pg})};
  EXPECT_TRUE(ask("10.0.0.3", "10.0.0.2", 5432).allowed());
  EXPECT_FALSE(ask("10.0.0.3", "10.0.0.2", 6000).allowed());
  EXPECT_FALSE(ask("10.0.0.3", "10.0.0.2", 99).allowed()) << "that is UDP's";
  world.policies[0].spec.policyTypes = {PolicyType::Egress};
  world.policies[0].spec.egress = {to({}, {pg})};
  EXPECT_TRUE(ask("10.0.0.2", "10.0.0.3", 6000).allowed());
  EXPECT_FALSE(ask("10.0.0.2", "10.0.0.3", 5432).allowed());
  EXPECT_FALSE(ask("10.0.0.2", "10.0.0.1", 5432).allowed()) << "web has no such port";
  EXPECT_FALSE(ask("10.0.0.2", "10.0.0.99", 5432).allowed()) << "nor has a host";
}

TEST_F(Evaluate, BothEndsMustAllow) {
  world.policies = {ofDb("db")};
  world.policies[0].spec.ingress = {from({pods("web")})};
  auto web = ofDb("web");
  web.spec.podSelector = app("web");
  web.spec.policyTypes = {PolicyType::Egress};
  world.policies.push_back(web);
  const auto verdict = ask("10.0.0.1", "10.0.0.2");
  EXPECT_TRUE(verdict.ingress.allowed);
  EXPECT_FALSE(verdict.egress.allowed);
  EXPECT_FALSE(verdict.allowed());
  EXPECT_TRUE(ask("10.0.0.1", "10.0.0.1").allowed()) << "a pod may always speak to itself";
}

TEST_F(Evaluate, TheDefaultIsForDirectionsThatNoPolicySelects) {
  const Network deny{"blue", api::DefaultPolicy::Deny};
  const Network own{"blue", api::DefaultPolicy::SameNamespace};
  EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2", 80, api::Protocol::TCP, deny).allowed());
  EXPECT_TRUE(ask("10.0.0.1", "10.0.0.2", 80, api::Protocol::TCP, own).allowed());
  EXPECT_FALSE(ask("10.0.0.3", "10.0.0.2", 80, api::Protocol::TCP, own).allowed());
  EXPECT_FALSE(ask("10.0.0.99", "10.0.0.2", 80, api::Protocol::TCP, own).allowed());
  EXPECT_FALSE(ask("10.0.0.2", "10.0.0.99", 80, api::Protocol::TCP, own).allowed());
  world.policies = {ofDb("open")};
  world.policies[0].spec.ingress = {from({})};
  const auto verdict = ask("10.0.0.99", "10.0.0.2", 80, api::Protocol::TCP, deny);
  EXPECT_TRUE(verdict.ingress.allowed) << "a policy takes its place";
  EXPECT_FALSE(ask("10.0.0.2", "10.0.0.99", 80, api::Protocol::TCP, deny).egress.allowed);
}

TEST_F(Evaluate, WhatCantBeReadAllowsNothingAndIsolatesAllTheSame) {
  const std::vector<api::PolicyPeer> illegible = {
      {},
      {app("web"), {}, api::PolicyIpBlock{"0.0.0.0/0", {}}},
      {{}, {}, api::PolicyIpBlock{"10.0.0.1", {}}},
      {{}, {}, api::PolicyIpBlock{"0.0.0.0/0", {"rubbish"}}},
      {k8s::LabelSelector{{}, {{"app", k8s::SelectorOperator::NotIn, {}}}}, {}, {}}};
  world.policies = {ofDb("db")};
  for (const auto& peer : illegible) {
    world.policies[0].spec.ingress = {from({peer})};
    EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2").allowed());
  }
  auto backwards = tcp(81);
  backwards.endPort = 80;
  for (const auto& port : {tcp(0), tcp(-80), tcp(80 + 65536), backwards}) {
    world.policies[0].spec.ingress = {from({}, {port})};
    EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2", 80).allowed());
    EXPECT_FALSE(ask("10.0.0.1", "10.0.0.2", 0).allowed());
  }
}

k8s::Pod corePod() {
  k8s::Pod out;
  out.metadata.nameSpace = "shop";
  out.metadata.name = "db-0";
  out.metadata.uid = "u1";
  out.metadata.labels = k8s::StringMap{{"app", "db"}};
  out.spec.containers = {{{{"pg", 5432, ""}, {"", 1, "TCP"}, {"pg", 53, "UDP"}}, ""},
                         {{{"pg", 9, "TCP"}}, ""}};
  out.spec.initContainers = std::vector<k8s::Container>{{{{"setup", 1, "TCP"}}, ""},
                                                        {{{"mesh", 15000, "TCP"}}, "Always"}};
  out.status.phase = "Running";
  return out;
}

api::PodInterfaceSet setOf(const std::string& uid) {
  api::PodInterfaceSet set;
  set.pod = {"db-0", uid};
  set.interfaces.resize(2);
  set.interfaces[0].podNetworkName = "blue";
  set.interfaces[0].ips = {{"10.0.0.2/16", "", api::AddressFamily::IPv4},
                           {"fd00::2/64", "", api::AddressFamily::IPv6}};
  set.interfaces[1].podNetworkName = "wire";
  return set;
}

TEST(PodOf, HasAddressesOfItsSetAndPortsOfWhatRuns) {
  const auto pod = podOf(corePod(), setOf("u1"));
  ASSERT_TRUE(pod);
  EXPECT_EQ(pod->key.str(), "shop/db-0");
  EXPECT_EQ(pod->on("blue")->addresses, (std::vector{ip("10.0.0.2"), ip("fd00::2")}));
  EXPECT_TRUE(pod->on("wire")->addresses.empty());
  EXPECT_EQ(pod->on("red"), nullptr);
  EXPECT_EQ(pod->portNamed("pg", api::Protocol::TCP), 5432) << "the first container's";
  EXPECT_EQ(pod->portNamed("pg", api::Protocol::UDP), 53);
  EXPECT_EQ(pod->portNamed("mesh", api::Protocol::TCP), 15000);
  EXPECT_EQ(pod->portNamed("setup", api::Protocol::TCP), std::nullopt) << "it has ended";
}

TEST(PodOf, IsNothingOnceAPodHasFinishedOrOfAnothersSet) {
  auto pod = corePod();
  EXPECT_FALSE(podOf(pod, setOf("u0"))) << "of the pod that had the name before";
  pod.metadata.deletionTimestamp = WallTime{};
  EXPECT_TRUE(podOf(pod, setOf("u1"))) << "it goes, and still speaks";
  for (const char* phase : {"Succeeded", "Failed"}) {
    pod.status.phase = phase;
    EXPECT_FALSE(podOf(pod, setOf("u1")));
  }
}

}  // namespace
}  // namespace multinet::policy
