#include "controller/policies/reconcile.h"

#include <gmock/gmock.h>

#include "controller/policies/status.h"
#include "controller/policies/test_shop.h"

namespace multinet::controller {
namespace {

using State = k8s::ConditionStatus;
using api::testing::goodPolicy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::PolicyShop;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr auto kHead = "db-uid-db";

std::string address(int host) {
  return "10.20." + std::to_string(host / 250) + "." + std::to_string(host % 250 + 1);
}

bool writesHead(const std::vector<Write>& writes) {
  return std::ranges::any_of(writes, [](const Write& one) { return one.key.name == kHead; });
}

TEST(Policies, BecomeAHeadWithTheirSpecAndSlicesWithTheirPeers) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("web-0", "web"), {"10.20.0.5", "fd00:20::5"});
  shop.run(PolicyShop::pod("db-0", "db"), {"10.20.0.6"});
  shop.run(PolicyShop::pod("web-0", "web", "other"), {"10.20.0.7"});
  shop.put(goodPolicy("db", "blue"));
  shop.converge();
  EXPECT_THAT(shop.addresses(), ElementsAre("10.20.0.5", "fd00:20::5"));
  const auto head = shop.head(kHead);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->policyGeneration, 1);
  EXPECT_EQ(*head->spec, goodPolicy("db", "blue").spec);
  ASSERT_THAT(head->peers, SizeIs(1));
  EXPECT_EQ(head->peers[0].slices, 1);
  EXPECT_EQ(head->peers[0].members, 2);
  for (const auto& slice : shop.slices()) {
    EXPECT_EQ(slice.metadata.labels.at(api::kPolicyNamespaceLabel), "default");
    ASSERT_NE(slice.metadata.controllerRef(), nullptr);
    EXPECT_EQ(slice.metadata.controllerRef()->uid, "uid-db");
    EXPECT_EQ(slice.policyUID, "uid-db");
  }
  EXPECT_EQ(shop.reason("Accepted"), "Accepted");
  EXPECT_EQ(shop.reason("PeersResolved"), "Resolved");
  EXPECT_THAT(shop.look(), IsEmpty());
}

TEST(Policies, FollowTheirPodsByOneSliceAndTheHead) {
  PolicyShop shop;
  shop.put(goodPolicy("db", "blue"));
  for (int i = 0; i < 450; ++i) {
    shop.run(PolicyShop::pod("web-" + std::to_string(i), "web"), {address(i)});
  }
  shop.converge();
  EXPECT_THAT(shop.addresses(), SizeIs(450));
  EXPECT_THAT(shop.slices(), SizeIs(4)) << "a head and three of at most 200";
  shop.run(PolicyShop::pod("web-new", "web"), {"10.20.8.8"});
  auto writes = shop.look();
  ASSERT_THAT(writes, SizeIs(1)) << "the head comes after it";
  EXPECT_EQ(writes[0].verb, Verb::Patch);
  EXPECT_FALSE(writesHead(writes));
  shop.apply(writes[0]);
  writes = shop.look();
  ASSERT_THAT(writes, SizeIs(1));
  EXPECT_TRUE(writesHead(writes));
  shop.apply(writes[0]);
  EXPECT_THAT(shop.look(), IsEmpty());
  shop.remove<k8s::Pod>("web-3", "default");
  EXPECT_EQ(shop.converge(), 2U);
  EXPECT_THAT(shop.addresses(), SizeIs(450));
  EXPECT_EQ(shop.head(kHead)->peers[0].members, 450);
}

TEST(Policies, OfWhomOneStandsTwiceAndAnotherNowhereArePutRight) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("web-0", "web"), {"10.20.0.5"});
  shop.run(PolicyShop::pod("web-1", "web"), {"10.20.0.6"});
  shop.put(goodPolicy("db", "blue"));
  shop.converge();
  auto slice = shop.get<api::PodNetworkPolicySlice>(std::string(kHead) + "-0", "default");
  slice.members->entries = {{"10.20.0.6", {}}, {"10.20.0.6", {}}};
  shop.put(slice);
  shop.converge();
  EXPECT_THAT(shop.addresses(), ElementsAre("10.20.0.5", "10.20.0.6"));
}

