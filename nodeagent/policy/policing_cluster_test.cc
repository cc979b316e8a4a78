// Policies of the cluster on a node: whom they hold, who waits to be told, and who doesn't.
#include "nodeagent/policy/policing.h"
#include "nodeagent/policy/policing_fixture.h"

namespace multinet::agent::policing {
namespace {

using api::ClusterPodNetworkPolicy;
using api::ClusterPolicyAction;
using testing::allClusterSlices;

class PolicingClusterTest : public PolicingTest {
 protected:
  void SetUp() override {
    world_ = world();
    policing_.recovered();
  }
  /// Pods with app: db get nothing of those with app: web, whatever their namespace says; or all.
  static ClusterPodNetworkPolicy guard(const std::string& name = "guard",
                                       ClusterPolicyAction action = ClusterPolicyAction::Deny) {
    ClusterPodNetworkPolicy out;
    out.metadata.name = name;
    out.metadata.uid = "uid-" + name;
    out.metadata.generation = 1;
    out.spec.podNetworkNames = {"blue"};
    out.spec.subject.pods.emplace().podSelector.matchLabels = {{"app", "db"}};
    auto& rule = out.spec.ingress.emplace_back();
    rule.action = action;
    rule.peers.emplace_back().pods.emplace().podSelector.matchLabels = {{"app", "web"}};
    return out;
  }
  /// The API has them.
  void make(const std::vector<ClusterPodNetworkPolicy>& policies) {
    change([&] {
      watch::Caches::ClusterPolicies all;
      for (const auto& one : policies) {
        all.push_back(std::make_shared<const ClusterPodNetworkPolicy>(one));
      }
      caches_.clusterPolicyList = all;
    });
  }
  /// And a controller has told of them.
  void tell(const std::vector<ClusterPodNetworkPolicy>& policies, const std::string& space = "shop",
            std::uint64_t revision = 7) {
    world_.clusterPolicies = policies;
    const Slices slices = allClusterSlices(world_, space, revision, 1);
    change([&] { caches_.policyLists[space] = slices; });
  }
  Status askOnce(const std::string& name) {
    auto joined = ask(policeable(name));
    if (joined.wait_for(milliseconds(50)) == std::future_status::timeout) {
      clock_.advance(seconds(1));
    }
    if (joined.wait_for(kLongEnough) != std::future_status::ready) {
      return fail(Code::DeadlineExceeded, "NoAnswer", name);
    }
    return joined.get();
  }
  /// Pod db of namespace shop, and far of ops.
  void attachInTwoNamespaces() {
    world_.namespaces["ops"] = {};
    setPod("db", "db");
    setPod("far", "db");
    make({guard()});
    tell({guard()}, "shop");
    tell({guard()}, "ops");
    ASSERT_TRUE(attach("db"));
    ASSERT_TRUE(ask(far()).get());
    ASSERT_TRUE(policing_.hold(IntentId("i-far"), {port("far")}, {}));
  }
  static Policeable far() {
    Policeable out = policeable("far");
    out.pod.namespaceName = "ops";
    return out;
  }

  policy::World world_;
};

TEST_F(PolicingClusterTest, APodIsHeldBeforeItsLinkIsMadeToWhatTheClusterSays) {
  setPod("db", "db");
  make({guard()});
  tell({guard()});
  ASSERT_TRUE(attach("db"));
  EXPECT_TRUE(isolates("db"));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
  EXPECT_TRUE(allows("10.0.0.9", "db")) << "nobody denies that one";
  EXPECT_EQ(said("db"), "enforced Enforced");
  EXPECT_TRUE(eventually([&] { return revision() == 7; }));
  EXPECT_EQ(policing_.counts().policies, 1U);
}

TEST_F(PolicingClusterTest, ANewNamespacesFirstPodWaitsTillItIsToldWhatSelectsIt) {
  setPod("db", "db");
  make({guard()});
  const Status refused = askOnce("db");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "PoliciesUnknown");
  for (const char* const word : {"\"guard\"", "\"shop\"", "controller"}) {
    EXPECT_NE(refused.error().message.find(word), std::string::npos) << refused.error().message;
  }
  policing_.release({}, {IntentId("i-db")});
  auto joined = ask(policeable("db"));
  EXPECT_EQ(joined.wait_for(milliseconds(50)), std::future_status::timeout);
  tell({guard()});
  ASSERT_EQ(joined.wait_for(kLongEnough), std::future_status::ready);
  ASSERT_TRUE(joined.get());
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {port("db")}, {}));
  EXPECT_TRUE(isolates("db"));
}

