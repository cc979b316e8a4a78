#include "controller/policies/cluster.h"

#include <gmock/gmock.h>

#include "controller/policies/test_shop.h"
#include "lib/policy/peers.h"
#include "lib/policy/tiers.h"

namespace multinet::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using testing::PolicyShop;
using ::testing::SizeIs;

constexpr auto kHead = "cluster-guard-uid-guar";
constexpr auto kGuard = "guard@uid-guard:1";

/// Of all namespaces of a team; lets pods of team ops in.
api::ClusterPodNetworkPolicy guard(const std::string& team = "default") {
  auto policy = api::testing::goodClusterPolicy("guard", "blue");
  policy.spec.subject.namespaces = k8s::LabelSelector{{{"team", team}}, {}};
  policy.spec.ingress.at(0).peers.at(0).pods->namespaceSelector = {};
  policy.spec.ingress.at(0).peers.at(0).pods->podSelector = {{{"app", "ops"}}, {}};
  return policy;
}
api::ClusterPodNetworkPolicy guardOfAll() {
  auto policy = guard();
  policy.spec.subject.namespaces = k8s::LabelSelector{};
  return policy;
}
k8s::Namespace space(const std::string& name, const std::string& team) {
  k8s::Namespace made;
  made.metadata.name = name;
  made.metadata.labels = {{"team", team}};
  return made;
}

std::vector<std::string> itemsOf(const std::vector<Write>& writes) {
  std::vector<std::string> items;
  for (const auto& one : writes) {
    if (one.verb != Verb::PatchStatus) items.push_back(one.item());
  }
  return items;
}
/// Carries out one look's writes.
std::vector<std::string> turn(PolicyShop& shop) {
  const auto writes = shop.look();
  for (const auto& one : writes) EXPECT_TRUE(shop.apply(one)) << one.item();
  shop.pass(std::chrono::seconds(2));
  return itemsOf(writes);
}

TEST(ClusterPolicies, AreToldInNamespacesThatTheySelectAndThatHavePodsThere) {
  PolicyShop shop;
  shop.put(space("empty", "default"));
  shop.run(PolicyShop::pod("ops-0", "ops", "other"), {"10.20.0.5"});
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.put(guard());
  shop.converge();
  const auto head = shop.head(kHead);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->policyGeneration, 1);
  EXPECT_EQ(*head->clusterSpec, guard().spec);
  EXPECT_FALSE(head->spec);
  ASSERT_THAT(head->peers, SizeIs(1));
  EXPECT_EQ(head->peers[0].peer, policy::peerHash(policy::peersOf(policy::rulesOf(guard())).at(0)));
  EXPECT_EQ(head->peers[0].members, 1);
  EXPECT_THAT(shop.addresses(), ElementsAre("10.20.0.5"));
  EXPECT_FALSE(shop.head(kHead, "other"));
  EXPECT_FALSE(shop.head(kHead, "empty"));
  EXPECT_THAT(shop.ledger("default"), Optional(ElementsAre(kGuard)));
  EXPECT_THAT(shop.ledger("other"), Optional(ElementsAre(kGuard))) << "it isn't selected: told";
  EXPECT_FALSE(shop.ledger("empty"));
  for (const auto& slice : shop.slices()) {
    EXPECT_EQ(slice.metadata.labels.at(api::kPolicyNamespaceLabel), slice.metadata.nameSpace);
    if (slice.ledger) continue;
    EXPECT_EQ(slice.clusterPolicyName, "guard");
    EXPECT_EQ(slice.policyUID, "uid-guard");
    EXPECT_EQ(slice.policyName, "");
    ASSERT_NE(slice.metadata.controllerRef(), nullptr);
    EXPECT_EQ(slice.metadata.controllerRef()->kind, "ClusterPodNetworkPolicy");
  }
  EXPECT_THAT(shop.look(), IsEmpty());
  shop.elect();
  EXPECT_THAT(shop.look(), IsEmpty());
}

