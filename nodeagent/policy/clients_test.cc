#include "nodeagent/policy/clients.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace multinet::agent::policing {
namespace {

using api::Protocol;
using testing::ElementsAre;
using testing::IsEmpty;

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}
policy::AddressRange range(const std::string& text) {
  const IpPrefix prefix = IpPrefix::parse(text).value();
  return {prefix.first(), prefix.last()};
}
const policy::PodKey kDb{"shop", "db"};

/// Of pods with app: db, what `peers` may on TCP 80.
api::PodNetworkPolicy policyFor(const std::vector<api::PolicyPeer>& peers) {
  api::PodNetworkPolicy policy;
  policy.metadata.nameSpace = "shop";
  policy.metadata.name = "db";
  policy.spec.podNetworkNames = {"blue"};
  policy.spec.ingress = {{peers, {}}};
  api::PolicyPort port;
  port.protocol = Protocol::TCP;
  port.port = k8s::IntOrString{80, ""};
  policy.spec.ingress.front().ports = {port};
  return policy;
}

Admissions admitted(const api::PodNetworkPolicy& policy, const std::set<policy::PodKey>& cut = {}) {
  policy::Pod pod;
  pod.key = kDb;
  pod.interfaces = {{"blue", {}}};
  return admissionsOf({{&pod, {&policy}}}, {"blue", api::DefaultPolicy::Allow},
                      {{kDb, {ip("10.20.0.5"), ip("fd20::5")}}}, cut);
}

TEST(Clients, AreAdmittedByBlocksAndNotAsPods) {
  api::PolicyPeer block;
  block.ipBlock = api::PolicyIpBlock{"192.0.2.0/24", {"192.0.2.128/25"}};
  api::PolicyPeer pods;
  pods.podSelector = k8s::LabelSelector{};
  const Admissions all = admitted(policyFor({block, pods}));
  const Admission wanted{Protocol::TCP, 80, 80, range("192.0.2.0/25")};
  EXPECT_THAT(all.at(ip("10.20.0.5")), ElementsAre(wanted));
  EXPECT_THAT(all.at(ip("fd20::5")), ElementsAre(wanted));
  EXPECT_THAT(admitted(policyFor({pods})).at(ip("10.20.0.5")), IsEmpty());
  EXPECT_THAT(admitted(policyFor({})).at(ip("10.20.0.5")),
              ElementsAre(Admission{Protocol::TCP, 80, 80, range("0.0.0.0/0")},
                          Admission{Protocol::TCP, 80, 80, range("::/0")}));
}

/// A rule of the cluster for what the pod gets on a TCP port, of everybody whom `networks` or a
/// selector means.
policy::ClusterRules clusterRule(api::ClusterPolicyAction action, std::int32_t port) {
  api::ClusterPodNetworkPolicy policy;
  policy.metadata.name = "guests";
  policy.spec.podNetworkNames = {"blue"};
  policy.spec.subject.namespaces.emplace();
  api::ClusterPolicyIngressRule rule;
  rule.action = action;
  rule.peers.emplace_back().namespaces.emplace();
  rule.protocols.emplace_back().tcp =
      api::ClusterPolicyTransport{api::ClusterPolicyPort{port, std::nullopt}};
  policy.spec.ingress = {rule};
  return policy::rulesOf(policy);
}

TEST(Clients, AreNotAdmittedToPortsByWhatProtocolsWithoutPortsMay) {
  policy::Pod pod;
  pod.key = kDb;
  pod.interfaces = {{"blue", {}}};
  // What can't be read denies everybody: of it only protocols without ports are left.
  policy::ClusterRules denied = clusterRule(api::ClusterPolicyAction::Deny, 80);
  denied.ingress.front().rule.peers.clear();
  policy::Subject subject{&pod};
  subject.cluster = {&denied};
  const auto admitted = [&] {
    return admissionsOf({subject}, {"blue", api::DefaultPolicy::Allow}, {{kDb, {ip("10.20.0.5")}}},
                        {})
        .at(ip("10.20.0.5"));
  };
  for (const Admission& one : admitted()) {
    EXPECT_TRUE(one.protocol) << "no admission is to everything";
    EXPECT_FALSE(one.protocol == Protocol::TCP && one.first <= 80 && one.last >= 80);
  }
  const auto isTo = [&](Protocol protocol, std::uint16_t port) {
    return std::ranges::any_of(admitted(), [&](const Admission& one) {
      return one.protocol == protocol && one.first <= port && port <= one.last;
    });
  };
  EXPECT_TRUE(isTo(Protocol::TCP, 81));
  EXPECT_TRUE(isTo(Protocol::UDP, 80));
  // No selector means who isn't on the network.
  const policy::ClusterRules ofPods = clusterRule(api::ClusterPolicyAction::Deny, 80);
  subject.cluster = {&ofPods};
  const auto admits = [&](const std::string& client, Protocol protocol, std::uint16_t port) {
    return std::ranges::any_of(admitted(), [&](const Admission& one) {
      const bool isPort =
          !one.protocol || (one.protocol == protocol && one.first <= port && port <= one.last);
      return isPort && one.clients.first <= ip(client) && ip(client) <= one.clients.last;
    });
  };
  for (const char* const client : {"192.0.2.7", "10.20.0.9", "2001:db8::7"}) {
    EXPECT_TRUE(admits(client, Protocol::TCP, 80)) << client;
    EXPECT_TRUE(admits(client, Protocol::UDP, 80)) << client;
  }
  EXPECT_FALSE(admits("fe80::7", Protocol::TCP, 80)) << "an address of a link is anybody's";
  EXPECT_TRUE(admits("fe80::7", Protocol::TCP, 81));
}

TEST(Clients, AreNotAdmittedByWhoHasNoRoomForPermits) {
  EXPECT_THAT(admitted(policyFor({}), {kDb}).at(ip("10.20.0.5")), IsEmpty());
}

TEST(Clients, OfWhoIsntIsolatedNothingIsSaid) {
  auto policy = policyFor({});
  policy.spec.podNetworkNames = {"green"};
  EXPECT_THAT(admitted(policy), IsEmpty());
}

}  // namespace
}  // namespace multinet::agent::policing
