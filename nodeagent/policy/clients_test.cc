#include "nodeagent/policy/clients.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