TEST(ClusterPolicies, AreInTheLedgerOnceTheirHeadStands) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("ops-0", "ops", "other"), {"10.20.0.5"});
  shop.put(guard());
  shop.converge();
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  EXPECT_THAT(turn(shop),
              ElementsAre("create PodNetworkPolicySlice default/cluster-guard-uid-guar-0"));
  EXPECT_THAT(turn(shop),
              ElementsAre("create PodNetworkPolicySlice default/cluster-guard-uid-guar"));
  EXPECT_THAT(turn(shop),
              ElementsAre("create PodNetworkPolicySlice default/multinet-cluster-policies"));
  EXPECT_THAT(turn(shop), IsEmpty());
  EXPECT_THAT(shop.ledger("default"), Optional(ElementsAre(kGuard)));
}

TEST(ClusterPolicies, AreTakenFromTheLedgerBeforeAHeadGoesThatSelects) {
  PolicyShop shop;
  shop.put(api::testing::otherNetwork("red", 30));
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  auto red = api::testing::goodClusterPolicy("red", "red");
  shop.put(red);
  shop.put(guard());
  auto onRed = testing::podOf("red-0", "red");
  onRed.metadata.labels = {{"app", "ops"}};
  shop.put(onRed);
  shop.converge();
  shop.remove<k8s::Pod>("db-0", "default");
  shop.pass(kVacancyKept);
  EXPECT_THAT(turn(shop),
              ElementsAre("patch PodNetworkPolicySlice default/multinet-cluster-policies"));
  EXPECT_TRUE(shop.head(kHead)) << "a pod may come meanwhile";
  EXPECT_THAT(turn(shop),
              ElementsAre("patch PodNetworkPolicySlice default/cluster-guard-uid-guar"));
  ASSERT_TRUE(shop.head(kHead)) << "it says that it goes";
  EXPECT_EQ(shop.head(kHead)->policyGeneration, 0);
  EXPECT_EQ(*shop.head(kHead)->clusterSpec, guard().spec) << "for who runs on";
  EXPECT_THAT(turn(shop),
              ElementsAre("delete PodNetworkPolicySlice default/cluster-guard-uid-guar"));
  EXPECT_THAT(shop.ledger("default"), Optional(ElementsAre("red@uid-red:1")));
  shop.remove<k8s::Pod>("red-0", "default");
  shop.pass(kVacancyKept);
  EXPECT_THAT(turn(shop),
              ElementsAre("delete PodNetworkPolicySlice default/multinet-cluster-policies"));
  EXPECT_THAT(shop.slices(), IsEmpty());
}

/// Pods of a namespace that has a ledger for another policy's sake.
class ComingAndGoing : public ::testing::Test {
 protected:
  ComingAndGoing() {
    shop_.put(api::testing::otherNetwork("red", 30));
    shop_.put(api::testing::goodClusterPolicy("red", "red"));
    shop_.put(guard());
    shop_.put(testing::podOf("red-0", "red"));
    shop_.run(PolicyShop::pod("ops-0", "ops", "other"), {"10.20.0.5"});
    come();
    shop_.converge();
  }
  void come() { shop_.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"}); }
  void leave() { shop_.remove<k8s::Pod>("db-0", "default"); }
  /// For so long that nothing is kept for the next one.
  void go() {
    leave();
    shop_.pass(kVacancyKept);
  }
  bool isPromised() { return std::ranges::count(shop_.ledger("default").value(), kGuard) > 0; }
  /// Ends what is begun, but `late`.
  std::optional<PlannedWrite> endAllBut(const std::string& late) {
    std::optional<PlannedWrite> kept;
    for (auto& one : shop_.begin()) {
      if (one.write.item() == late) {
        kept = std::move(one);
      } else {
        EXPECT_TRUE(shop_.end(one)) << one.write.item();
        EXPECT_TRUE(!isPromised() || shop_.head(kHead)) << one.write.item();
      }
    }
    return kept;
  }

  PolicyShop shop_;
};

TEST_F(ComingAndGoing, AHeadWhoseEndIsUnderWayIsPromisedToNobody) {
  go();
  std::optional<PlannedWrite> late;
  for (int i = 0; i < 5 && !late; ++i) {
    late = endAllBut("delete PodNetworkPolicySlice default/cluster-guard-uid-guar");
  }
  ASSERT_TRUE(late);
  come();
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(endAllBut(""));
    EXPECT_FALSE(isPromised()) << "its end may still come";
  }
  EXPECT_FALSE(shop_.end(*late)) << "it was written anew";
  shop_.converge();
  EXPECT_TRUE(isPromised());
  EXPECT_EQ(shop_.head(kHead)->policyGeneration, 1);
}

