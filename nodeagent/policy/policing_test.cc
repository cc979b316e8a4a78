#include "nodeagent/policy/policing.h"

#include "nodeagent/policy/policing_fixture.h"

namespace multinet::agent::policing {
namespace {

TEST_F(PolicingTest, APodIsIsolatedBeforeItsLinkIsMade) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(join("db"));
  EXPECT_FALSE(isolates("db")) << "it has no port yet";
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {port("db")}, {}));
  EXPECT_TRUE(isolates("db"));
  EXPECT_TRUE(allows("10.0.0.2", "db"));
  EXPECT_FALSE(allows("10.0.0.9", "db"));
  EXPECT_EQ(said("db"), "enforced Enforced");
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, WhatIsHeldAlreadyIsntCommittedAgain) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  const int commits = kernel_.commits();
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {port("db")}, {}));
  policing_.known(policeable("db"));
  EXPECT_EQ(kernel_.commits(), commits);
}

TEST_F(PolicingTest, AMemberMoreIsPassedOnAsItIs) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  const int commits = kernel_.commits();
  const auto compiled = policing_.counts().compiled;
  policy::World larger = world();
  larger.pods.push_back(policy::testing::pod("shop", "web-9", {{"app", "web"}}, {ip("10.0.0.99")}));
  EXPECT_FALSE(allows("10.0.0.99", "db"));
  setPolicies(slicesIn(larger));
  EXPECT_TRUE(eventually([&] { return allows("10.0.0.99", "db"); }));
  EXPECT_EQ(kernel_.addressChanges(), 1);
  setPolicies(slices());
  EXPECT_TRUE(eventually([&] { return !allows("10.0.0.99", "db"); }));
  EXPECT_EQ(kernel_.addressChanges(), 2);
  EXPECT_EQ(kernel_.commits(), commits);
  EXPECT_EQ(policing_.counts().compiled, compiled);
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, AMemberWhomTheKernelRefusesComesWithTheNextTry) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  policy::World larger = world();
  larger.pods.push_back(policy::testing::pod("shop", "web-9", {{"app", "web"}}, {ip("10.0.0.99")}));
  kernel_.refuse(Error{Code::Unavailable, "CommitFailed", "no memory"});
  setPolicies(slicesIn(larger));
  EXPECT_TRUE(eventually([&] { return said("db") == "not enforced CommitFailed"; }));
  kernel_.refuse(std::nullopt);
  clock_.advance(seconds(1));
  EXPECT_TRUE(eventually([&] { return allows("10.0.0.99", "db"); }));
  EXPECT_TRUE(eventually([&] { return said("db") == "enforced Enforced"; }));
}

TEST_F(PolicingTest, APodWaitsASecondForPeersAndThenRunsWithThoseThatAreKnown) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(incomplete());
  auto joined = ask(policeable("db"));
  EXPECT_EQ(joined.wait_for(milliseconds(50)), std::future_status::timeout);
  clock_.advance(seconds(1));
  ASSERT_EQ(joined.wait_for(kLongEnough), std::future_status::ready);
  ASSERT_TRUE(joined.get());
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {port("db")}, {}));
  EXPECT_TRUE(isolates("db"));
  EXPECT_EQ(said("db"), "not enforced PeersPending");
  EXPECT_FALSE(allows("10.0.0.2", "db"));
  setPolicies(slices());
  EXPECT_TRUE(eventually([&] { return said("db") == "enforced Enforced"; }));
  EXPECT_TRUE(allows("10.0.0.2", "db"));
}

TEST_F(PolicingTest, APodWhosePoliciesNobodyToldIsntStarted) {
  policing_.recovered();
  setPod("db", "db");
  change([&] { caches_.policyLists.clear(); });
  auto joined = ask(policeable("db"));
  EXPECT_EQ(joined.wait_for(milliseconds(50)), std::future_status::timeout);
  clock_.advance(seconds(1));
  ASSERT_EQ(joined.wait_for(kLongEnough), std::future_status::ready);
  const Status status = joined.get();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "PoliciesUnknown");
  EXPECT_FALSE(policing_.hold(IntentId("i-db"), {port("db")}, {}));
}