TEST_F(PolicingClusterTest, OfPoliciesOfOtherNetworksNobodyNeedTell) {
  setPod("db", "db");
  auto other = guard();
  other.spec.podNetworkNames = {"red"};
  make({other});
  EXPECT_TRUE(attach("db"));
  EXPECT_FALSE(isolates("db"));
}

TEST_F(PolicingClusterTest, WhoseNamespaceIsLookedAtAndNotSelectedIsOpen) {
  setPod("db", "db");
  auto other = guard();
  other.spec.subject.pods->namespaceSelector.matchLabels = {{"team", "ops"}};
  make({other});
  tell({other});
  EXPECT_TRUE(attach("db"));
  EXPECT_FALSE(isolates("db"));
  EXPECT_EQ(said("db"), "none");
}

TEST_F(PolicingClusterTest, OneThatWasChangedIsToBeToldAnew) {
  setPod("db", "db");
  auto policy = guard();
  policy.metadata.generation = 1;
  policy.spec.podNetworkNames = {"red"};
  make({policy});
  tell({policy});
  policy.metadata.generation = 2;
  policy.spec.podNetworkNames = {"blue", "red"};
  make({policy});
  const Status refused = askOnce("db");
  ASSERT_FALSE(refused) << "it would start open";
  EXPECT_EQ(refused.error().reason, "PoliciesUnknown");
  EXPECT_NE(refused.error().message.find("generation 2"), std::string::npos);
  policing_.release({}, {IntentId("i-db")});
  tell({policy});
  ASSERT_TRUE(attach("db"));
  EXPECT_TRUE(isolates("db"));
  // Where it is held to on that network already the next generation holds nobody up.
  policy.metadata.generation = 3;
  make({policy});
  setPod("db-2", "db");
  EXPECT_TRUE(attach("db-2"));
  EXPECT_TRUE(isolates("db-2"));
}

TEST_F(PolicingClusterTest, WhereTheyArentReadNoPodIsStarted) {
  setPod("db", "db");
  change([&] {
    caches_.clusterPolicyList = fail(Code::Unavailable, "CachesNotReady",
                                     "read ClusterPodNetworkPolicies from the API server: 403");
  });
  const Status refused = askOnce("db");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "PoliciesUnknown");
  EXPECT_NE(refused.error().message.find("ClusterPodNetworkPolicies"), std::string::npos);
}

/// A controller of before writes no ledgers; one that is away tells of nothing new.
TEST_F(PolicingClusterTest, APodThatRunsIsNeitherOpenedNorClosedByALedgerThatIsntThere) {
  setPod("db", "db");
  setPod("other", "other");
  ASSERT_TRUE(attach("other"));
  make({guard()});
  tell({guard()});
  ASSERT_TRUE(attach("db"));
  make({guard(), guard("later")});
  ASSERT_FALSE(askOnce("new")) << "it isn't known whether that one selects it";
  EXPECT_TRUE(isolates("db"));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
  EXPECT_TRUE(allows("10.0.0.9", "db"));
  EXPECT_EQ(said("other"), "none");
  // And goes on with what is told of the others.
  world_.pods.push_back(policy::testing::pod("shop", "w9", {{"app", "web"}}, {ip("10.0.0.99")}));
  tell({guard()});
  EXPECT_TRUE(eventually([&] { return !allows("10.0.0.99", "db"); }));
  // Without any ledger likewise.
  const Slices heads = testing::clusterSlicesOf(guard(), "shop", world_, 8, 1);
  change([&] { caches_.policyLists["shop"] = heads; });
  EXPECT_TRUE(eventually([&] { return revision() == 8; }));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
  EXPECT_TRUE(allows("10.0.0.9", "db"));
  EXPECT_EQ(said("db"), "enforced Enforced");
}

TEST_F(PolicingClusterTest, OneMadeAgainUnderItsNameIsAnother) {
  setPod("db", "db");
  make({guard()});
  tell({guard()});
  ASSERT_TRUE(attach("db"));
  auto again = guard();
  again.metadata.uid = "another";
  again.spec.ingress.at(0).peers.at(0).pods->podSelector.matchLabels = {{"app", "nobody"}};
  make({again});
  setPod("db-2", "db");
  EXPECT_FALSE(askOnce("db-2"));
  EXPECT_FALSE(allows("10.0.0.2", "db")) << "as it was told";
  tell({again}, "shop", 9);
  EXPECT_TRUE(eventually([&] { return allows("10.0.0.2", "db"); }));
  EXPECT_TRUE(attach("db-2"));
}

