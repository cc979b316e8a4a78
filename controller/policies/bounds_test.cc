// Policies whose peers have more addresses than anybody is told: what they cost, what becomes of
// them and of those who share their peers.
#include <gmock/gmock.h>

#include "controller/policies/test_shop.h"

namespace multinet::controller {
namespace {

using api::testing::goodPolicy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using testing::PolicyShop;
using ::testing::SizeIs;

constexpr auto kHead = "db-uid-db";
constexpr auto kClusterHead = "cluster-guard-uid-guar";
constexpr int kPeers = 500;
constexpr int kAddresses = 16;
/// Of one pod: 25 of them are as many as may be.
constexpr std::size_t kOfAPod = std::size_t{kPeers} * kAddresses;
static_assert(25 * kOfAPod == api::kMaxPolicyMembers);

const k8s::ObjectKey kDb{"default", "db"};
const k8s::ObjectKey kGuard{"", "guard"};

/// No pod has the label.
k8s::LabelSelector everybodyBut(int label) {
  return {{}, {{"x" + std::to_string(label), k8s::SelectorOperator::DoesNotExist, {}}}};
}

/// So many peers, each of which means all pods.
api::PodNetworkPolicy broad(const std::string& name, int peers) {
  auto policy = goodPolicy(name, "blue");
  policy.spec.ingress.clear();
  for (int i = 0; i < peers; ++i) {
    if (i % 100 == 0) policy.spec.ingress.emplace_back();
    policy.spec.ingress.back().peers.push_back({everybodyBut(i), k8s::LabelSelector{}, {}});
  }
  return policy;
}

api::ClusterPodNetworkPolicy broadGuard() {
  auto policy = api::testing::goodClusterPolicy("guard", "blue");
  policy.spec.subject.namespaces = k8s::LabelSelector{{{"team", "default"}}, {}};
  policy.spec.egress.clear();
  const auto peer = policy.spec.ingress.at(0).peers.at(0);
  policy.spec.ingress.assign(kPeers / 25, {"", api::ClusterPolicyAction::Deny, {}, {}});
  for (int i = 0; i < kPeers; ++i) {
    auto& peers = policy.spec.ingress.at(static_cast<std::size_t>(i / 25)).peers;
    peers.push_back(peer);
    peers.back().pods = api::NamespacedPods{{}, everybodyBut(i)};
  }
  return policy;
}

/// Pods of another namespace, as many as are wanted.
class Crowd : public PolicyShop {
 public:
  void become(int pods) {
    for (; pods_ < pods; ++pods_) {
      std::vector<std::string> addresses;
      for (int i = 1; i <= kAddresses; ++i) {
        addresses.push_back("10.20." + std::to_string(pods_) + "." + std::to_string(i));
      }
      run(pod(nameOf(pods_), "web", "other"), addresses);
    }
    while (pods_ > pods) remove<k8s::Pod>(nameOf(--pods_), "other");
  }
  std::optional<std::size_t> excess(const k8s::ObjectKey& policy) const {
    return world.policyGroups().excess(policy);
  }
  std::size_t kept() const { return world.policyGroups().kept(); }