/// Its end may have come already, where caches lag.
TEST_F(ComingAndGoing, AHeadThatGoesIsPromisedOnceItWasWrittenAnew) {
  go();
  for (int i = 0; i < 2; ++i) static_cast<void>(endAllBut(""));
  ASSERT_EQ(shop_.head(kHead)->policyGeneration, 0);
  come();
  EXPECT_THAT(turn(shop_),
              ElementsAre("patch PodNetworkPolicySlice default/cluster-guard-uid-guar"));
  EXPECT_THAT(turn(shop_),
              ElementsAre("patch PodNetworkPolicySlice default/multinet-cluster-policies"));
  EXPECT_TRUE(isPromised());
}

TEST_F(ComingAndGoing, AHeadStaysWhileAPromiseOfItIsUnderWay) {
  go();
  static_cast<void>(endAllBut(""));
  ASSERT_FALSE(isPromised());
  come();
  const auto late = endAllBut("patch PodNetworkPolicySlice default/multinet-cluster-policies");
  ASSERT_TRUE(late);
  go();
  for (int i = 0; i < 3; ++i) static_cast<void>(endAllBut(""));
  EXPECT_EQ(shop_.head(kHead)->policyGeneration, 0);
  EXPECT_TRUE(shop_.end(*late));
  EXPECT_TRUE(isPromised());
  EXPECT_TRUE(shop_.head(kHead));
  shop_.converge();
  EXPECT_FALSE(isPromised());
  EXPECT_FALSE(shop_.head(kHead));
  EXPECT_THAT(shop_.addresses(), IsEmpty());
}

TEST_F(ComingAndGoing, AHeadGoesBeforeThePeersThatItCounts) {
  const auto peers = [&] {
    return std::ranges::count_if(shop_.slices(),
                                 [](const auto& one) { return one.members.has_value(); });
  };
  ASSERT_GT(peers(), 0);
  go();
  for (int i = 0; i < 5 && shop_.head(kHead); ++i) {
    EXPECT_GT(peers(), 0) << "a pod that runs on is held to what names them";
    static_cast<void>(turn(shop_));
  }
  EXPECT_FALSE(shop_.head(kHead));
  shop_.converge();
  EXPECT_EQ(peers(), 0);
}

TEST_F(ComingAndGoing, AHeadStaysThatTheServersLedgerPromises) {
  go();
  for (int i = 0; i < 2; ++i) static_cast<void>(endAllBut(""));
  ASSERT_EQ(shop_.head(kHead)->policyGeneration, 0);
  auto ledger = shop_.get<api::PodNetworkPolicySlice>(api::kPolicyLedgerName, "default");
  ledger.ledger->clusterPolicies.push_back({"guard", "uid-guard", 1});
  shop_.changeUnseen(ledger);
  const auto writes = shop_.look();
  EXPECT_THAT(itemsOf(writes),
              ElementsAre("delete PodNetworkPolicySlice default/cluster-guard-uid-guar"));
  for (const auto& one : writes) EXPECT_FALSE(shop_.apply(one));
}

TEST_F(ComingAndGoing, APodThatComesAgainSoonCostsNothing) {
  shop_.remove<k8s::Pod>("red-0", "default");
  for (int i = 0; i < 10; ++i) {
    leave();
    EXPECT_THAT(turn(shop_), IsEmpty());
    shop_.pass(std::chrono::minutes(1));
    EXPECT_THAT(turn(shop_), IsEmpty());
    come();
    EXPECT_THAT(turn(shop_), IsEmpty());
  }
  EXPECT_TRUE(isPromised());
}

TEST_F(ComingAndGoing, WhatIsKeptIsFollowedTillItGoes) {
  leave();
  EXPECT_THAT(turn(shop_), IsEmpty());
  shop_.run(PolicyShop::pod("ops-1", "ops", "other"), {"10.20.0.8"});
  shop_.converge();
  EXPECT_TRUE(isPromised());
  EXPECT_EQ(shop_.head(kHead)->peers[0].members, 2) << "who comes now is held to all of it";
  shop_.pass(kVacancyKept);
  EXPECT_THAT(turn(shop_),
              ElementsAre("patch PodNetworkPolicySlice default/multinet-cluster-policies"))
      << "nothing changed but the time";
  shop_.converge();
  EXPECT_FALSE(isPromised());
  EXPECT_FALSE(shop_.head(kHead));
}