TEST(Policies, OfANewGenerationHaveTheirNewPeersBeforeTheHeadAndTheOldUntilThen) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("web-0", "web"), {"10.20.0.5"});
  shop.run(PolicyShop::pod("ops-0", "ops"), {"10.20.0.6"});
  auto policy = goodPolicy("db", "blue");
  shop.put(policy);
  shop.converge();
  policy = shop.get<api::PodNetworkPolicy>("db", "default");
  ++policy.metadata.generation;
  policy.spec.ingress[0].peers[0].podSelector->matchLabels = {{"app", "ops"}};
  shop.put(policy);
  auto writes = shop.look();
  EXPECT_FALSE(writesHead(writes));
  for (const auto& write : writes) shop.apply(write);
  EXPECT_THAT(shop.addresses(), ElementsAre("10.20.0.5", "10.20.0.6"));
  writes = shop.look();
  EXPECT_TRUE(writesHead(writes));
  for (const auto& write : writes) EXPECT_NE(write.verb, Verb::Delete);
  for (const auto& write : writes) shop.apply(write);
  shop.converge();
  EXPECT_THAT(shop.addresses(), ElementsAre("10.20.0.6"));
  EXPECT_EQ(shop.head(kHead)->policyGeneration, 2);
}

TEST(Policies, BelieveNoSetOfAnotherPodOrNetworkOfTheNameNorOfOneThatHasFinished) {
  PolicyShop shop;
  shop.put(goodPolicy("db", "blue"));
  auto web = PolicyShop::pod("web-0", "web");
  shop.run(web, {"10.20.0.5"});
  shop.converge();
  web.metadata.deletionTimestamp = shop.now.wall;
  shop.put(web);
  shop.converge();
  EXPECT_THAT(shop.addresses(), SizeIs(1)) << "one that ends counts until it is gone";
  web.status.phase = "Succeeded";
  shop.put(web);
  shop.converge();
  EXPECT_THAT(shop.addresses(), IsEmpty());
  web = PolicyShop::pod("web-0", "web");
  web.metadata.uid = "uid-again";
  shop.put(web);
  shop.converge();
  EXPECT_THAT(shop.addresses(), IsEmpty()) << "the set is of the pod before";
  shop.put(PolicyShop::setOf(web, {"10.20.0.5"}));
  shop.converge();
  EXPECT_THAT(shop.addresses(), SizeIs(1));
  auto blue = api::testing::goodNetwork("blue");
  blue.metadata.uid = "uid-blue-again";
  shop.put(blue);
  shop.converge();
  EXPECT_THAT(shop.addresses(), IsEmpty()) << "their addresses are of the network before";
  EXPECT_TRUE(shop.head(kHead)) << "it isolates all the same";
}

TEST(Policies, FollowLabelsOfPodsAndNamespaces) {
  PolicyShop shop;
  auto policy = goodPolicy("db", "blue");
  policy.spec.ingress[0].peers = {{{}, k8s::LabelSelector{{{"team", "other"}}, {}}, {}}};
  shop.put(policy);
  auto web = PolicyShop::pod("web-0", "web", "other");
  shop.run(web, {"10.20.0.5"});
  shop.converge();
  EXPECT_THAT(shop.addresses(), SizeIs(1));
  k8s::Namespace other;
  other.metadata.name = "other";
  shop.put(other);
  shop.converge();
  EXPECT_THAT(shop.addresses(), IsEmpty());
  policy.spec.ingress[0].peers = {
      {k8s::LabelSelector{{}, {{"app", k8s::SelectorOperator::NotIn, {"db"}}}},
       k8s::LabelSelector{},
       {}}};
  ++policy.metadata.generation;
  shop.put(policy);
  shop.converge();
  EXPECT_THAT(shop.addresses(), SizeIs(1));
  web.metadata.labels = {{"app", "db"}};
  shop.put(web);
  shop.converge();
  EXPECT_THAT(shop.addresses(), IsEmpty());
}

