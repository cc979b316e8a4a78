// On which of its networks a policy is told who its peers are: those that its author may know of.
#include <gmock/gmock.h>

#include "controller/policies/test_shop.h"

namespace multinet::controller {
namespace {

using ::testing::ElementsAre;
using testing::PolicyShop;

constexpr auto kOnBlue = "10.20.0.5";
constexpr auto kOnRed = "10.30.0.5";
constexpr auto kOwn = "10.30.0.9";

api::PodNetwork red() {
  auto network = api::testing::otherNetwork("red", 30);
  network.spec.access.namespaces = {api::AccessFrom::Selector,
                                    k8s::LabelSelector{{{"team", "other"}}, {}}};
  return network;
}

k8s::Namespace home(const std::string& team) {
  k8s::Namespace space;
  space.metadata.name = "default";
  space.metadata.labels = {{"team", team}};
  return space;
}

/// A policy of namespace default that means everybody on blue and red, on each of which namespace
/// other has a pod. Red isn't open to default.
class PolicyNetworks : public ::testing::Test {
 protected:
  PolicyNetworks() {
    shop_.put(red());
    shop_.run(PolicyShop::pod("web-0", "web", "other"), {kOnBlue});
    runOnRed("secret-0", "other", kOnRed);
    auto policy = api::testing::goodPolicy("db", "blue");
    policy.spec.podNetworkNames = {"blue", "red"};
    policy.spec.ingress[0].peers = {{k8s::LabelSelector{}, k8s::LabelSelector{}, {}}};
    shop_.put(policy);
  }
  void runOnRed(const std::string& name, const std::string& nameSpace, const std::string& address) {
    auto pod = PolicyShop::pod(name, "secret", nameSpace);
    pod.metadata.annotations[api::kNetworksAnnotation] = "red";
    shop_.put(pod);
    shop_.put(PolicyShop::setOf(pod, {address}, "red"));
  }
  std::vector<std::string> told() {
    shop_.converge();
    return shop_.addresses();
  }
  std::vector<std::string> networksInHead() {
    std::vector<std::string> found;
    const auto head = shop_.head("db-uid-db");
    for (const auto& peer : head->peers) found.push_back(peer.podNetworkName);
    std::ranges::sort(found);
    return found;
  }

  PolicyShop shop_;
};

TEST_F(PolicyNetworks, ThatArentOpenToItsNamespaceSayNothingOfWhoIsThere) {
  EXPECT_THAT(told(), ElementsAre(kOnBlue));
  EXPECT_THAT(networksInHead(), ElementsAre("blue"));
  EXPECT_EQ(shop_.reason("Accepted"), "NetworkNotFound");
  shop_.elect();
  EXPECT_THAT(told(), ElementsAre(kOnBlue));
}

TEST_F(PolicyNetworks, FollowTheirAccess) {
  EXPECT_THAT(told(), ElementsAre(kOnBlue));
  auto open = red();
  open.spec.access.namespaces = {api::AccessFrom::All, {}};
  shop_.put(open);
  EXPECT_THAT(told(), ElementsAre(kOnBlue, kOnRed));
  EXPECT_THAT(networksInHead(), ElementsAre("blue", "red"));
  shop_.put(red());
  EXPECT_THAT(told(), ElementsAre(kOnBlue));
}

TEST_F(PolicyNetworks, FollowTheLabelsOfItsNamespace) {
  EXPECT_THAT(told(), ElementsAre(kOnBlue));
  shop_.put(home("other"));
  EXPECT_THAT(told(), ElementsAre(kOnBlue, kOnRed));
  shop_.put(home("default"));
  EXPECT_THAT(told(), ElementsAre(kOnBlue));
}

TEST_F(PolicyNetworks, AskedForByAPodThatDoesntHaveThemSayNothing) {
  auto pod = PolicyShop::pod("own-0", "secret", "default");
  pod.metadata.annotations[api::kNetworksAnnotation] = "red";
  shop_.put(pod);
  EXPECT_THAT(told(), ElementsAre(kOnBlue));
  shop_.put(PolicyShop::setOf(pod, {kOwn}, "red"));
  EXPECT_THAT(told(), ElementsAre(kOnBlue, kOnRed, kOwn));
}

TEST_F(PolicyNetworks, CountWherePodsOfItsNamespaceAreThere) {
  EXPECT_THAT(told(), ElementsAre(kOnBlue));
  runOnRed("own-0", "default", kOwn);
  EXPECT_THAT(told(), ElementsAre(kOnBlue, kOnRed, kOwn)) << "it was open once";
  shop_.remove<k8s::Pod>("own-0", "default");
  EXPECT_THAT(told(), ElementsAre(kOnBlue));
}

}  // namespace
}  // namespace multinet::controller