TEST_F(ComingAndGoing, WhatIsKeptGoesAtOnceWhereThePolicySelectsNobodyThereAnyMore) {
  leave();
  EXPECT_THAT(turn(shop_), IsEmpty());
  shop_.put(space("default", "none"));
  shop_.converge();
  EXPECT_FALSE(shop_.head(kHead));
  EXPECT_TRUE(isPromised()) << "that it doesn't select";
}

TEST_F(ComingAndGoing, WhatIsKeptGoesAtOnceWithThePolicy) {
  leave();
  EXPECT_THAT(turn(shop_), IsEmpty());
  shop_.remove<api::ClusterPodNetworkPolicy>("guard");
  shop_.converge();
  EXPECT_FALSE(shop_.head(kHead));
  EXPECT_FALSE(isPromised());
}

TEST_F(ComingAndGoing, ANewProcessCountsAnew) {
  go();
  PolicyShop fresh;
  fresh.put(api::testing::otherNetwork("red", 30));
  fresh.put(api::testing::goodClusterPolicy("red", "red"));
  fresh.put(guard());
  fresh.put(testing::podOf("red-0", "red"));
  fresh.run(PolicyShop::pod("ops-0", "ops", "other"), {"10.20.0.5"});
  for (const auto& slice : shop_.slices()) fresh.put(slice);
  fresh.elect();
  EXPECT_THAT(turn(fresh), IsEmpty());
  fresh.pass(kVacancyKept);
  EXPECT_THAT(turn(fresh),
              ElementsAre("patch PodNetworkPolicySlice default/multinet-cluster-policies"));
}

TEST(ClusterPolicies, APodThatIsStillToBeAttachedCounts) {
  PolicyShop shop;
  shop.put(guard());
  shop.converge();
  EXPECT_THAT(shop.slices(), IsEmpty());
  shop.put(PolicyShop::pod("db-0", "db"));
  shop.converge();
  EXPECT_TRUE(shop.head(kHead));
  EXPECT_THAT(shop.ledger("default"), Optional(ElementsAre(kGuard)));
}

TEST(ClusterPolicies, OfAnotherGenerationAreInTheLedgerAsTheirHeadIs) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.run(PolicyShop::pod("db-0", "db", "other"), {"10.20.0.7"});
  shop.put(guard());
  shop.converge();
  auto policy = shop.get<api::ClusterPodNetworkPolicy>("guard");
  ++policy.metadata.generation;
  policy.spec.priority = 11;
  shop.put(policy);
  static_cast<void>(turn(shop));
  EXPECT_THAT(shop.ledger("other"), Optional(ElementsAre("guard@uid-guard:2")));
  EXPECT_THAT(shop.ledger("default"), Optional(ElementsAre(kGuard))) << "its head wasn't there yet";
  shop.converge();
  EXPECT_THAT(shop.ledger("default"), Optional(ElementsAre("guard@uid-guard:2")));
}

TEST(ClusterPolicies, FollowTheLabelsOfNamespaces) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.put(guard());
  shop.converge();
  shop.put(space("default", "none"));
  auto writes = shop.look();
  shop.changeUnseen(space("default", "default"));
  for (const auto& one : writes) {
    if (one.verb != Verb::Delete) continue;
    EXPECT_FALSE(shop.apply(one)) << "the labels were put back";
  }
  EXPECT_TRUE(shop.head(kHead));
  shop.put(space("default", "none"));
  shop.elect();
  shop.converge();
  EXPECT_FALSE(shop.head(kHead));
  EXPECT_THAT(shop.ledger("default"), Optional(ElementsAre(kGuard)));
  shop.put(space("default", "default"));
  shop.converge();
  EXPECT_TRUE(shop.head(kHead));
}