TEST(Policies, ThatAreGoneTakeTheirSlicesWithThemOnceTheServerSaysSo) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("web-0", "web"), {"10.20.0.5"});
  shop.put(goodPolicy("db", "blue"));
  shop.converge();
  shop.remove<api::PodNetworkPolicy>("db", "default");
  shop.changeUnseen(goodPolicy("db", "blue"));
  for (const auto& write : shop.look()) EXPECT_FALSE(shop.apply(write)) << "the caches lag";
  EXPECT_THAT(shop.slices(), SizeIs(2));
  auto again = goodPolicy("db", "blue");
  again.metadata.uid = "uid-another";
  shop.put(again);
  shop.converge();
  for (const auto& slice : shop.slices()) EXPECT_EQ(slice.policyUID, "uid-another");
  EXPECT_THAT(shop.slices(), SizeIs(2));
  shop.remove<api::PodNetworkPolicy>("db", "default");
  shop.converge();
  EXPECT_THAT(shop.slices(), IsEmpty());
}

TEST(Policies, ALeaderWhoKnowsNothingElseTakesNothingAway) {
  PolicyShop shop;
  shop.run(PolicyShop::pod("web-0", "web"), {"10.20.0.5"});
  shop.put(goodPolicy("db", "blue"));
  shop.converge();
  PolicyShop fresh;
  for (const auto& slice : shop.slices()) fresh.put(slice);
  fresh.changeUnseen(goodPolicy("db", "blue"));
  fresh.elect();
  for (const auto& write : fresh.look()) EXPECT_FALSE(fresh.apply(write)) << write.item();
  EXPECT_THAT(fresh.slices(), SizeIs(2));
}

TEST(Policies, OfMorePeersThanAHeadHoldsAllowNoneOfThemButIsolate) {
  PolicyShop shop;
  auto policy = goodPolicy("db", "blue");
  policy.spec.ingress.clear();
  for (int rule = 0; rule < 25; ++rule) {
    auto& one = policy.spec.ingress.emplace_back();
    for (int i = 0; i < 100; ++i) {
      one.peers.push_back(
          {k8s::LabelSelector{{{"app", std::to_string(rule * 100 + i)}}, {}}, {}, {}});
    }
  }
  shop.put(policy);
  shop.converge();
  EXPECT_THAT(shop.head(kHead)->peers, IsEmpty());
  EXPECT_EQ(shop.reason("Accepted"), "Invalid");
  EXPECT_EQ(shop.reason("PeersResolved"), "TooManyPeers");
}

TEST(Policies, MakeNothingInANamespaceThatEnds) {
  PolicyShop shop;
  for (int i = 0; i < 200; ++i) {
    shop.run(PolicyShop::pod("web-" + std::to_string(i), "web"), {address(i)});
  }
  shop.put(goodPolicy("db", "blue"));
  auto blue = shop.get<api::PodNetwork>("blue");
  blue.spec.defaultPolicy = api::DefaultPolicy::SameNamespace;
  ++blue.metadata.generation;
  shop.put(blue);
  shop.converge();
  k8s::Namespace ends;
  ends.metadata.name = "default";
  ends.metadata.labels = {{"team", "default"}};
  ends.metadata.deletionTimestamp = shop.now.wall;
  shop.put(ends);
  shop.remove<k8s::Pod>("web-7", "default");
  EXPECT_EQ(shop.converge(), 4U) << "what stands is kept up: of each a slice and its head";
  const auto expectNothingMade = [&] {
    for (int turn = 0; turn < 3; ++turn) {
      for (const auto& one : shop.look()) {
        EXPECT_NE(one.verb, Verb::Create) << one.item();
        shop.apply(one);
      }
    }
  };
  for (int i = 300; i < 302; ++i) {
    shop.run(PolicyShop::pod("web-" + std::to_string(i), "web"), {address(i)});
    expectNothingMade();
  }
  EXPECT_EQ(shop.head(kHead)->peers[0].members, 200) << "no more have room";
  for (const auto& slice : shop.slices()) {
    shop.remove<api::PodNetworkPolicySlice>(slice.metadata.name, "default");
    expectNothingMade();
  }
  shop.converge();
  EXPECT_THAT(shop.slices(), IsEmpty());
}

