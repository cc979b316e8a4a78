// What a network's admin asks for, and what pods may do about it.
#include "nodeagent/policy/policing_fixture.h"

namespace multinet::agent::policing {
namespace {

TEST_F(PolicingTest, APodThatMayUndoItsRulesIsntEnforcedWhereTheyStandInIt) {
  policing_.recovered();
  setPod("db", "db");
  setPod("lan", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  ASSERT_TRUE(attachInPod("lan"));
  EXPECT_EQ(said("lan"), "enforced Enforced");
  const auto debug = [&](const std::string& name, std::vector<std::string> add) {
    auto pod = std::make_shared<k8s::Pod>();
    change([&] {
      for (auto& one : caches_.podList) {
        if (one->metadata.name != name) continue;
        *pod = *one;
        k8s::Container container;
        container.name = "debug";
        container.securityContext = k8s::SecurityContext{false, {std::move(add)}};
        pod->spec.ephemeralContainers = std::vector{container};
        one = pod;
      }
    });
  };
  debug("lan", {"SYS_PTRACE"});
  debug("db", {"NET_ADMIN"});
  debug("lan", {"NET_ADMIN"});
  EXPECT_TRUE(eventually([&] { return said("lan") == "not enforced PodMayChangeRules"; }));
  EXPECT_EQ(said("db"), "enforced Enforced") << "its rules are the node's";
  EXPECT_TRUE(eventually([&] { return policing_.counts().undoable == 1; }));
  EXPECT_EQ(policing_.counts().isolated, 2U);
  EXPECT_EQ(policing_.counts().notEnforced, 0U);
  EXPECT_EQ(kernel_.inPod("in lan"), true) << "held all the same";
  EXPECT_TRUE(eventually([&] { return revision() == 5; })) << "nothing waits for it";
}

TEST_F(PolicingTest, WhatIsTooMuchForANodeIsntCountedAsHeld) {
  policing_.recovered();
  setPod("db", "db");
  api::PodNetworkPolicy large = policy();
  large.spec.ingress.clear();
  for (int i = 0; i < 9; ++i) {
    api::PolicyIngressRule& rule = large.spec.ingress.emplace_back();
    for (int j = 0; j < 100; ++j) {
      rule.peers.emplace_back().ipBlock = {
          "10.1." + std::to_string(i) + "." + std::to_string(j) + "/32", {}};
      rule.ports.emplace_back().port.emplace().number = 2 * j + 1;
    }
  }
  setPolicies(testing::slicesOf(large, world(), 5));
  ASSERT_TRUE(attach("db"));
  EXPECT_EQ(said("db"), "not enforced TooManyPermits");
  EXPECT_TRUE(eventually([&] { return policing_.counts().notEnforced == 1; }));
}

TEST_F(PolicingTest, AddressesOfTheGatewayAreToldInPodsWhereTheyCanBeBelieved) {
  using Addresses = std::set<IpAddress>;
  const Addresses earlier = {ip("10.0.0.9")};
  const Addresses later = {ip("10.0.0.8"), ip("fd00::8")};
  const IntentId gateway("gateway-uid-blue");
  gatewaysThere_[NetworkUid("uid-blue")] = earlier;
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attachInPod("db"));
  EXPECT_EQ(kernel_.gatewaysInPods(), earlier) << "of an earlier agent, from the first commit on";
  attach::PodPort port = inPod("gateway");
  port.addresses = {later.begin(), later.end()};
  ASSERT_TRUE(policing_.hold(gateway, {}, {port}));
  EXPECT_EQ(kernel_.gatewaysInPods(), later);
  EXPECT_FALSE(kernel_.inPod("in gateway")) << "no policy is about it";
  const auto compiled = policing_.counts().compiled;
  ASSERT_TRUE(policing_.hold(gateway, {}, {port}));
  EXPECT_EQ(policing_.counts().compiled, compiled) << "what is known is compiled by nobody";
  // Where pods may send from its address nobody comes in by that alone.
  const auto ask = [&](api::PortSecurity security) {
    auto network = watch::readyNetwork("blue", "10.0.0.0/16");
    network.spec.portSecurity = security;
    change([&] { caches_.content.networks["blue"] = network; });
  };
  for (const auto security : {api::PortSecurity::MacOnly, api::PortSecurity::Disabled}) {
    ask(security);
    EXPECT_TRUE(eventually([&] { return kernel_.gatewaysInPods().empty(); }));
    ask(api::PortSecurity::Enforced);
    EXPECT_TRUE(eventually([&] { return kernel_.gatewaysInPods() == later; }));
  }
  policing_.release({}, {gateway});
  EXPECT_TRUE(kernel_.gatewaysInPods().empty());
  EXPECT_EQ(kernel_.inPod("in db"), true);
}

TEST_F(PolicingTest, ANetworksConnectionsAreTrackedWhereItAsksForThat) {
  policing_.recovered();
  setPod("db", "db");
  const auto ask = [&](api::TrackConnections track) {
    auto network = watch::readyNetwork("blue", "10.0.0.0/16");
    network.spec.trackConnections = track;
    change([&] { caches_.content.networks["blue"] = network; });
  };
  const auto tracks = [&](api::TrackConnections track) {
    const auto held = kernel_.held("uid-blue");
    return held && held->track == track;
  };
  ASSERT_TRUE(attach("db"));
  EXPECT_TRUE(tracks(api::TrackConnections::Auto));
  ask(api::TrackConnections::Always);
  EXPECT_TRUE(eventually([&] { return tracks(api::TrackConnections::Always); })) << "while it runs";
  EXPECT_EQ(said("db"), "none") << "no policy is about it";
  setPod("lan", "db");
  ASSERT_TRUE(attachInPod("lan"));
  EXPECT_EQ(kernel_.trackInPods(), api::TrackConnections::Always);
  ask(api::TrackConnections::Auto);
  EXPECT_TRUE(eventually([&] { return tracks(api::TrackConnections::Auto); }));
}

TEST_F(PolicingTest, PodsOfANetworkThatIsGoneAreHeldToWhatTheyWereByASuccessor) {
  // Its object was forced away, or made again under its name.
  change([&] { caches_.content.networks["blue"].metadata.uid = "uid-later"; });
  setPod("db", "db");
  setPod("web", "web");
  ends_[{IntentId("i-db"), "net1"}] = {"mnp-db", "mnb-blue"};
  policing_.known(policeable("db"));
  policing_.recovered();
  Policeable web = policeable("web");
  web.interfaces[0].networkUid = NetworkUid("uid-later");
  isolation::Port later = port("web");
  later.network = NetworkUid("uid-later");
  ASSERT_TRUE(ask(web).get());
  const Status shared = policing_.hold(IntentId("i-web"), {later}, {});
  ASSERT_FALSE(shared) << "it is on their bridge";
  EXPECT_NE(shared.error().message.find("uid-blue"), std::string::npos) << shared.error().message;
  EXPECT_EQ(kernel_.commits(), 0) << "nobody knows what the network's admin had written";
  policing_.release({"mnp-db"}, {IntentId("i-db")});
  EXPECT_TRUE(policing_.hold(IntentId("i-web"), {later}, {}));
}

TEST_F(PolicingTest, PodsOfANetworkThatGoesWhileTheAgentRunsKeepWhatItWrote) {
  policing_.recovered();
  change([&] { caches_.content.networks["blue"].spec.defaultPolicy = api::DefaultPolicy::Deny; });
  setPod("db", "db");
  ASSERT_TRUE(attach("db"));
  ASSERT_TRUE(isolates("db"));
  change([&] { caches_.content.networks.clear(); });
  setPod("db", "other");
  setPod("db", "db");
  setPolicies(slices());
  EXPECT_TRUE(eventually([&] { return allows("10.0.0.2", "db"); })) << "policies go on";
  setPolicies({});
  EXPECT_TRUE(eventually([&] { return !allows("10.0.0.2", "db"); }));
  EXPECT_TRUE(isolates("db"));
}

}  // namespace
}  // namespace multinet::agent::policing