TEST_F(PolicingClusterTest, WhoIsntSelectedAnyMoreIsLetGo) {
  setPod("db", "db");
  make({guard()});
  tell({guard()});
  ASSERT_TRUE(attach("db"));
  auto other = guard();
  other.metadata.generation = 2;
  other.spec.subject.pods->namespaceSelector.matchLabels = {{"team", "ops"}};
  tell({other}, "shop", 9);
  EXPECT_TRUE(eventually([&] { return !isolates("db") && said("db") == "none"; }));
  tell({guard()}, "shop", 10);
  EXPECT_TRUE(eventually([&] { return isolates("db"); }));
  make({});
  tell({}, "shop", 11);
  EXPECT_TRUE(eventually([&] { return !isolates("db"); })) << "the policy is gone";
}

TEST_F(PolicingClusterTest, OfTwoWithOnePriorityTheFirstByNameDecides) {
  setPod("db", "db");
  const auto accepts = [](const std::string& name) {
    return guard(name, ClusterPolicyAction::Accept);
  };
  make({guard("b"), accepts("a")});
  tell({guard("b"), accepts("a")});
  ASSERT_TRUE(attach("db"));
  EXPECT_TRUE(isolates("db"));
  EXPECT_TRUE(allows("10.0.0.2", "db"));
  make({guard("b"), accepts("c")});
  tell({guard("b"), accepts("c")}, "shop", 9);
  EXPECT_TRUE(eventually([&] { return !allows("10.0.0.2", "db"); }));
}

TEST_F(PolicingClusterTest, NamespacesPoliciesAreAskedAfterThoseOfTheAdmin) {
  setPod("db", "db");
  make({guard()});
  world_.clusterPolicies = {guard()};
  Slices all = slices();  // of web alone
  for (auto& one : allClusterSlices(world_, "shop", 7)) all.push_back(one);
  setPolicies(all);
  ASSERT_TRUE(attach("db"));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
  EXPECT_FALSE(allows("10.0.0.9", "db"));
  EXPECT_EQ(policing_.counts().policies, 2U);
}

TEST_F(PolicingClusterTest, WhereNotAllAreKnownWhomOneDeniesAPodRunsClosed) {
  setPod("db", "db");
  make({guard()});
  world_.clusterPolicies = {guard()};
  Slices some = allClusterSlices(world_, "shop", 7, 1);
  some.erase(some.begin());
  setPolicies(some);
  auto joined = ask(policeable("db"));
  EXPECT_EQ(joined.wait_for(milliseconds(50)), std::future_status::timeout);
  clock_.advance(seconds(1));
  ASSERT_TRUE(joined.get());
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {port("db")}, {}));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
  EXPECT_FALSE(allows("10.0.0.9", "db")) << "it might be the one who isn't known yet";
  EXPECT_EQ(said("db"), "not enforced PeersPending");
  tell({guard()});
  EXPECT_TRUE(eventually([&] { return allows("10.0.0.9", "db"); }));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
}

class PolicingSuccessorTest : public PolicingClusterTest {
 protected:
  void SetUp() override { world_ = world(); }
};

TEST_F(PolicingSuccessorTest, HoldsPodsThatRunToWhatItIsToldWithoutALedger) {
  setPod("db", "db");
  ends_[{IntentId("i-db"), "net1"}] = {"mnp-db"};
  make({guard(), guard("later")});
  const Slices heads = testing::clusterSlicesOf(guard(), "shop", world_, 8, 1);
  setPolicies(heads);
  policing_.known(policeable("db"));
  policing_.recovered();
  ASSERT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
  EXPECT_TRUE(allows("10.0.0.9", "db"));
  EXPECT_TRUE(eventually([&] { return said("db") == "enforced Enforced"; }));
}