TEST(PolicyStatus, NamesAPortThatNoSelectedPodHas) {
  PolicyShop shop;
  shop.put(goodPolicy("db", "blue"));
  shop.converge();
  EXPECT_EQ(shop.reason("Accepted"), "Accepted") << "no pod is there yet";
  auto db = PolicyShop::pod("db-0", "db");
  db.spec.containers = {{{{"pg", 5432, "UDP"}, {"web", 80, ""}}, ""}};
  shop.run(db, {"10.20.0.6"});
  shop.converge();
  const auto accepted = shop.condition("Accepted");
  EXPECT_EQ(accepted.status, k8s::ConditionStatus::True);
  EXPECT_EQ(accepted.reason, "NamedPortNotFound");
  EXPECT_THAT(accepted.message,
              HasSubstr("spec.ingress[0].ports[1].port: \"pg\" is the name of no "
                        "TCP port of a pod that it selects, so it lets nobody in; write"));
  auto other = PolicyShop::pod("db-1", "db");
  other.spec.containers = {{{{"pg", 5432, ""}}, ""}};
  shop.run(other, {"10.20.0.7"});
  shop.converge();
  EXPECT_EQ(shop.reason("Accepted"), "Accepted") << "one of them is enough";
  shop.remove<k8s::Pod>("db-1", "default");
  shop.converge();
  EXPECT_EQ(shop.reason("Accepted"), "NamedPortNotFound");
}

TEST(PolicyStatus, SaysWhatNodesSayOfTheInterfacesThatItSelects) {
  PolicyShop shop;
  shop.put(goodPolicy("db", "blue"));
  shop.converge();
  EXPECT_EQ(shop.reason("Enforced"), "NoneSelected");
  const auto db = PolicyShop::pod("db-0", "db");
  shop.run(db, {"10.20.0.6"});
  shop.converge();
  EXPECT_EQ(shop.reason("Enforced"), "NotReported");
  const auto status = [&] { return shop.get<api::PodNetworkPolicy>("db", "default").status; };
  EXPECT_EQ(status().interfaces, (api::PolicyInterfaceCounts{1, 0}));
  EXPECT_THAT(status().notEnforced, ElementsAre("pod default/db-0 net1: NotReported"));
  shop.report(db, "10.20.0.6", false, "PeersPending");
  shop.converge();
  EXPECT_EQ(shop.reason("Enforced"), "PeersPending");
  shop.report(db, "10.20.0.6", true, "Enforced");
  shop.converge();
  EXPECT_EQ(shop.reason("Enforced"), "Pending") << "its node may speak of an earlier generation";
  const auto* head = shop.world.find<PolicySlice>(k8s::ObjectKey{"default", kHead});
  shop.commit("node-a", head->metadata.resourceVersion);
  shop.converge();
  EXPECT_EQ(shop.reason("Enforced"), "Enforced");
  EXPECT_EQ(status().interfaces, (api::PolicyInterfaceCounts{1, 1}));
  EXPECT_THAT(status().notEnforced, IsEmpty());
  // A peer more makes another head, which says nothing new of what is enforced.
  shop.run(PolicyShop::pod("web-0", "web"), {"10.20.0.5"});
  shop.converge();
  EXPECT_EQ(shop.reason("Enforced"), "Enforced");
  auto policy = shop.get<api::PodNetworkPolicy>("db", "default");
  ++policy.metadata.generation;
  policy.spec.ingress.clear();
  shop.put(policy);
  shop.converge();
  EXPECT_EQ(shop.reason("Enforced"), "Pending");
  EXPECT_EQ(shop.condition("Enforced").observedGeneration, 2);
}

