#include "lib/policy/peers.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "lib/api/test_objects.h"
#include "lib/policy/test_worlds.h"

namespace multinet::policy {
namespace {

using api::PolicyType;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

api::PolicyPeer pods(k8s::StringMap labels) {
  api::PolicyPeer out;
  out.podSelector.emplace().matchLabels = std::move(labels);
  return out;
}
api::PolicyPeer block(std::string cidr, std::vector<std::string> except = {}) {
  api::PolicyPeer out;
  out.ipBlock = api::PolicyIpBlock{std::move(cidr), std::move(except)};
  return out;
}
api::PolicyPort port(std::int32_t number) {
  return {api::Protocol::TCP, k8s::IntOrString{number, ""}, {}};
}
api::PolicyPort port(const std::string& name) {
  return {api::Protocol::TCP, k8s::IntOrString{0, name}, {}};
}
api::PodNetworkPolicySpec ingress(std::vector<api::PolicyPeer> peers,
                                  std::vector<api::PolicyPort> ports) {
  api::PodNetworkPolicySpec out;
  out.ingress.emplace_back();
  out.ingress[0].peers = std::move(peers);
  out.ingress[0].ports = std::move(ports);
  return out;
}
api::PodNetworkPolicySpec egress(std::vector<api::PolicyPeer> peers,
                                 std::vector<api::PolicyPort> ports) {
  api::PodNetworkPolicySpec out;
  out.egress.emplace_back();
  out.egress[0].peers = std::move(peers);
  out.egress[0].ports = std::move(ports);
  return out;
}

TEST(PeersOf, AreSelectedPodsWhateverThePorts) {
  const auto peer = pods({{"app", "web"}});
  for (const auto& ports : std::vector<std::vector<api::PolicyPort>>{
           {}, {port(80)}, {port(80), port(81)}, {port("web")}}) {
    EXPECT_THAT(peersOf(ingress({peer}, ports), "shop"),
                ElementsAre(Peer{"shop", peer, std::nullopt}));
  }
}

TEST(PeersOf, OfTheClusterAreThoseThatItsRulesSelectInBothDirections) {
  api::ClusterPodNetworkPolicy policy = api::testing::goodClusterPolicy("guard", "blue");
  auto& spec = policy.spec;
  const auto& ops = spec.ingress.at(0).peers.at(0).pods;
  const api::PolicyPeer who{ops->podSelector, ops->namespaceSelector, std::nullopt};
  EXPECT_THAT(peersOf(rulesOf(policy)), ElementsAre(Peer{"", who, std::nullopt}));
  api::ClusterPolicyProtocol named;
  named.destinationNamedPort = "web";
  spec.egress = {{{"", api::ClusterPolicyAction::Deny, spec.ingress.at(0).peers, {named}}}};
  EXPECT_THAT(peersOf(rulesOf(policy)), SizeIs(4)) << "by a number of each protocol";
  spec.egress.at(0).protocols.emplace_back();
  EXPECT_THAT(peersOf(rulesOf(policy)), SizeIs(1)) << "who can't be read is nobody";
}

TEST(PeersOf, AreNoBlocksAndNotEverybodyOnIngress) {
  EXPECT_THAT(peersOf(ingress({block("10.0.0.0/8")}, {port("web")}), "shop"), IsEmpty());
  EXPECT_THAT(peersOf(ingress({}, {port("web")}), "shop"), IsEmpty());
}

TEST(PeersOf, AreWhoeverIsConnectedToByAPortsName) {
  const PeerPort web{"web", api::Protocol::TCP};
  EXPECT_THAT(peersOf(egress({}, {port("web")}), "shop"),
              ElementsAre(Peer{"shop", std::nullopt, web}));
  EXPECT_THAT(peersOf(egress({block("10.0.0.0/8")}, {port("web")}), "shop"),
              ElementsAre(Peer{"shop", block("10.0.0.0/8"), web}));
  EXPECT_THAT(peersOf(egress({pods({})}, {port("web")}), "shop"),
              ElementsAre(Peer{"shop", pods({}), web}));
  EXPECT_THAT(peersOf(egress({pods({})}, {port("web"), port(80)}), "shop"), SizeIs(2));
  EXPECT_THAT(peersOf(egress({block("10.0.0.0/8")}, {port("web"), port(80)}), "shop"), SizeIs(1));
}

TEST(PeersOf, StandOnceHoweverOftenTheyAreNamed) {
  auto spec = ingress({pods({{"app", "web"}}), pods({{"app", "web"}})}, {});
  spec.egress.emplace_back();
  spec.egress[0].peers = {pods({{"app", "web"}})};
  EXPECT_THAT(peersOf(spec, "shop"), SizeIs(1));
}

TEST(PeersOf, OfADirectionThatIsntIsolatedOrThatCantBeReadAreNobody) {
  auto spec = ingress({pods({})}, {});
  spec.policyTypes = {PolicyType::Egress};
  EXPECT_THAT(peersOf(spec, "shop"), IsEmpty());
  api::PolicyPeer illegible = pods({});
  illegible.podSelector->matchExpressions = {{"a", k8s::SelectorOperator::NotIn, {}}};
  EXPECT_THAT(peersOf(ingress({illegible, {}}, {}), "shop"), IsEmpty());
}

TEST(PeerHash, TellsApartWhatMeansOthers) {
  const PeerPort web{"web", api::Protocol::TCP};
  const PeerPort dns{"web", api::Protocol::UDP};
  api::PolicyPeer everywhere = pods({});
  everywhere.namespaceSelector.emplace();
  const std::vector<Peer> all = {{"shop", std::nullopt, web},
                                 {"shop", std::nullopt, dns},
                                 {"shop", pods({}), {}},
                                 {"shop", pods({}), web},
                                 {"ops", pods({}), {}},
                                 {"shop", pods({{"a", "b"}}), {}},
                                 {"shop", pods({{"ab", ""}}), {}},
                                 {"shop", everywhere, {}},
                                 {"shop", block("10.0.0.0/8"), web},
                                 {"shop", block("10.0.0.0/8", {"10.1.0.0/16"}), web}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_THAT(peerHash(all[i]), SizeIs(16));
    for (std::size_t k = 0; k < i; ++k) EXPECT_NE(peerHash(all[i]), peerHash(all[k])) << i << k;
  }
  // A namespaceSelector means the same wherever the policy is.
  EXPECT_EQ(peerHash({"shop", everywhere, {}}), peerHash({"ops", everywhere, {}}));
}

TEST(PeerHash, IsTheSameInEveryVersion) {
  EXPECT_EQ(peerHash({"shop", pods({{"app", "web"}}), PeerPort{"pg", api::Protocol::TCP}}),
            "a0e47215407a8be5");
}

TEST(MembersOf, AreThePodsAddressesOnThatNetworkAlone) {
  auto web = testing::pod("shop", "web-0", {{"app", "web"}},
                          {testing::ip("10.0.0.1"), testing::ip("fd00::1")});
  web.interfaces.push_back({"red", {testing::ip("10.9.0.1")}});
  const Peer peer{"shop", pods({{"app", "web"}}), {}};
  EXPECT_THAT(membersOf(peer, web, "blue", nullptr),
              ElementsAre(api::PolicyMember{"10.0.0.1", {}}, api::PolicyMember{"fd00::1", {}}));
  EXPECT_THAT(membersOf(peer, web, "red", nullptr), ElementsAre(api::PolicyMember{"10.9.0.1", {}}));
  EXPECT_THAT(membersOf(peer, web, "green", nullptr), IsEmpty());
  web.key.nameSpace = "ops";
  EXPECT_THAT(membersOf(peer, web, "blue", nullptr), IsEmpty());
}

TEST(MembersOf, CountANamespacesLabelsOnceTheyAreKnown) {
  const auto web = testing::pod("ops", "web-0", {}, {testing::ip("10.0.0.1")});
  Peer peer{"shop", api::PolicyPeer{}, {}};
  peer.who->namespaceSelector.emplace();
  const k8s::StringMap labels;
  EXPECT_THAT(membersOf(peer, web, "blue", nullptr), IsEmpty());
  EXPECT_THAT(membersOf(peer, web, "blue", &labels), SizeIs(1));
}

TEST(MembersOf, HaveTheirOwnNumberForAPortsName) {
  auto web = testing::pod("shop", "web-0", {}, {testing::ip("10.0.0.1")},
                          {{"web", api::Protocol::TCP, 8080}});
  const Peer peer{"shop", block("10.0.0.0/30", {"10.0.0.2/32"}),
                  PeerPort{"web", api::Protocol::TCP}};
  EXPECT_THAT(membersOf(peer, web, "blue", nullptr),
              ElementsAre(api::PolicyMember{"10.0.0.1", 8080}));
  web.interfaces[0].addresses = {testing::ip("10.0.0.2"), testing::ip("10.0.0.4")};
  EXPECT_THAT(membersOf(peer, web, "blue", nullptr), IsEmpty());
  web.ports[0].protocol = api::Protocol::UDP;
  web.interfaces[0].addresses = {testing::ip("10.0.0.1")};
  EXPECT_THAT(membersOf(peer, web, "blue", nullptr), IsEmpty());
}

/// Whatever rules say, resolved peers hold who is meant: a rule with a peer allows an address
/// exactly where the peer's members have it.
TEST(MembersOf, AreWhomTheEvaluatorMeans) {
  testing::Draw draw(31);
  int members = 0;
  for (int i = 0; i < 5'000; ++i) {
    World world = draw.world();
    world.clusterPolicies.clear();
    const Network network{"blue", api::DefaultPolicy::Deny};
    for (const auto& policy : std::vector(world.policies)) {
      for (const auto& rule : policy.spec.ingress) {
        for (const auto& who : rule.peers) {
          if (who.ipBlock) continue;
          api::PodNetworkPolicy one = policy;
          one.spec.podNetworkNames = {"blue"};
          one.spec.podSelector = {};
          one.spec.policyTypes = {PolicyType::Ingress};
          one.spec.ingress = {{}};
          one.spec.ingress[0].peers = {who};
          world.policies = {one};
          const Peer peer{policy.metadata.nameSpace, who, {}};
          for (const auto& from : world.pods) {
            const auto labels = world.namespaces.find(from.key.nameSpace);
            const auto found = membersOf(
                peer, from, "blue", labels == world.namespaces.end() ? nullptr : &labels->second);
            for (const auto& to : world.pods) {
              if (to.key == from.key || to.key.nameSpace != policy.metadata.nameSpace) continue;
              if (to.on("blue") == nullptr || from.on("blue") == nullptr) continue;
              for (const auto& address : from.on("blue")->addresses) {
                for (const auto& target : to.on("blue")->addresses) {
                  if (target.family() != address.family()) continue;
                  const bool isMember = std::ranges::any_of(
                      found, [&](const auto& member) { return member.address == address.str(); });
                  const auto verdict = evaluate(world, network, {address, target, {}, 0});
                  ASSERT_EQ(verdict.ingress.allowed, isMember);
                  members += isMember ? 1 : 0;
                }
              }
            }
          }
        }
      }
    }
  }
  EXPECT_GT(members, 1'000);
}

}  // namespace
}  // namespace multinet::policy