TEST_F(PolicingTest, ANewPolicyReachesPodsThatRunWhenItsPeersAreThereOrAfterFiveSeconds) {
  policing_.recovered();
  setPod("db", "db");
  ASSERT_TRUE(attach("db"));
  EXPECT_EQ(said("db"), "none");
  clock_.advance(seconds(1));
  setPolicies(incomplete());
  setPod("db-2", "db");
  auto second = ask(policeable("db-2"));
  EXPECT_EQ(second.wait_for(milliseconds(50)), std::future_status::timeout);
  clock_.advance(seconds(1));
  ASSERT_TRUE(second.get());
  ASSERT_TRUE(policing_.hold(IntentId("i-db-2"), {port("db-2")}, {}));
  EXPECT_TRUE(isolates("db-2")) << "one that joins is held to it at once";
  EXPECT_FALSE(isolates("db"));
  EXPECT_EQ(revision(), 0U) << "it doesn't hold for all";
  clock_.advance(seconds(4));
  EXPECT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_TRUE(eventually([&] { return said("db") == "not enforced PeersPending"; }));
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, LabelsThatChangeSelectAnew) {
  policing_.recovered();
  setPod("db", "other");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  EXPECT_FALSE(isolates("db"));
  setPod("db", "db");
  EXPECT_TRUE(eventually([&] { return isolates("db"); }));
  setPod("db", "other");
  EXPECT_TRUE(eventually([&] { return !isolates("db") && said("db") == "none"; }));
}

TEST_F(PolicingTest, APolicyThatGoesIsGone) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  setPolicies({});
  EXPECT_TRUE(eventually([&] { return !isolates("db"); }));
  EXPECT_TRUE(eventually([&] { return revision() == 0; }));
}

TEST_F(PolicingTest, ANetworksDefaultHoldsWhereNoPolicyDoes) {
  policing_.recovered();
  setPod("db", "db");
  ASSERT_TRUE(attach("db"));
  change([&] { caches_.content.networks["blue"].spec.defaultPolicy = api::DefaultPolicy::Deny; });
  EXPECT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
  change([&] {
    caches_.content.networks["blue"].spec.defaultPolicy = api::DefaultPolicy::SameNamespace;
  });
  EXPECT_TRUE(eventually([&] { return said("db") == "not enforced PeersPending"; }));
  setPolicies(testing::defaultSlices("blue", "uid-blue", "shop", world()));
  EXPECT_TRUE(eventually([&] { return said("db") == "enforced Enforced"; }));
  EXPECT_TRUE(allows("10.0.0.2", "db"));
  EXPECT_FALSE(allows("10.0.0.9", "db"));
}

TEST_F(PolicingTest, ADefaultThatBecomesTheNamespaceCutsNobodyOffBeforeThatIsTold) {
  policing_.recovered();
  setPod("db", "db");
  ASSERT_TRUE(attach("db"));
  // Nobody tells of the default in a namespace that has nobody on the network.
  setPod("far", "far");
  change([&] {
    caches_.content.networks["red"] = watch::readyNetwork("red", "10.1.0.0/16");
    caches_.policyLists["ops"] = {};
  });
  Policeable far = policeable("far", drivers::bridge::Link{"mnb-red"});
  far.pod.namespaceName = "ops";
  far.interfaces[0].network = NetworkName("red");
  far.interfaces[0].networkUid = NetworkUid("uid-red");
  ASSERT_TRUE(ask(far).get());
  const auto compiled = policing_.counts().compiled;
  change([&] {
    caches_.content.networks["blue"].spec.defaultPolicy = api::DefaultPolicy::SameNamespace;
  });
  ASSERT_TRUE(eventually([&] { return policing_.counts().compiled > compiled; }));
  EXPECT_FALSE(isolates("db"));
  setPod("db-2", "db");
  auto second = ask(policeable("db-2"));
  EXPECT_EQ(second.wait_for(milliseconds(50)), std::future_status::timeout);
  clock_.advance(seconds(1));
  const Status refused = second.get();
  ASSERT_FALSE(refused) << "what comes isn't let in open";
  EXPECT_EQ(refused.error().reason, "PoliciesUnknown");
  setPolicies(testing::defaultSlices("blue", "uid-blue", "shop", world()));
  EXPECT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_TRUE(allows("10.0.0.2", "db"));
  EXPECT_FALSE(allows("10.0.0.9", "db"));
  policing_.release({}, {IntentId("i-db-2")});
  ASSERT_TRUE(attach("db-2"));
  EXPECT_TRUE(isolates("db-2"));
}

