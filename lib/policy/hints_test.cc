#include "lib/policy/hints.h"

#include <gmock/gmock.h>

#include "lib/api/test_objects.h"
#include "lib/policy/test_worlds.h"

namespace multinet::policy {
namespace {

using ::testing::ElementsAre;
using testing::ip;
using ::testing::IsEmpty;
using testing::pod;

/// db takes pg from web, of shop; both are on blue.
class HintsTest : public ::testing::Test {
 protected:
  HintsTest() {
    policy_.metadata.nameSpace = "shop";
    policy_.spec.podNetworkNames = {"blue"};
    policy_.spec.podSelector.matchLabels = {{"app", "db"}};
    auto& rule = policy_.spec.ingress.emplace_back();
    rule.peers.emplace_back().podSelector = k8s::LabelSelector{{{"app", "web"}}, {}};
    rule.ports = {{api::Protocol::TCP, k8s::IntOrString{80, ""}, {}},
                  {api::Protocol::TCP, k8s::IntOrString{0, "pg"}, {}}};
    world_.namespaces = {{"shop", {{"team", "a"}}}, {"ops", {{"team", "b"}}}};
    world_.pods = {
        pod("shop", "db", {{"app", "db"}}, {ip("10.0.0.1")}, {{"pg", api::Protocol::TCP, 5432}}),
        pod("shop", "web", {{"app", "web"}}, {ip("10.0.0.2")})};
  }
  std::vector<std::string> hints() const {
    std::vector<std::string> told;
    for (const auto& one : hintsOf(policy_, world_, hostPods_)) told.push_back(one.str());
    return told;
  }

  api::PodNetworkPolicy policy_;
  World world_;
  std::vector<Pod> hostPods_;
};

TEST_F(HintsTest, NamesOfPortsThatNoSelectedPodHas) {
  EXPECT_THAT(hints(), IsEmpty());
  world_.pods[0].ports[0].protocol = api::Protocol::UDP;
  world_.pods.push_back(pod("shop", "other", {}, {}, {{"pg", api::Protocol::TCP, 1}}));
  EXPECT_THAT(hints(),
              ElementsAre("spec.ingress[0].ports[1].port: \"pg\" is the name of no TCP port of a "
                          "pod that it selects, so it lets nobody in; write a name that one of "
                          "their containers gives a port, or a number"));
  world_.pods.push_back(
      pod("shop", "db2", {{"app", "db"}}, {}, {{"pg", api::Protocol::TCP, 5432}}));
  EXPECT_THAT(hints(), IsEmpty()) << "one of them is enough";
}

TEST_F(HintsTest, NothingIsMissedWhereNoPodIsThereYet) {
  world_.pods[0].ports.clear();
  world_.pods[0].interfaces[0].network = "red";
  EXPECT_THAT(hints(), IsEmpty()) << "it isn't on a network of the policy's";
  world_.pods.clear();
  EXPECT_THAT(hints(), IsEmpty());
  policy_.spec.policyTypes = {api::PolicyType::Egress};
  EXPECT_THAT(wantedPorts(policy_), IsEmpty()) << "its rules for ingress say nothing";
}

TEST_F(HintsTest, SelectorsThatMatchPodsOfTheNodesNetworkAlone) {
  hostPods_ = {{{"shop", "a"}, {{"app", "db"}}, {}, {}}, {{"ops", "b"}, {{"app", "web"}}, {}, {}}};
  EXPECT_THAT(hints(), IsEmpty()) << "others of those labels are on the network";
  world_.pods.erase(world_.pods.begin());
  EXPECT_THAT(hints(),
              ElementsAre("spec.podSelector: matches pods with hostNetwork alone, which are on no "
                          "network: it isolates none of them; write labels of pods that ask for "
                          "one of its networks"));
  hostPods_.erase(hostPods_.begin());
  EXPECT_THAT(hints(), IsEmpty()) << "nobody has them";
  policy_.spec.ingress[0].peers[0].namespaceSelector = k8s::LabelSelector{{{"team", "b"}}, {}};
  EXPECT_THAT(hints(), ElementsAre(::testing::StartsWith("spec.ingress[0].from[0]: matches pods "
                                                         "with hostNetwork alone")));
  policy_.spec.ingress[0].peers[0].namespaceSelector = k8s::LabelSelector{{{"team", "c"}}, {}};
  EXPECT_THAT(hints(), IsEmpty());
  policy_.spec.ingress[0].peers[0] = {{}, {}, api::PolicyIpBlock{"10.0.0.0/8", {}}};
  EXPECT_THAT(hints(), IsEmpty()) << "a block means whoever has the address";
}

TEST_F(HintsTest, OfAPolicyOfTheClusterAreLikewise) {
  auto policy = api::testing::goodClusterPolicy("guard", "blue");
  policy.spec.subject.namespaces = k8s::LabelSelector{{{"team", "a"}}, {}};
  auto& rule = policy.spec.ingress.at(0);
  rule.protocols.at(0) = {};
  rule.protocols.at(0).destinationNamedPort = "pg";
  const auto told = [&] {
    std::vector<std::string> out;
    for (const auto& one : hintsOf(policy, world_, hostPods_)) out.push_back(one.str());
    return out;
  };
  EXPECT_THAT(told(), IsEmpty());
  world_.pods[0].ports[0].protocol = api::Protocol::UDP;
  EXPECT_THAT(told(), IsEmpty()) << "a name is of whichever protocol";
  world_.pods[0].ports.clear();
  EXPECT_THAT(told(),
              ElementsAre("spec.ingress[0].protocols[0].destinationNamedPort: \"pg\" is the "
                          "name of no port of a pod that it selects, so it lets nobody in; "
                          "write a name that one of their containers gives a port, or a "
                          "number"));
  rule.action = api::ClusterPolicyAction::Deny;
  EXPECT_THAT(told(), ElementsAre(::testing::HasSubstr("so it keeps nobody out")));
  rule.protocols.clear();
  hostPods_ = {{{"ops", "b"}, {{"app", "exporter"}}, {}, {}}};
  EXPECT_THAT(told(), IsEmpty());
  rule.peers.at(0).pods = api::NamespacedPods{{}, {{{"app", "exporter"}}, {}}};
  EXPECT_THAT(told(), ElementsAre(::testing::StartsWith(
                          "spec.ingress[0].from[0]: matches pods with hostNetwork alone")));
}

}  // namespace
}  // namespace multinet::policy