/// Two nodes with a pod each that they say is held.
class Churn : public ::testing::Test {
 protected:
  Churn() {
    shop_.put(goodPolicy("db", "blue"));
    auto other = PolicyShop::pod("db-1", "db");
    other.spec.nodeName = "node-b";
    shop_.run(other, {"10.20.0.7"});
    shop_.report(other, "10.20.0.7", true, "Enforced");
    const auto one = PolicyShop::pod("db-0", "db");
    shop_.run(one, {"10.20.0.6"});
    shop_.report(one, "10.20.0.6", true, "Enforced");
    addPeer();
  }
  /// Makes another head, of the same generation.
  void addPeer() {
    const auto number = std::to_string(++peers_);
    shop_.run(PolicyShop::pod("web-" + number, "web"), {"10.20.1." + number});
    shop_.converge();
  }
  void change() {
    auto policy = shop_.get<api::PodNetworkPolicy>("db", "default");
    ++policy.metadata.generation;
    shop_.put(policy);
    shop_.converge();
  }
  std::string revision() {
    return shop_.world.find<PolicySlice>(k8s::ObjectKey{"default", kHead})
        ->metadata.resourceVersion;
  }
  std::string reasonWhenCommitted(const std::string& one, const std::string& other) {
    shop_.commit("node-a", one);
    shop_.commit("node-b", other);
    shop_.converge();
    return shop_.reason("Enforced");
  }

  PolicyShop shop_;
  int peers_ = 0;
};

TEST_F(Churn, OfPeersDoesntKeepANodeFromHoldingTheGeneration) {
  const auto first = revision();
  addPeer();
  const auto second = revision();
  addPeer();
  ASSERT_NE(revision(), second);
  EXPECT_EQ(reasonWhenCommitted(second, "1"), "Pending") << "one has never heard of it";
  EXPECT_EQ(reasonWhenCommitted(second, first), "Enforced");
  change();
  EXPECT_EQ(reasonWhenCommitted(second, first), "Pending") << "it is another generation";
  const auto third = revision();
  addPeer();
  EXPECT_EQ(reasonWhenCommitted(third, third), "Enforced");
}

TEST_F(Churn, BeforeAHeadThatWasMadeAnewDoesntCount) {
  const auto first = revision();
  addPeer();
  shop_.remove<api::PodNetworkPolicySlice>(kHead, "default");
  shop_.converge();
  EXPECT_EQ(reasonWhenCommitted(first, first), "Pending");
  EXPECT_EQ(reasonWhenCommitted(revision(), revision()), "Enforced");
}

TEST_F(Churn, BeforeAProcessBeganIsntKnownToIt) {
  const auto first = revision();
  addPeer();
  EXPECT_EQ(shop_.world.toldSince(*shop_.world.find<PolicySlice>(k8s::ObjectKey{"default", kHead})),
            first);
  PolicyShop fresh;
  for (const auto& slice : shop_.slices()) fresh.put(slice);
  const auto* head = fresh.world.find<PolicySlice>(k8s::ObjectKey{"default", kHead});
  EXPECT_EQ(fresh.world.toldSince(*head), head->metadata.resourceVersion);
}

TEST(PolicyStatus, SaysWhichNetworkItDoesntHoldOnAndWhatIsInvalid) {
  PolicyShop shop;
  auto policy = goodPolicy("db", "blue");
  policy.spec.podNetworkNames = {"blue", "bleu"};
  shop.put(policy);
  shop.converge();
  EXPECT_EQ(shop.reason("Accepted"), "NetworkNotFound");
  EXPECT_THAT(shop.condition("Accepted").message, HasSubstr("\"bleu\""));
  shop.put(api::testing::otherNetwork("bleu", 30));
  shop.converge();
  EXPECT_EQ(shop.reason("Accepted"), "Accepted");
  policy = shop.get<api::PodNetworkPolicy>("db", "default");
  ++policy.metadata.generation;
  policy.spec.ingress[0].peers[0] = {};
  shop.put(policy);
  shop.converge();
  EXPECT_EQ(shop.reason("Accepted"), "Invalid");
  EXPECT_THAT(shop.condition("Accepted").message, HasSubstr("spec.ingress[0].from[0]"));
  EXPECT_EQ(shop.head(kHead)->policyGeneration, 2) << "it isolates, and allows less";
}