/// Its members are told in each namespace, and are one change all the same.
TEST_F(PolicingClusterTest, OfTwoNamespacesOneSpeaksForBoth) {
  ASSERT_NO_FATAL_FAILURE(attachInTwoNamespaces());
  const auto subjects = [&] {
    const auto held = kernel_.held("uid-blue");
    std::set<policy::Number> all;
    for (const auto& [pod, subject] : held->program.ingress) all.insert(subject);
    return all.size();
  };
  EXPECT_EQ(subjects(), 1U);
  const auto compiled = policing_.counts().compiled;
  world_.pods.push_back(policy::testing::pod("shop", "w9", {{"app", "web"}}, {ip("10.0.0.99")}));
  for (const char* const space : {"ops", "shop", "ops"}) tell({guard()}, space, 8);
  EXPECT_TRUE(eventually([&] { return !allows("10.0.0.99", "db"); }));
  EXPECT_TRUE(eventually([&] { return revision() == 8; }));
  EXPECT_EQ(kernel_.addressChanges(), 1);
  EXPECT_EQ(policing_.counts().compiled, compiled);
  // The one that spoke goes; who stays is held to what its own namespace says.
  policing_.release({"mnp-far"}, {IntentId("i-far")});
  policing_.release({"mnp-db"}, {IntentId("i-db")});
  ASSERT_TRUE(ask(far()).get());
  ASSERT_TRUE(policing_.hold(IntentId("i-far"), {port("far")}, {}));
  world_.pods.pop_back();
  tell({guard()}, "ops", 9);
  EXPECT_TRUE(eventually([&] {
    const auto held = kernel_.held("uid-blue");
    const policy::PodKey key{"ops", "far"};
    const policy::Packet packet{ip("10.0.0.99"), ip("10.0.0.1"), api::Protocol::TCP, 80};
    return held && policy::allows(held->program, packet, nullptr, &key);
  }));
}

/// As where it is about to go, and nothing may be created in it.
TEST_F(PolicingClusterTest, OneThatIsToldNoMoreDoesntSpeakForOthers) {
  ASSERT_NO_FATAL_FAILURE(attachInTwoNamespaces());
  EXPECT_TRUE(eventually([&] { return revision() == 7; }));
  world_.pods.push_back(policy::testing::pod("shop", "w9", {{"app", "web"}}, {ip("10.0.0.99")}));
  tell({guard()}, "ops", 8);
  EXPECT_TRUE(eventually([&] { return revision() == 0; })) << "what isn't held is not told";
  EXPECT_TRUE(allows("10.0.0.99", "db"));
  clock_.advance(seconds(1));
  EXPECT_TRUE(eventually([&] { return !allows("10.0.0.99", "db"); }));
  EXPECT_TRUE(eventually([&] { return revision() == 8; }));
}

/// Its pod is gone from the API and runs on: the controller takes what was told of the namespace.
TEST_F(PolicingClusterTest, APodThatRunsOnIsHeldAsLongAsThePolicyIsThere) {
  setPod("db", "db");
  make({guard()});
  tell({guard()});
  ASSERT_TRUE(attach("db"));
  ASSERT_FALSE(allows("10.0.0.2", "db"));
  setPolicies({});
  ASSERT_TRUE(eventually([&] { return policing_.counts().policies == 0; }));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
  make({});
  EXPECT_TRUE(eventually([&] { return allows("10.0.0.2", "db"); }));
}

TEST_F(PolicingClusterTest, OneWhoseNamespaceIsntSelectedAnyMoreIsLetGo) {
  setPod("db", "db");
  make({guard()});
  tell({guard()});
  ASSERT_TRUE(attach("db"));
  ASSERT_FALSE(allows("10.0.0.2", "db"));
  setPolicies(testing::ledgerOf({guard()}, "shop"));
  EXPECT_TRUE(eventually([&] { return allows("10.0.0.2", "db"); }));
}

/// Its address is nobody's denied peer any more.
TEST_F(PolicingClusterTest, APodThatRunsOnWithoutTheApiSpeaksWithNobody) {
  setPod("db", "db");
  make({guard()});
  tell({guard()});
  ASSERT_TRUE(attach("db"));
  ASSERT_TRUE(allows("10.0.0.9", "db"));
  change([&] { caches_.podList.clear(); });
  EXPECT_TRUE(eventually([&] { return !allows("10.0.0.9", "db"); }));
  const auto sends = [&] {
    const auto held = kernel_.held("uid-blue");
    const policy::PodKey key{"shop", "db"};
    const policy::Packet packet{ip("10.0.0.1"), ip("10.0.0.9"), api::Protocol::TCP, 80};
    return policy::allows(held->program, packet, &key, nullptr);
  };
  EXPECT_FALSE(sends());
  // Where nobody is denied by what the API says of him, it ends as it was.
  make({});
  tell({}, "shop", 9);
  EXPECT_TRUE(eventually([&] { return allows("10.0.0.9", "db") && sends(); }));
}

}  // namespace
}  // namespace multinet::agent::policing