 private:
  static std::string nameOf(int i) { return "p-" + std::to_string(i); }
  int pods_ = 0;
};

TEST(PolicyBounds, OfTooManyAddressesNoneIsKeptNorTold) {
  Crowd shop;
  shop.become(25);
  shop.put(broad("db", kPeers));
  EXPECT_FALSE(shop.excess(kDb)) << "as many as may be";
  EXPECT_EQ(shop.kept(), api::kMaxPolicyMembers);
  shop.become(26);
  EXPECT_EQ(shop.excess(kDb), 26 * kOfAPod);
  EXPECT_EQ(shop.kept(), 0U);
  shop.converge();
  ASSERT_TRUE(shop.head(kHead));
  EXPECT_THAT(shop.head(kHead)->peers, IsEmpty());
  EXPECT_THAT(shop.addresses(), IsEmpty());
  EXPECT_EQ(shop.reason("Accepted"), "Accepted");
  const auto resolved = shop.condition("PeersResolved");
  EXPECT_EQ(resolved.status, k8s::ConditionStatus::False);
  EXPECT_EQ(resolved.reason, "TooManyPeers");
  EXPECT_THAT(resolved.message, HasSubstr("208000 addresses"));
  EXPECT_THAT(resolved.message, HasSubstr("at most 200000"));
  EXPECT_THAT(resolved.message, HasSubstr("none of those that are selected is allowed; select"));
  shop.become(30);
  EXPECT_EQ(shop.excess(kDb), 30 * kOfAPod) << "they are counted on";
  EXPECT_EQ(shop.kept(), 0U);
}

TEST(PolicyBounds, AreFoundBeforeAllIsLookedFor) {
  Crowd shop;
  shop.become(60);
  shop.put(broad("db", kPeers));
  shop.converge();
  EXPECT_EQ(shop.excess(kDb), 60 * kOfAPod);
  EXPECT_EQ(shop.kept(), 0U);
  EXPECT_THAT(shop.slices(), SizeIs(1)) << "its head";
  shop.elect();
  EXPECT_THAT(shop.look(), IsEmpty());
}

TEST(PolicyBounds, OfWhatNodesWereToldNothingStays) {
  Crowd shop;
  shop.become(1);
  shop.put(broad("db", kPeers));
  shop.converge();
  EXPECT_THAT(shop.addresses(), SizeIs(kOfAPod));
  shop.become(26);
  shop.converge();
  EXPECT_THAT(shop.slices(), SizeIs(1)) << "its head";
  EXPECT_THAT(shop.head(kHead)->peers, IsEmpty());
}

TEST(PolicyBounds, AreOfOnePolicyAndTakeNothingFromAnother) {
  Crowd shop;
  shop.become(26);
  shop.put(broad("db", kPeers));
  shop.put(broad("few", 1));
  shop.converge();
  const auto members = [&] { return shop.head("few-uid-few")->peers.at(0).members; };
  EXPECT_TRUE(shop.excess(kDb));
  EXPECT_EQ(members(), 26 * kAddresses);
  EXPECT_EQ(shop.kept(), 26U * kAddresses);
  EXPECT_EQ(shop.reason("PeersResolved"), "TooManyPeers");
  EXPECT_EQ(shop.condition("PeersResolved", "few").reason, "Resolved");
  shop.become(27);
  shop.converge();
  EXPECT_EQ(members(), 27 * kAddresses);
  shop.remove<api::PodNetworkPolicy>("few", "default");
  shop.converge();
  EXPECT_EQ(shop.kept(), 0U) << "who else means it is over the bound";
  shop.put(broad("few", 1));
  shop.converge();
  EXPECT_EQ(members(), 27 * kAddresses) << "looked for anew";
  EXPECT_EQ(shop.excess(kDb), 27 * kOfAPod);
}

TEST(PolicyBounds, ArePassedBackATenthBelow) {
  Crowd shop;
  shop.become(27);
  shop.put(broad("db", kPeers));
  shop.converge();
  shop.become(23);
  EXPECT_EQ(shop.excess(kDb), 23 * kOfAPod);
  shop.become(1);
  EXPECT_FALSE(shop.excess(kDb));
  shop.converge();
  EXPECT_THAT(shop.head(kHead)->peers, SizeIs(kPeers));
  EXPECT_THAT(shop.addresses(), SizeIs(kOfAPod));
  EXPECT_EQ(shop.reason("PeersResolved"), "Resolved");
}

TEST(PolicyBounds, FollowWhatThePolicySays) {
  Crowd shop;
  shop.become(26);
  auto policy = broad("db", kPeers);
  shop.put(policy);
  EXPECT_TRUE(shop.excess(kDb));
  auto small = broad("db", kPeers / 5);
  ++small.metadata.generation;
  for (int i = 0; i < 3; ++i) {
    shop.put(small);
    EXPECT_FALSE(shop.excess(kDb));
    EXPECT_EQ(shop.kept(), 26 * kOfAPod / 5);
    shop.put(policy);
    EXPECT_EQ(shop.excess(kDb), 26 * kOfAPod);
    EXPECT_EQ(shop.kept(), 0U);
  }
}

TEST(PolicyBounds, WhatAPolicyMeantIsForgottenWithIt) {
  Crowd shop;
  shop.become(10);
  for (int i = 0; i < 3; ++i) {
    shop.put(broad("db", kPeers / 5));
    EXPECT_EQ(shop.kept(), 10 * kOfAPod / 5);
    shop.remove<api::PodNetworkPolicy>("db", "default");
    EXPECT_EQ(shop.kept(), 0U);
  }
}

TEST(PolicyBounds, OfTheClustersKeepWhatIsntToldFromBeingPromised) {
  Crowd shop;
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.200.1"});
  shop.become(26);
  shop.put(broadGuard());
  shop.converge();
  EXPECT_EQ(shop.excess(kGuard), 26 * kOfAPod + kPeers);
  EXPECT_EQ(shop.kept(), 0U);
  EXPECT_FALSE(shop.head(kClusterHead));
  EXPECT_FALSE(shop.ledger("default"));
  const auto resolved = shop.clusterCondition("PeersResolved", "guard");
  EXPECT_EQ(resolved.reason, "TooManyPeers");
  EXPECT_THAT(resolved.message, HasSubstr("208500 addresses"));
  shop.become(1);
  shop.converge();
  ASSERT_TRUE(shop.head(kClusterHead));
  EXPECT_THAT(shop.head(kClusterHead)->peers, SizeIs(kPeers));
  EXPECT_THAT(shop.ledger("default"), Optional(ElementsAre("guard@uid-guard:1")));
}

TEST(PolicyBounds, OfTheClustersEndNothingThatPodsAreHeldTo) {
  Crowd shop;
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.200.1"});
  shop.become(1);
  shop.put(broadGuard());
  shop.converge();
  shop.become(26);
  EXPECT_FALSE(shop.excess(kGuard)) << "else who makes pods enough is let by what it denies";
  EXPECT_EQ(shop.kept(), 26 * kOfAPod + kPeers);
  auto next = shop.get<api::ClusterPodNetworkPolicy>("guard");
  ++next.metadata.generation;
  next.spec.priority = 11;
  shop.put(next);
  shop.converge();
  EXPECT_FALSE(shop.excess(kGuard)) << "it means nobody else";
  EXPECT_EQ(shop.head(kClusterHead)->policyGeneration, next.metadata.generation);
  shop.become(27);
  EXPECT_FALSE(shop.excess(kGuard));
  // What means more than nodes were told of is judged anew.
  next = shop.get<api::ClusterPodNetworkPolicy>("guard");
  ++next.metadata.generation;
  next.spec.ingress.at(0).peers.at(0).pods = api::NamespacedPods{{}, everybodyBut(kPeers)};
  shop.put(next);
  EXPECT_TRUE(shop.excess(kGuard)) << "of this one nobody was told";
  shop.converge();
  EXPECT_EQ(shop.head(kClusterHead)->policyGeneration, next.metadata.generation - 1);
  EXPECT_EQ(shop.clusterCondition("PeersResolved", "guard").reason, "TooManyPeers");
}

}  // namespace
}  // namespace multinet::controller