TEST(PolicyStatus, IsntWrittenForEachPodOfARollOut) {
  PolicyShop shop;
  shop.put(goodPolicy("db", "blue"));
  shop.converge();
  std::size_t statuses = 0;
  for (int i = 0; i < 100; ++i) {
    shop.run(PolicyShop::pod("db-" + std::to_string(i), "db"), {address(i)});
    shop.pass(std::chrono::milliseconds(20));
    for (const auto& write : shop.look()) {
      statuses += write.verb == Verb::PatchStatus ? 1 : 0;
      shop.apply(write);
    }
  }
  EXPECT_LE(statuses, 4U);
  shop.pass(std::chrono::seconds(2));
  shop.converge();
  EXPECT_EQ(shop.get<api::PodNetworkPolicy>("db", "default").status.interfaces,
            (api::PolicyInterfaceCounts{100, 0}));
}

TEST(PolicyStatus, OfManyPodsIsLookedAtOnceASecond) {
  PolicyShop shop;
  shop.put(goodPolicy("db", "blue"));
  for (int i = 0; i < 1'000; ++i) {
    shop.run(PolicyShop::pod("db-" + std::to_string(i), "db"), {address(i)});
  }
  const auto settle = [&] {
    shop.converge();
    shop.pass(std::chrono::seconds(20));
  };
  settle();
  settle();
  // One goes and another comes: what is counted is the same.
  const auto readsOf = [&](int first, int last) {
    const auto before = shop.world.work().reads;
    for (int i = first; i < last; ++i) {
      shop.put(PolicyShop::pod("db-" + std::to_string(500 + i), "web"));
      shop.put(PolicyShop::pod("db-" + std::to_string(499 + i), "db"));
      for (const auto& write : shop.look()) shop.apply(write);
      shop.pass(std::chrono::milliseconds(5));
    }
    return shop.world.work().reads - before;
  };
  static_cast<void>(readsOf(0, 1));
  settle();
  const auto once = readsOf(1, 2);
  EXPECT_GT(once, 1'000U) << "all are looked at";
  settle();
  EXPECT_LT(readsOf(2, 102), 5 * once);
}

TEST(PolicyStatus, OfOneThatCantBeReadSaysThatNobodyIsTold) {
  PolicyShop shop;
  const auto db = PolicyShop::pod("db-0", "db");
  shop.run(db, {"10.20.0.6"});
  shop.report(db, "10.20.0.6", true, "Enforced");
  shop.commit("node-a", "1000000");
  shop.put(goodPolicy("db", "blue"));
  shop.converge();
  ASSERT_EQ(shop.reason("Enforced"), "Enforced");
  auto json = k8s::KindTraits<api::PodNetworkPolicy>::encode(
      shop.get<api::PodNetworkPolicy>("db", "default"));
  json["metadata"]["generation"] = 2;
  json["spec"]["policyTypes"] = {"Sideways"};
  shop.putJson<api::PodNetworkPolicy>(json.dump());
  shop.converge();
  EXPECT_EQ(shop.head(kHead)->policyGeneration, 1) << "of which nodes hold what they were told";
  const auto* seen = shop.world.find<Policy>(k8s::ObjectKey{"default", "db"});
  ASSERT_NE(seen, nullptr);
  EXPECT_EQ(seen->status.conditions.find("Accepted")->reason, "Invalid");
  for (const char* type : {"PeersResolved", "Enforced"}) {
    const auto* said = seen->status.conditions.find(type);
    ASSERT_NE(said, nullptr) << type;
    EXPECT_EQ(said->status, State::False) << type;
    EXPECT_EQ(said->reason, "Pending");
    EXPECT_EQ(said->observedGeneration, 2);
    EXPECT_THAT(said->message, HasSubstr("since it can't be read: see Accepted"));
  }
  EXPECT_FALSE(seen->status.interfaces);
  json["metadata"]["generation"] = 3;
  json["spec"]["policyTypes"] = {"Ingress"};
  shop.putJson<api::PodNetworkPolicy>(json.dump());
  shop.converge();
  EXPECT_EQ(shop.reason("Enforced"), "Enforced");
}

TEST(PolicyDefaults, HaveAHeadInEachNamespaceWithPodsOnTheNetwork) {
  PolicyShop shop;
  const auto web = PolicyShop::pod("web-0", "web");
  shop.run(web, {"10.20.0.5"});
  shop.run(PolicyShop::pod("web-0", "web", "other"), {"10.20.0.7"});
  shop.converge();
  EXPECT_THAT(shop.slices(), IsEmpty());
  auto blue = shop.get<api::PodNetwork>("blue");
  blue.spec.defaultPolicy = api::DefaultPolicy::SameNamespace;
  ++blue.metadata.generation;
  shop.put(blue);
  shop.converge();
  EXPECT_THAT(shop.slices(), SizeIs(4));
  const auto name = api::policyHeadName("default-blue", blue.metadata.uid);
  for (const char* space : {"default", "other"}) {
    const auto head = shop.head(name, space);
    ASSERT_TRUE(head) << space;
    EXPECT_EQ(head->podNetworkName, "blue");
    EXPECT_FALSE(head->spec);
    ASSERT_THAT(head->peers, SizeIs(1));
    EXPECT_EQ(head->peers[0].members, 1);
    EXPECT_EQ(head->peers[0].peer, policy::peerHash(policy::sameNamespace(space)));
  }
  shop.elect();
  EXPECT_THAT(shop.look(), IsEmpty());
  shop.remove<k8s::Pod>("web-0", "other");
  shop.remove<api::PodInterfaceSet>("web-0-set", "other");
  shop.converge();
  EXPECT_FALSE(shop.head(name, "other"));
  EXPECT_THAT(shop.slices(), SizeIs(2));
  blue.spec.defaultPolicy = api::DefaultPolicy::Deny;
  shop.put(blue);
  shop.converge();
  EXPECT_THAT(shop.slices(), IsEmpty());
}

/// Network blue has the default SameNamespace, and a pod in each of two namespaces.
class KeptDefaults : public ::testing::Test {
 protected:
  KeptDefaults() {
    shop_.run(PolicyShop::pod("web-0", "web"), {"10.20.0.5"});
    shop_.run(PolicyShop::pod("web-0", "web", "other"), {"10.20.0.7"});
    blue_ = shop_.get<api::PodNetwork>("blue");
    blue_.spec.defaultPolicy = api::DefaultPolicy::SameNamespace;
    shop_.put(blue_);
    shop_.converge();
    EXPECT_THAT(shop_.slices(), SizeIs(4));
  }
  /// Ends that the caches wish for.
  std::size_t expectRefused() {
    const auto writes = shop_.look();
    for (const auto& one : writes) {
      EXPECT_EQ(one.verb, Verb::Delete) << one.item();
      EXPECT_FALSE(shop_.apply(one)) << one.item();
    }
    return writes.size();
  }

  PolicyShop shop_;
  api::PodNetwork blue_;
};

TEST_F(KeptDefaults, StayWhereTheServersNetworkHasThem) {
  shop_.world.put<Network>({"", "blue"}, nullptr, shop_.now.boot);
  EXPECT_EQ(expectRefused(), 4U) << "the caches lag: it is there";
  auto opened = blue_;
  opened.spec.defaultPolicy = api::DefaultPolicy::Allow;
  shop_.put(opened);
  shop_.changeUnseen(blue_);
  EXPECT_EQ(expectRefused(), 4U) << "it was closed again";
  shop_.put(opened);
  shop_.elect();
  shop_.converge();
  EXPECT_THAT(shop_.slices(), IsEmpty());
}

TEST_F(KeptDefaults, StayWhereTheServerHasAPodOnTheNetwork) {
  shop_.remove<k8s::Pod>("web-0", "other");
  EXPECT_EQ(expectRefused(), 2U) << "an interface of it is there, in that namespace";
  shop_.remove<api::PodInterfaceSet>("web-0-set", "other");
  shop_.elect();
  shop_.converge();
  EXPECT_THAT(shop_.slices(), SizeIs(2)) << "those of the other namespace";
}

TEST(Revisions, AreComparedAsNumbersWithoutBound) {
  EXPECT_TRUE(reaches("10", "9"));
  EXPECT_TRUE(reaches("10", "10"));
  EXPECT_FALSE(reaches("9", "10"));
  EXPECT_FALSE(reaches("", "1"));
  EXPECT_TRUE(reaches("99999999999999999999999", "18446744073709551616"));
}

}  // namespace
}  // namespace multinet::controller