TEST(ClusterPolicies, ThatAreGoneTakeTheirSlicesWithThemOnceTheServerSaysSo) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.run(PolicyShop::pod("ops-0", "ops", "other"), {"10.20.0.5"});
  shop.put(guardOfAll());
  shop.converge();
  EXPECT_THAT(shop.slices(), SizeIs(6));
  shop.remove<api::ClusterPodNetworkPolicy>("guard");
  shop.changeUnseen(guardOfAll());
  for (const auto& one : shop.look()) {
    if (one.key.name == api::kPolicyLedgerName) continue;
    EXPECT_FALSE(shop.apply(one)) << one.item();
  }
  auto again = guardOfAll();
  again.metadata.uid = "uid-another";
  shop.put(again);
  shop.converge();
  EXPECT_THAT(shop.ledger("other"), Optional(ElementsAre("guard@uid-another:1")));
  EXPECT_THAT(shop.slices(), SizeIs(6));
  shop.remove<api::ClusterPodNetworkPolicy>("guard");
  shop.converge();
  EXPECT_THAT(shop.slices(), IsEmpty());
}

TEST(ClusterPolicies, OneMadeAgainIsToldBeforeTheOneBeforeGoes) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.put(guard());
  shop.converge();
  auto again = guard();
  again.metadata.uid = "uid-another";
  shop.put(again);
  EXPECT_EQ(shop.fewestHeads("default"), 1U);
  for (const auto& one : shop.slices()) {
    if (one.head) {
      EXPECT_EQ(one.policyUID, "uid-another");
    }
  }
}

TEST(ClusterPolicies, ALeaderWhoKnowsNothingElseTakesNothingAway) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.put(guard());
  shop.converge();
  testing::PolicyShop fresh;
  fresh.remove<k8s::Namespace>("default");
  fresh.put(guard());
  for (const auto& slice : shop.slices()) fresh.put(slice);
  fresh.elect();
  EXPECT_THAT(itemsOf(fresh.look()), IsEmpty());
}

TEST(ClusterPolicies, AHeadOfALaterGenerationIsAnEarlierLeaders) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  auto policy = guard();
  policy.metadata.generation = 2;
  shop.put(policy);
  shop.converge();
  shop.put(guard("another"));
  EXPECT_THAT(itemsOf(shop.look()),
              ElementsAre("patch PodNetworkPolicySlice default/multinet-cluster-policies"));
  shop.converge();
  EXPECT_TRUE(shop.head(kHead));
}

TEST(ClusterPolicies, OfMorePeersThanAHeadHoldsArentToldAndNobodyIsPromisedThem) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.run(PolicyShop::pod("ops-0", "ops", "other"), {"10.20.0.5"});
  auto policy = guard();
  const auto rule = policy.spec.ingress.at(0);
  policy.spec.ingress.assign(100, rule);
  for (int i = 0; i < 100; ++i) {
    auto& one = policy.spec.ingress.at(static_cast<std::size_t>(i));
    one.peers.assign(25, rule.peers.at(0));
    for (int k = 0; k < 25; ++k) {
      one.peers.at(static_cast<std::size_t>(k)).pods->podSelector.matchLabels = {
          {"app", std::to_string(25 * i + k)}};
    }
  }
  shop.put(policy);
  shop.converge();
  EXPECT_FALSE(shop.head(kHead));
  EXPECT_FALSE(shop.ledger("default"));
  EXPECT_THAT(shop.ledger("other"), Optional(ElementsAre(kGuard))) << "it isn't selected";
  EXPECT_EQ(shop.clusterCondition("PeersResolved", "guard").reason, "TooManyPeers");
  EXPECT_EQ(shop.clusterCondition("Accepted", "guard").reason, "Invalid");
}

TEST(ClusterPolicies, APodMoreIsASliceAndAHeadInEachNamespaceAndNothingElse) {
  PolicyShop shop;
  for (int i = 0; i < 5; ++i) {
    const auto name = "space-" + std::to_string(i);
    shop.put(space(name, "default"));
    shop.run(PolicyShop::pod("db-0", "db", name), {"10.20.1." + std::to_string(i + 1)});
  }
  shop.run(PolicyShop::pod("ops-0", "ops", "other"), {"10.20.0.5"});
  shop.put(guard());
  shop.converge();
  shop.run(PolicyShop::pod("ops-1", "ops", "other"), {"10.20.0.6"});
  EXPECT_THAT(turn(shop), SizeIs(5));
  EXPECT_THAT(turn(shop), SizeIs(5));
  EXPECT_THAT(turn(shop), IsEmpty());
  EXPECT_EQ(shop.head(kHead, "space-4")->peers[0].members, 2);
  shop.run(PolicyShop::pod("db-1", "db", "space-0"), {"10.20.0.7"});
  EXPECT_THAT(turn(shop), IsEmpty()) << "whom it selects nodes find out by themselves";
}