TEST_F(PolicingTest, ADefaultThatNobodyTellsOfHoldsAfterFiveSeconds) {
  policing_.recovered();
  setPod("db", "db");
  ASSERT_TRUE(attach("db"));
  const auto compiled = policing_.counts().compiled;
  change([&] {
    caches_.content.networks["blue"].spec.defaultPolicy = api::DefaultPolicy::SameNamespace;
  });
  ASSERT_TRUE(eventually([&] { return policing_.counts().compiled > compiled; }));
  clock_.advance(seconds(4));
  const auto before = policing_.counts().compiled;
  setPod("db", "other");
  ASSERT_TRUE(eventually([&] { return policing_.counts().compiled > before; }));
  EXPECT_FALSE(isolates("db"));
  clock_.advance(seconds(1));
  EXPECT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
}

TEST_F(PolicingTest, NothingIsCommittedBeforeAllPodsOfAnEarlierAgentAreKnown) {
  setPod("db", "db");
  setPod("web", "web");
  setPolicies(slices());
  ends_[{IntentId("i-db"), "net1"}] = {"an older name"};
  policing_.known(policeable("db"));
  ASSERT_TRUE(join("web"));
  EXPECT_FALSE(policing_.hold(IntentId("i-web"), {port("web")}, {}));
  EXPECT_EQ(kernel_.commits(), 0);
  policing_.recovered();
  ASSERT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_EQ((kernel_.held("uid-blue")->ports.at({"shop", "db"})), "an older name");
}

TEST_F(PolicingTest, NoNetworkIsBegunThatAPodOfALostJournalMayBeOn) {
  setPod("db", "db");
  for (const char* name : {"web", "other"}) setPod(name, "web");
  setPolicies(slices());
  ends_[{IntentId("i-db"), "net1"}] = {"mnp-db", "mnb-blue"};
  policing_.known(unconfirmed("db"));
  policing_.recovered();
  const Status status = attach("web");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "PoliciesUnknown");
  EXPECT_NE(status.error().message.find("shop/db"), std::string::npos) << status.error().message;
  EXPECT_EQ(kernel_.commits(), 0) << "what db was held to stays";
  EXPECT_EQ(revision(), 0U) << "policies may be about it";
  // Nobody else waits for it.
  change([&] { caches_.content.networks["green"] = watch::readyNetwork("green", "10.1.0.0/16"); });
  Policeable other = policeable("other", drivers::bridge::Link{"mnb-green"});
  other.interfaces[0].network = NetworkName("green");
  other.interfaces[0].networkUid = NetworkUid("uid-green");
  ASSERT_TRUE(ask(other).get());
  isolation::Port green = port("other");
  green.network = NetworkUid("uid-green");
  EXPECT_TRUE(policing_.hold(IntentId("i-other"), {green}, {}));
  // Its set confirms its networks, and with them comes what was told meanwhile.
  policing_.known(policeable("db"));
  ASSERT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_EQ((kernel_.held("uid-blue")->ports.at({"shop", "db"})), "mnp-db");
  EXPECT_TRUE(policing_.hold(IntentId("i-web"), {port("web")}, {}));
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, AnEndThatNobodyClaimsMayBeThatOfAPodWhichNobodyCouldLookInto) {
  const Policeable lost{IntentId("lost-1"), policeable("db").pod, {}, true};
  setPod("db", "db");
  setPod("web", "web");
  setPolicies(slices());
  ends_[{IntentId("i-db"), "net1"}] = {"mnp-db", "mnb-blue"};
  policing_.known(lost);
  policing_.recovered();
  EXPECT_FALSE(attach("web"));
  EXPECT_EQ(kernel_.commits(), 0);
  policing_.known(policeable("db"));
  ASSERT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_EQ((kernel_.held("uid-blue")->ports.at({"shop", "db"})), "mnp-db");
  EXPECT_TRUE(policing_.hold(IntentId("i-web"), {port("web")}, {}));
}

