#include "lib/policy/program.h"

#include <gmock/gmock.h>

#include "lib/policy/test_worlds.h"

namespace multinet::policy {
namespace {

using testing::ip;
using testing::pod;

const Network kBlue{"blue", api::DefaultPolicy::Allow};

api::PodNetworkPolicy policyOf(const std::string& space, api::PolicyPeer peer,
                               std::vector<api::PolicyPort> ports = {}) {
  api::PodNetworkPolicy policy;
  policy.metadata.nameSpace = space;
  policy.metadata.name = "p";
  policy.spec.podNetworkNames = {"blue"};
  api::PolicyIngressRule rule;
  rule.peers = {std::move(peer)};
  rule.ports = std::move(ports);
  policy.spec.ingress = {rule};
  return policy;
}
api::PolicyPeer web() {
  return {k8s::LabelSelector{{{"app", "web"}}, {}}, {}, {}};
}
api::PolicyPeer block(const std::string& cidr, std::vector<std::string> except = {}) {
  return {{}, {}, api::PolicyIpBlock{cidr, std::move(except)}};
}
api::PolicyPort tcp(std::int32_t first, std::int32_t last) {
  return {api::Protocol::TCP, k8s::IntOrString{first, ""}, last};
}

std::vector<std::string> spell(const AddressClasses& addresses) {
  std::vector<std::string> out;
  addresses.each([&](const AddressRange& range, Number) {
    out.push_back(range.first.str() + "-" + range.last.str());
  });
  return out;
}

TEST(Compile, PodsThatMayTheSameShareASubject) {
  World world;
  for (int i = 1; i <= 100; ++i) {
    const auto name = std::to_string(i);
    world.pods.push_back(pod("shop", "db-" + name, {}, {ip("10.0.0." + name)}));
  }
  world.policies = {policyOf("shop", block("10.0.0.0/8"))};
  Numbers numbers;
  const auto program = compile(world, kBlue, numbers);
  EXPECT_EQ(program.ingress.size(), 100U);
  EXPECT_TRUE(program.egress.empty());
  EXPECT_EQ(program.permits.size(), 1U);
  EXPECT_EQ(program.addresses.size(), 1U);
}

TEST(Compile, ANewPeerIsOneElementWhateverSelectsIt) {
  World world;
  world.pods = {pod("shop", "db", {{"app", "db"}}, {ip("10.0.1.1")}),
                pod("shop", "web-1", {{"app", "web"}}, {ip("10.0.2.1")})};
  for (int i = 0; i < 50; ++i)
    world.policies.push_back(policyOf("shop", web(), {tcp(i + 1, i + 1)}));
  Numbers numbers;
  const auto before = compile(world, kBlue, numbers);
  world.pods.push_back(pod("elsewhere", "web-2", {{"app", "web"}}, {ip("10.0.2.9")}));
  EXPECT_TRUE(delta(before, compile(world, kBlue, numbers)).empty()) << "of another namespace";
  world.pods.back().key.nameSpace = "shop";
  const auto way = delta(before, compile(world, kBlue, numbers));
  EXPECT_EQ(way.addresses.added.size(), 1U);
  EXPECT_EQ(way.ingress.added.size(), 1U) << "it is isolated itself";
  EXPECT_TRUE(way.permits.empty());
  EXPECT_TRUE(way.addresses.removed.empty());
}

TEST(Compile, BlocksAreCutWhereTheyMeet) {
  World world;
  world.pods = {pod("shop", "db", {}, {ip("10.0.0.2")})};
  world.policies = {policyOf("shop", block("0.0.0.0/0", {"10.0.0.0/8"}), {tcp(1, 1)}),
                    policyOf("shop", block("10.1.0.0/16", {"10.1.255.0/24"}), {tcp(2, 2)}),
                    policyOf("shop", block("::/0"), {tcp(3, 3)})};
  Numbers numbers;
  const auto program = compile(world, kBlue, numbers);
  EXPECT_THAT(spell(program.addresses),
              ::testing::ElementsAre("0.0.0.0-9.255.255.255", "10.1.0.0-10.1.254.255",
                                     "11.0.0.0-255.255.255.255",
                                     "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
  const PodKey db{"shop", "db"};
  const auto passes = [&](const char* source, std::uint16_t port) {
    const Packet packet{ip(source), ip("10.0.0.2"), api::Protocol::TCP, port};
    return allows(program, packet, nullptr, &db);
  };
  EXPECT_TRUE(passes("255.255.255.255", 1));
  EXPECT_FALSE(passes("10.0.0.1", 1));
  EXPECT_TRUE(passes("10.1.254.255", 2));
  EXPECT_FALSE(passes("10.1.255.0", 2));
  EXPECT_TRUE(passes("ffff::", 3));
  EXPECT_FALSE(passes("ffff::", 1)) << "what reaches the end of IPv4 ends there";
}

TEST(Compile, PortsOfSeveralRulesAreJoined) {
  World world;
  world.pods = {pod("shop", "db", {}, {ip("10.0.0.2")})};
  world.policies = {policyOf("shop", block("10.0.0.0/8"),
                             {tcp(80, 90), tcp(91, 95), tcp(85, 88), tcp(97, 65535)})};
  Numbers numbers;
  const auto program = compile(world, kBlue, numbers);
  ASSERT_EQ(program.permits.size(), 2U);
  EXPECT_EQ(program.permits.begin()->first, 80);
  EXPECT_EQ(program.permits.begin()->last, 95);
  EXPECT_EQ(program.permits.rbegin()->first, 97);
  world.policies.push_back(policyOf("shop", block("10.0.0.0/8")));
  Numbers others;
  EXPECT_EQ(compile(world, kBlue, others).permits.size(), 1U) << "every protocol holds them all";
}

TEST(Compile, AnEndSaysNothingOfWhoIsntIsolated) {
  World world;
  world.pods = {pod("shop", "db", {}, {ip("10.0.0.2")})};
  Numbers numbers;
  EXPECT_EQ(compile(world, kBlue, numbers), Program());
  const auto closed = compile(world, {"blue", api::DefaultPolicy::Deny}, numbers);
  EXPECT_EQ(closed.ingress.size(), 1U);
  EXPECT_EQ(closed.egress.size(), 1U);
  EXPECT_TRUE(closed.permits.empty());
}

TEST(Compile, WhereThereIsNoRoomLessIsAllowedAndThatIsTold) {
  World world;
  world.pods = {pod("shop", "db", {{"app", "db"}}, {ip("10.0.0.2")}),
                pod("shop", "web", {{"app", "web"}}, {ip("10.0.0.3")})};
  auto wide = policyOf("shop", block("10.0.0.0/8"));
  wide.spec.podSelector.matchLabels = {{"app", "db"}};
  for (int i = 0; i < 20; ++i) {
    const auto port = 100 + 2 * i;
    wide.spec.ingress[0].ports.push_back(tcp(port, port));
  }
  auto narrow = policyOf("shop", block("10.0.0.0/8"), {tcp(80, 80)});
  narrow.spec.podSelector.matchLabels = {{"app", "web"}};
  WorldSource source(world, "blue");
  const std::vector<Subject> subjects = {{.pod = &world.pods[0], .policies = {&wide, &narrow}},
                                         {.pod = &world.pods[1], .policies = {&wide, &narrow}}};
  Numbers numbers;
  const auto all = compile(subjects, kBlue, source, numbers, 21);
  EXPECT_TRUE(all.cut.empty());
  const auto some = compile(subjects, kBlue, source, numbers, 20);
  EXPECT_THAT(some.cut, ::testing::ElementsAre(PodKey{"shop", "db"}));
  EXPECT_EQ(some.program.ingress, all.program.ingress) << "both are isolated all the same";
  EXPECT_EQ(some.program.permits.size(), 1U);
}

TEST(Compile, NobodyReachesWhoIsClosed) {
  World world;
  world.pods = {pod("shop", "db", {}, {ip("10.0.0.2")})};
  const auto policy = policyOf("shop", block("0.0.0.0/0"));
  WorldSource source(world, "blue");
  Numbers numbers;
  const auto closed = compile({{.pod = &world.pods[0], .policies = {&policy}, .closed = true}},
                              {"blue", api::DefaultPolicy::SameNamespace}, source, numbers);
  EXPECT_EQ(closed.program.ingress.size(), 1U);
  EXPECT_EQ(closed.program.egress.size(), 1U);
  EXPECT_TRUE(closed.program.permits.empty());
}

TEST(Delta, TellsTighterFromLooser) {
  World world;
  world.pods = {pod("shop", "db", {}, {ip("10.0.0.2")}),
                pod("shop", "web", {{"app", "web"}}, {ip("10.0.0.3")})};
  Numbers numbers;
  const auto open = compile(world, kBlue, numbers);
  world.policies = {policyOf("shop", web())};
  const auto isolated = compile(world, kBlue, numbers);
  EXPECT_TRUE(delta(open, isolated).mayTighten());
  world.pods[1].interfaces[0].addresses.push_back(ip("fd00::3"));
  const auto more = compile(world, kBlue, numbers);
  EXPECT_FALSE(delta(isolated, more).mayTighten()) << "a peer that comes";
  EXPECT_TRUE(delta(more, isolated).mayTighten()) << "a peer that goes";
}

TEST(Numbers, StayWhileTheyAreInUse) {
  World world;
  world.pods = {pod("shop", "db", {}, {ip("10.0.0.2")})};
  world.policies = {policyOf("shop", block("10.0.0.0/8"))};
  Numbers numbers;
  const auto program = compile(world, kBlue, numbers);
  world.policies[0].spec.ingress[0].peers = {block("10.0.0.0/9")};
  EXPECT_NE(compile(world, kBlue, numbers), program);
  EXPECT_EQ(numbers.size(), 4U);
  numbers.keepOnly({&program});
  EXPECT_EQ(numbers.size(), 2U);
  world.policies[0].spec.ingress[0].peers = {block("10.0.0.0/8")};
  EXPECT_EQ(compile(world, kBlue, numbers), program);
}

}  // namespace
}  // namespace multinet::policy