TEST(ClusterPolicyStatus, CountsInterfacesOfAllNamespaces) {
  PolicyShop shop;
  shop.put(guardOfAll());
  shop.converge();
  const auto enforced = [&] { return shop.clusterCondition("Enforced", "guard"); };
  EXPECT_EQ(enforced().reason, "NoneSelected");
  const auto db = PolicyShop::pod("db-0", "db");
  const auto web = PolicyShop::pod("web-0", "web", "other");
  shop.run(db, {"10.20.0.6"});
  shop.run(web, {"10.20.0.7"});
  shop.converge();
  EXPECT_EQ(enforced().reason, "NotReported");
  EXPECT_THAT(shop.clusterCondition("PeersResolved", "guard").message,
              HasSubstr("by PodNetworkPolicySlices in 2 namespaces"));
  shop.report(db, "10.20.0.6", true, "Enforced");
  shop.report(web, "10.20.0.7", true, "Enforced");
  shop.commit("node-a", "0");
  shop.converge();
  EXPECT_EQ(enforced().reason, "Pending");
  const auto last = std::ranges::max(shop.slices(), {}, [](const auto& one) {
                      return std::stoull(one.metadata.resourceVersion);
                    }).metadata.resourceVersion;
  shop.commit("node-a", last);
  shop.converge();
  EXPECT_EQ(enforced().reason, "Enforced");
  const auto status = shop.get<api::ClusterPodNetworkPolicy>("guard").status;
  EXPECT_EQ(status.interfaces, (api::PolicyInterfaceCounts{2, 2}));
  shop.report(web, "10.20.0.7", false, "CommitFailed");
  shop.converge();
  EXPECT_EQ(enforced().reason, "CommitFailed");
  EXPECT_THAT(shop.get<api::ClusterPodNetworkPolicy>("guard").status.notEnforced,
              ElementsAre("pod other/web-0 net1: CommitFailed"));
}

TEST(ClusterPolicyStatus, OfOneThatDeniesNobodyNeedsNoWordOfInterfacesThatEverybodyMaySpeakTo) {
  PolicyShop shop;
  auto policy = guard();
  policy.spec.egress.clear();
  shop.put(policy);
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.converge();
  const auto reason = [&] { return shop.clusterCondition("Enforced", "guard").reason; };
  EXPECT_EQ(reason(), "Pending") << "its node may never have heard of it";
  shop.commit("node-a", "1000000");
  shop.converge();
  EXPECT_EQ(reason(), "Enforced");
  EXPECT_EQ(shop.get<api::ClusterPodNetworkPolicy>("guard").status.interfaces,
            (api::PolicyInterfaceCounts{1, 1}));
  auto blue = shop.get<api::PodNetwork>("blue");
  blue.spec.defaultPolicy = api::DefaultPolicy::Deny;
  shop.put(blue);
  shop.converge();
  EXPECT_EQ(reason(), "NotReported") << "all else is denied there";
  blue.spec.defaultPolicy = api::DefaultPolicy::Allow;
  shop.put(blue);
  shop.converge();
  EXPECT_EQ(reason(), "Enforced");
  // What can't be read passes nobody on, but denies everybody.
  policy.spec.ingress.at(0).action = api::ClusterPolicyAction::Pass;
  policy.spec.ingress.at(0).peers.clear();
  ++policy.metadata.generation;
  shop.put(policy);
  shop.converge();
  EXPECT_EQ(reason(), "NotReported");
}