TEST_F(PolicingTest, APodOfWhoseNetworkTheBridgeIsntKnownYetStaysHeld) {
  setPod("db", "db");
  setPod("web", "web");
  setPolicies(slices());
  ends_[{IntentId("i-db"), "net1"}] = {"mnp-db", "mnb-blue"};
  policing_.known(policeable("db", drivers::bridge::Link{}));  // as its set alone tells
  policing_.recovered();
  EXPECT_FALSE(attach("web"));
  EXPECT_EQ(kernel_.commits(), 0);
  policing_.known(policeable("db"));
  ASSERT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_TRUE(policing_.hold(IntentId("i-web"), {port("web")}, {}));
}

TEST_F(PolicingTest, AnEndThatIsNobodysHoldsNobodyUp) {
  Policeable lost{IntentId("lost-1"), policeable("db").pod, {}, true};
  setPod("db", "db");
  setPod("web", "web");
  setPolicies(slices());
  ends_[{IntentId("i-gone"), "net1"}] = {"mnp-gone", "mnb-blue"};
  policing_.known(lost);
  policing_.recovered();
  EXPECT_FALSE(attach("web"));
  lost.unseen = false;  // it has no links
  policing_.known(lost);
  EXPECT_TRUE(eventually([&] { return attach("web").has_value(); }));
}

TEST_F(PolicingTest, APodThatEndsUnconfirmedHoldsNobodyUpAnyMore) {
  setPod("web", "web");
  setPolicies(slices());
  ends_[{IntentId("i-db"), "net1"}] = {"mnp-db", "mnb-blue"};
  policing_.known(unconfirmed("db"));
  policing_.recovered();
  EXPECT_FALSE(attach("web"));
  policing_.release({"mnp-db"}, {IntentId("i-db")});
  EXPECT_TRUE(policing_.hold(IntentId("i-web"), {port("web")}, {}));
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, ARunningPodOfWhichNothingIsKnownAnyMoreIsClosed) {
  ends_[{IntentId("i-db"), "net1"}] = {"mnp-db"};
  policing_.known(policeable("db"));
  policing_.recovered();
  ASSERT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
}

TEST_F(PolicingTest, WhatTheKernelRefusesFailsThoseThatItIsAbout) {
  policing_.recovered();
  setPod("db", "db");
  setPod("web", "web");
  setPolicies(slices());
  kernel_.refuse(Error{Code::Unavailable, "CommitFailed", "no memory"});
  const Status status = attach("db");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "CommitFailed");
  EXPECT_EQ(said("db"), "not enforced CommitFailed");
  EXPECT_TRUE(attach("web")) << "no policy is about it";
  EXPECT_EQ(revision(), 0U);
  kernel_.refuse(std::nullopt);
  clock_.advance(seconds(1));
  EXPECT_TRUE(eventually([&] { return isolates("db") && revision() == 5; }));
  EXPECT_EQ(said("db"), "enforced Enforced");
}

TEST_F(PolicingTest, WhatTheKernelLostIsToldTillItIsBack) {
  const auto find = [this](Kernel::Troubles troubles) {
    const std::lock_guard lock(mutex_);
    troubles_ = std::move(troubles);
  };
  const auto comes = [this](const auto& wanted) {
    return eventually([&] {
      clock_.advance(seconds(1));
      return wanted();
    });
  };
  const auto trouble = [this] {
    const std::lock_guard lock(mutex_);
    return trouble_ ? trouble_->message : "";
  };
  const auto asked = [this] {
    const std::lock_guard lock(mutex_);
    return troublesAsked_;
  };
  policing_.recovered();
  setPod("db", "db");
  setPod("lan", "db");
  ASSERT_TRUE(attach("db"));
  ASSERT_TRUE(attachInPod("lan"));
  clock_.advance(seconds(10));
  EXPECT_EQ(asked(), 0) << "nobody is isolated";
  setPolicies(slices());
  ASSERT_TRUE(eventually([&] { return said("db") == "enforced Enforced"; }));
  find({Error{Code::Unavailable, "CommitFailed", "gone"}, {}});
  EXPECT_TRUE(comes([&] { return said("db") == "not enforced CommitFailed"; }));
  EXPECT_EQ(said("lan"), "enforced Enforced") << "its rules are its pod's";
  EXPECT_TRUE(comes([&] { return trouble() == "gone"; }));
  EXPECT_EQ(policing_.counts().notEnforced, 1U);
  const auto compiled = policing_.counts().compiled;
  const int before = asked();
  EXPECT_TRUE(comes([&] { return asked() >= before + 3; }));
  EXPECT_EQ(policing_.counts().compiled, compiled) << "it is asked, and no more";
  find({std::nullopt, {{"in lan", Error{Code::Unavailable, "CommitFailed", "gone there"}}}});
  EXPECT_TRUE(comes([&] { return said("lan") == "not enforced CommitFailed"; }));
  EXPECT_EQ(said("db"), "enforced Enforced");
  EXPECT_TRUE(comes([&] { return trouble() == "gone there"; }));
  find({});
  EXPECT_TRUE(comes([&] { return said("lan") == "enforced Enforced"; }));
  EXPECT_TRUE(comes([&] { return trouble().empty(); }));
}