TEST(ClusterPolicies, MakeNothingInANamespaceThatEndsAndStayTold) {
  PolicyShop shop;
  const auto db = PolicyShop::pod("db-0", "db");
  shop.run(db, {"10.20.0.6"});
  shop.report(db, "10.20.0.6", true, "Enforced");
  shop.run(PolicyShop::pod("ops-0", "ops", "other"), {"10.20.0.5"});
  shop.put(guard());
  shop.converge();
  shop.commit("node-a", "1000000");
  shop.converge();
  ASSERT_EQ(shop.clusterCondition("Enforced", "guard").reason, "Enforced");
  auto ends = space("default", "default");
  ends.metadata.deletionTimestamp = shop.now.wall;
  shop.put(ends);
  shop.converge();
  for (const auto& slice : shop.slices()) {
    if (slice.metadata.nameSpace != "default") continue;
    shop.remove<api::PodNetworkPolicySlice>(slice.metadata.name, "default");
    for (const auto& one : shop.look()) {
      EXPECT_NE(one.verb, Verb::Create) << one.item();
      shop.apply(one);
    }
    shop.pass(std::chrono::seconds(2));
  }
  shop.converge();
  EXPECT_FALSE(shop.head(kHead));
  EXPECT_FALSE(shop.ledger("default"));
  EXPECT_EQ(shop.clusterCondition("PeersResolved", "guard").reason, "Resolved");
  EXPECT_EQ(shop.clusterCondition("Enforced", "guard").reason, "Enforced") << "nodes hold it on";
}

TEST(ClusterPolicyStatus, SaysWhichNamespacesNodesHaventBeenToldOf) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.put(guard());
  static_cast<void>(turn(shop));
  const auto resolved = shop.clusterCondition("PeersResolved", "guard");
  EXPECT_EQ(resolved.reason, "Pending");
  EXPECT_THAT(resolved.message, HasSubstr("for 1 of 1 namespaces, such as \"default\""));
}

/// A policy of all namespaces, which come one after the other with a pod each that is held.
class ManyNamespaces : public ::testing::Test {
 protected:
  ManyNamespaces() {
    shop_.commit("node-a", "1000000");
    come("aaa");
    shop_.put(guardOfAll());
    shop_.converge();
    EXPECT_EQ(enforced().reason, "Enforced");
  }
  void come(const std::string& name) {
    shop_.put(space(name, "default"));
    shop_.put(PolicyShop::pod("db-0", "db", name));
    report(name, true, "Enforced");
  }
  void report(const std::string& name, bool holds, const std::string& reason) {
    shop_.report(PolicyShop::pod("db-0", "db", name), "10.20.0.6", holds, reason);
  }
  k8s::Condition enforced() { return shop_.clusterCondition("Enforced", "guard"); }
  k8s::Condition resolved() { return shop_.clusterCondition("PeersResolved", "guard"); }
  /// Writes of the policy's status.
  int look() {
    int statuses = 0;
    for (const auto& one : shop_.look()) {
      statuses += one.verb == Verb::PatchStatus ? 1 : 0;
      shop_.apply(one);
    }
    return statuses;
  }

  PolicyShop shop_;
};

TEST_F(ManyNamespaces, ArentAWriteOfTheStatusEach) {
  int statuses = 0;
  for (int i = 0; i < 100; ++i) {
    come("space-" + std::to_string(i));
    statuses += look();
    shop_.pass(std::chrono::milliseconds(20));
  }
  EXPECT_LE(statuses, 4);
  for (int i = 0; i < 2; ++i) {
    shop_.pass(std::chrono::seconds(2));
    shop_.converge();
  }
  EXPECT_EQ(resolved().reason, "Resolved");
  EXPECT_THAT(resolved().message, HasSubstr("in 101 namespaces"));
  EXPECT_EQ(enforced().reason, "Enforced");
}

TEST_F(ManyNamespaces, ThatAreToldOneAfterTheOtherArentEither) {
  for (int i = 0; i < 100; ++i) come("space-" + std::to_string(i));
  std::vector<PlannedWrite> heads;
  int statuses = 0;
  for (int turn = 0; turn < 100; ++turn) {
    for (auto& one : shop_.begin()) {
      const bool isStatus = one.write.verb == Verb::PatchStatus;
      statuses += isStatus ? 1 : 0;
      if (isStatus) {
        EXPECT_TRUE(shop_.end(one));
      } else {
        heads.push_back(std::move(one));
      }
    }
    for (int i = 0; i < 3 && !heads.empty(); ++i) {
      shop_.end(heads.front());
      heads.erase(heads.begin());
    }
    shop_.pass(std::chrono::milliseconds(20));
  }
  EXPECT_LE(statuses, 4);
}