TEST_F(PolicingTest, WhatIsReleasedIsForgotten) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  policing_.release({"mnp-db"}, {});
  EXPECT_FALSE(isolates("db"));
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {port("db")}, {})) << "it is tried again";
  EXPECT_TRUE(isolates("db"));
  policing_.release({}, {IntentId("i-db")});
  EXPECT_FALSE(kernel_.held("uid-blue"));
  EXPECT_EQ(policing_.counts().isolated, 0U);
}

TEST_F(PolicingTest, PortsOfTheGatewayAreToldWithTheNetwork) {
  using Ports = std::set<std::string>;
  ends_[{IntentId("gateway-uid-blue"), "net1"}] = {"mnp-earlier"};
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  EXPECT_EQ(kernel_.held("uid-blue")->gateways, Ports{"mnp-earlier"}) << "of an earlier agent";
  isolation::Port gateway = port("new");
  ASSERT_TRUE(policing_.hold(IntentId("gateway-uid-blue"), {gateway}, {}));
  EXPECT_EQ(kernel_.held("uid-blue")->gateways, (Ports{"mnp-earlier", "mnp-new"}));
  const int commits = kernel_.commits();
  ASSERT_TRUE(policing_.hold(IntentId("gateway-uid-blue"), {gateway}, {}));
  EXPECT_EQ(kernel_.commits(), commits) << "what is known is written by nobody";
  policing_.release({"mnp-earlier", "mnp-new"}, {IntentId("gateway-uid-blue")});
  EXPECT_EQ(kernel_.held("uid-blue")->gateways, Ports{});
  EXPECT_TRUE(isolates("db"));
  // It isn't held up by what the kernel refuses, and is told when that is over.
  kernel_.refuse(Error{Code::Unavailable, "CommitFailed", "no memory"});
  EXPECT_TRUE(policing_.hold(IntentId("gateway-uid-blue"), {gateway}, {}));
  kernel_.refuse(std::nullopt);
  clock_.advance(seconds(1));
  EXPECT_TRUE(eventually([&] { return kernel_.held("uid-blue")->gateways == Ports{"mnp-new"}; }));
}

TEST_F(PolicingTest, WhomItsInterfacesAdmitOfClientsIsToldOnceItIsKnown) {
  EXPECT_EQ(policing_.admissions(NetworkUid("uid-blue")), nullptr);
  Policeable db = policeable("db");
  db.interfaces[0].addresses = {{InterfaceAddress::parse("10.0.0.1/16").value(), {}}};
  ends_[{IntentId("i-db"), "net1"}] = {"mnp-db"};
  policing_.known(db);
  setPod("db", "db");
  setPolicies(slices());
  EXPECT_EQ(policing_.admissions(NetworkUid("uid-blue")), nullptr);
  policing_.recovered();
  ASSERT_TRUE(eventually([&] { return policing_.admissions(NetworkUid("uid-blue")) != nullptr; }));
  const Admissions nobody = {{ip("10.0.0.1"), {}}};
  EXPECT_EQ(*policing_.admissions(NetworkUid("uid-blue")), nobody) << "pods are no clients";
  EXPECT_EQ(*policing_.admissions(NetworkUid("uid-green")), Admissions{});
  policing_.release({"mnp-db"}, {IntentId("i-db")});
  EXPECT_EQ(*policing_.admissions(NetworkUid("uid-blue")), Admissions{});
}

TEST_F(PolicingTest, WhomItsInterfacesAdmitIsLookedForWhenSomebodyAsks) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  const int told = admissionsTold_;
  EXPECT_EQ(policing_.admissions(NetworkUid("uid-blue")), nullptr);
  ASSERT_TRUE(eventually([&] { return admissionsTold_ > told; }));
  ASSERT_NE(policing_.admissions(NetworkUid("uid-blue")), nullptr);
  // And from then on, for one that comes again too.
  policing_.release({"mnp-db"}, {IntentId("i-db")});
  EXPECT_EQ(*policing_.admissions(NetworkUid("uid-blue")), Admissions{});
  ASSERT_TRUE(attach("db"));
  ASSERT_TRUE(eventually([&] { return policing_.admissions(NetworkUid("uid-blue")) != nullptr; }));
}

TEST_F(PolicingTest, ATypeWithoutANodesEndIsToldWhereAPolicySelectsIt) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(ask(policeable("db", drivers::ipvlan::Link{"eth1", api::IpvlanMode::L3S})).get());
  EXPECT_TRUE(eventually([&] { return said("db") == "not enforced TypeNotCovered"; }));
  EXPECT_EQ(policing_.counts().notEnforced, 1U);
}

TEST_F(PolicingTest, ALinkWithoutANodesEndIsHeldInItsPod) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attachInPod("db"));
  EXPECT_EQ(kernel_.inPod("in db"), true);
  EXPECT_FALSE(kernel_.held("uid-blue")) << "nothing of it is at the node's";
  EXPECT_EQ(said("db"), "enforced Enforced");
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
  ASSERT_TRUE(policing_.linked(IntentId("i-db")));
  EXPECT_EQ(kernel_.linked(), std::vector<std::string>{"in db"});
  policing_.release({}, {IntentId("i-db")});
  EXPECT_EQ(kernel_.left(), std::vector<std::string>{"in db"});
  EXPECT_FALSE(kernel_.inPod("in db"));
  EXPECT_EQ(policing_.counts().isolated, 0U);
}

TEST_F(PolicingTest, WhatOnePodsKernelRefusesIsThatPodsTrouble) {
  policing_.recovered();
  for (const char* name : {"db", "db-2"}) setPod(name, "db");
  setPolicies(slices());
  kernel_.refusePods({"db"});
  const Status status = attachInPod("db");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "CommitFailed");
  ASSERT_TRUE(attachInPod("db-2"));
  EXPECT_EQ(said("db"), "not enforced CommitFailed");
  EXPECT_EQ(said("db-2"), "enforced Enforced");
  EXPECT_EQ(revision(), 0U);
  EXPECT_TRUE(eventually([&] {
    clock_.advance(seconds(1));
    return revision() == 5;
  })) << "it is that pod's, and told: no other policy waits for it";
  EXPECT_EQ(said("db"), "not enforced CommitFailed");
  kernel_.refusePods({});
  clock_.advance(seconds(1));
  EXPECT_TRUE(eventually([&] { return said("db") == "enforced Enforced" && revision() == 5; }));
}

TEST_F(PolicingTest, NothingIsToldOfALinkInAPodBeforeItIsMetAgain) {
  setPod("db", "db");
  setPolicies(slices());
  policing_.known(policeable("db", drivers::macvlan::Link{}));
  policing_.recovered();
  EXPECT_TRUE(eventually([&] { return policing_.counts().compiled > 0; }));
  EXPECT_EQ(said("db"), "nothing");
  EXPECT_EQ(revision(), 0U);
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {}, {inPod("db")}));
  EXPECT_EQ(said("db"), "enforced Enforced");
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, ALinkThatNobodyMeetsAgainIsWaitedForAWhile) {
  setPod("db", "db");
  setPolicies(slices());
  policing_.known(policeable("db", drivers::macvlan::Link{}));
  policing_.recovered();
  EXPECT_TRUE(eventually([&] { return policing_.counts().compiled > 0; }));
  EXPECT_EQ(revision(), 0U);
  clock_.advance(seconds(31));
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, PoliciesOfWhichNothingIsHeardAreHeldToAndToldAsOld) {
  const auto isSilent = [this] {
    const std::lock_guard lock(mutex_);
    return isSilent_;
  };
  const auto isHeard = [this](std::optional<Duration> policies, std::optional<Duration> anything) {
    const std::lock_guard lock(caches_.mutex_);
    caches_.heardAgo = {policies, anything};
  };
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  policing_.changed();
  EXPECT_FALSE(policing_.counts().stale);
  isHeard(minutes(5), minutes(5));
  // Nobody says that anything changed: it looks by itself.
  clock_.advance(minutes(5));
  ASSERT_TRUE(eventually([&] { return policing_.counts().stale; }));
  EXPECT_FALSE(isSilent());
  EXPECT_TRUE(isolates("db"));
  EXPECT_EQ(said("db"), "enforced Enforced");
  isHeard(minutes(6), seconds(1));
  EXPECT_TRUE(eventually([&] {
    clock_.advance(seconds(10));
    return isSilent();
  })) << "the server is there";
  EXPECT_TRUE(isolates("db"));
  isHeard(seconds(1), seconds(1));
  EXPECT_TRUE(eventually([&] {
    clock_.advance(seconds(10));
    return !policing_.counts().stale && !isSilent();
  }));
}