TEST_F(ManyNamespaces, DontKeepItFromSayingWhatIsHeld) {
  come("space");
  EXPECT_EQ(look(), 1) << "what is counted was told now";
  report("aaa", false, "CommitFailed");
  for (int i = 0; i < 30 && enforced().reason != "CommitFailed"; ++i) {
    ASSERT_LT(i, 25) << "it is told after two seconds";
    come("space-" + std::to_string(i));
    look();
    look();
    shop_.pass(std::chrono::milliseconds(100));
  }
}

TEST_F(ManyNamespaces, AreCountedForManyNodesLessOften) {
  for (int i = 0; i < 1'000; ++i) shop_.put(testing::nodeOf("node-" + std::to_string(i)));
  report("aaa", false, "CommitFailed");
  shop_.pass(std::chrono::minutes(1));
  EXPECT_EQ(look(), 1) << "nothing was told for long";
  report("aaa", true, "Enforced");
  shop_.pass(std::chrono::milliseconds(11'900));
  EXPECT_EQ(look(), 0);
  shop_.pass(std::chrono::milliseconds(100));
  EXPECT_EQ(look(), 1);
  EXPECT_EQ(enforced().reason, "Enforced");
  report("aaa", false, "CommitFailed");
  auto policy = shop_.get<api::ClusterPodNetworkPolicy>("guard");
  ++policy.metadata.generation;
  policy.spec.priority = 11;
  shop_.put(policy);
  EXPECT_EQ(look(), 1) << "of another generation something is told at once";
  EXPECT_EQ(enforced().observedGeneration, 2);
}

TEST(ClusterPolicyStatus, OfOneThatCantBeReadSaysThatNobodyIsTold) {
  PolicyShop shop;
  auto json = k8s::KindTraits<api::ClusterPodNetworkPolicy>::encode(guard());
  json["metadata"]["uid"] = "uid-guard";
  json["spec"]["tier"] = "Middle";
  shop.putJson<api::ClusterPodNetworkPolicy>(json.dump());
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.converge();
  const auto* seen = shop.world.find<ClusterPolicy>("guard");
  ASSERT_NE(seen, nullptr);
  EXPECT_EQ(seen->status.conditions.find("Accepted")->reason, "Invalid");
  for (const char* type : {"PeersResolved", "Enforced"}) {
    const auto* said = seen->status.conditions.find(type);
    ASSERT_NE(said, nullptr) << type;
    EXPECT_EQ(said->status, k8s::ConditionStatus::False) << type;
    EXPECT_THAT(said->message, HasSubstr("since it can't be read: see Accepted"));
  }
}

TEST(ClusterPolicyStatus, SaysWhatIsInvalidMissingOrOfNoUse) {
  PolicyShop shop;
  auto policy = guard();
  policy.spec.podNetworkNames = {"blue", "bleu"};
  shop.put(policy);
  shop.converge();
  const auto accepted = [&] { return shop.clusterCondition("Accepted", "guard"); };
  EXPECT_EQ(accepted().reason, "NetworkNotFound");
  EXPECT_THAT(accepted().message, HasSubstr("\"bleu\" is no PodNetwork"));
  shop.put(api::testing::otherNetwork("bleu", 30));
  auto& protocol = policy.spec.ingress.at(0).protocols.at(0);
  protocol = {};
  protocol.destinationNamedPort = "pgsql";
  ++policy.metadata.generation;
  shop.put(policy);
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.converge();
  EXPECT_EQ(accepted().reason, "NamedPortNotFound");
  EXPECT_THAT(
      accepted().message,
      HasSubstr("spec.ingress[0].protocols[0].destinationNamedPort: \"pgsql\" is the name of "
                "no port of a pod that it selects, so it lets nobody in"));
  policy.spec.priority = 1001;
  ++policy.metadata.generation;
  shop.put(policy);
  shop.converge();
  EXPECT_EQ(accepted().reason, "Invalid");
}

}  // namespace
}  // namespace multinet::controller