TEST_F(PolicingTest, ATableOfFlowsThatIsNearlyFullIsToldTillItHasRoom) {
  policing_.recovered();
  const auto set = [this](std::optional<FlowTable> table) {
    {
      const std::lock_guard lock(mutex_);
      flows_ = table;
    }
    clock_.advance(std::chrono::seconds(10));
  };
  const auto told = [this] {
    const std::lock_guard lock(mutex_);
    return crowded_;
  };
  set(FlowTable{899, 1000});
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  EXPECT_EQ(told(), std::nullopt);
  set(FlowTable{900, 1000});
  EXPECT_TRUE(eventually([&] { return told() == FlowTable{900, 1000}; }));
  set(FlowTable{800, 1000});
  set(FlowTable{801, 1000});
  EXPECT_EQ(told(), (FlowTable{900, 1000})) << "it isn't told of each look";
  set(FlowTable{799, 1000});
  EXPECT_TRUE(eventually([&] { return told() == std::nullopt; }));
  set(FlowTable{1000, 1000});
  EXPECT_TRUE(eventually([&] { return told().has_value(); }));
  set(std::nullopt);
  EXPECT_TRUE(eventually([&] { return told() == std::nullopt; })) << "nobody is isolated";
}

TEST_F(PolicingTest, ANodeWithoutPodsHearsOfNoPoliciesAndIsSilent) {
  policing_.recovered();
  {
    const std::lock_guard lock(caches_.mutex_);
    caches_.heardAgo = {std::nullopt, seconds(1)};
  }
  setPolicies({});
  setPod("db", "db");
  ASSERT_TRUE(attach("db"));
  policing_.release({"mnp-db"}, {IntentId("i-db")});
  clock_.advance(minutes(20));
  policing_.changed();
  ASSERT_TRUE(attach("db")) << "its turn came after what changed()";
  EXPECT_FALSE(policing_.counts().stale);
}

TEST_F(PolicingTest, ALinkInAPodOfAnIntentsNewNameGoesOn) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attachInPod("db"));
  Policeable again = policeable("db", drivers::macvlan::Link{});
  again.intent = IntentId("j-db");
  ASSERT_TRUE(ask(again).get());
  ASSERT_TRUE(policing_.hold(IntentId("j-db"), {}, {inPod("db")}));
  policing_.release({}, {IntentId("i-db")});
  EXPECT_TRUE(kernel_.left().empty());
  EXPECT_EQ(kernel_.inPod("in db"), true);
}

TEST_F(PolicingTest, TwoSandboxesOfOneNameAreHeldBoth) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  Policeable again = policeable("db");
  again.intent = IntentId("j-db");
  ASSERT_TRUE(ask(again).get());
  isolation::Port other = port("db");
  other.name = "mnp-again";
  ASSERT_TRUE(policing_.hold(IntentId("j-db"), {other}, {}));
  EXPECT_EQ(kernel_.held("uid-blue")->ports.size(), 2U);
  EXPECT_EQ(kernel_.held("uid-blue")->program.ingress.size(), 2U);
}

}  // namespace
}  // namespace multinet::agent::policing
