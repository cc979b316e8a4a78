#include "nodeagent/policy/book.h"

#include <gtest/gtest.h>

#include <random>

#include "lib/policy/program.h"
#include "lib/policy/test_worlds.h"
#include "nodeagent/policy/test_slices.h"

namespace multinet::agent::policing {
namespace {

using policy::testing::Draw;
using policy::testing::ip;
using policy::testing::pod;
using std::chrono::seconds;
using testing::defaultSlices;
using testing::slicesOf;

const BootTime kNow(std::chrono::minutes(1));
constexpr seconds kPatience(5);
const BootTime kBefore = kNow - seconds(1);

policy::World shop() {
  policy::World world;
  world.namespaces = {{"shop", {}}};
  world.pods = {pod("shop", "db", {{"app", "db"}}, {ip("10.0.0.1")}),
                pod("shop", "web-1", {{"app", "web"}}, {ip("10.0.0.2")}),
                pod("shop", "web-2", {{"app", "web"}}, {ip("10.0.0.3")}),
                pod("shop", "web-3", {{"app", "web"}}, {ip("10.0.0.4")})};
  return world;
}

api::PodNetworkPolicy fromWeb(std::int64_t generation = 1, const std::string& uid = "u1") {
  api::PodNetworkPolicy policy;
  policy.metadata.nameSpace = "shop";
  policy.metadata.name = "db";
  policy.metadata.uid = uid;
  policy.metadata.generation = generation;
  policy.spec.podNetworkNames = {"blue"};
  api::PolicyIngressRule rule;
  rule.peers.emplace_back().podSelector = k8s::LabelSelector{{{"app", "web"}}, {}};
  policy.spec.ingress = {rule};
  return policy;
}

Slices without(const Slices& slices, std::size_t at) {
  Slices out = slices;
  out.erase(out.begin() + static_cast<std::ptrdiff_t>(at));
  return out;
}

Slices both(Slices some, const Slices& others) {
  some.insert(some.end(), others.begin(), others.end());
  return some;
}

std::size_t membersIn(const Told& told) {
  std::size_t count = 0;
  for (const auto& [at, members] : told.peers) count += members->count;
  return count;
}

TEST(Book, WhatIsThereAtFirstHoldsAtOnce) {
  Book book(kPatience);
  EXPECT_FALSE(book.knows("shop"));
  ASSERT_TRUE(book.update("shop", without(slicesOf(fromWeb(), shop(), 5), 0), kNow));
  const auto policies = book.policiesFor("shop", BootTime{});
  ASSERT_EQ(policies.size(), 1U);
  EXPECT_FALSE(policies[0]->complete);
  EXPECT_EQ(membersIn(*policies[0]), 1U) << "what is seen in part allows less";
  EXPECT_TRUE(book.waiting().empty());
}

TEST(Book, ANewPolicyWaitsForItsPeersButNotForPodsThatJoin) {
  Book book(kPatience);
  ASSERT_TRUE(book.update("shop", {}, kBefore));
  const Slices all = slicesOf(fromWeb(), shop(), 5);
  ASSERT_TRUE(book.update("shop", without(all, 0), kNow));
  EXPECT_TRUE(book.policiesFor("shop", kBefore).empty()) << "a pod that runs";
  EXPECT_EQ(book.policiesFor("shop", kNow).size(), 1U) << "one that joins";
  EXPECT_EQ(book.next(), kNow + kPatience);
  ASSERT_TRUE(book.update("shop", all, kNow + seconds(1)));
  ASSERT_EQ(book.policiesFor("shop", kBefore).size(), 1U);
  EXPECT_TRUE(book.policiesFor("shop", kBefore)[0]->complete);
  EXPECT_FALSE(book.next());
}

TEST(Book, ItHoldsWithThoseThatAreKnownAfterAWhile) {
  Book book(kPatience);
  ASSERT_TRUE(book.update("shop", {}, kBefore));
  ASSERT_TRUE(book.update("shop", without(slicesOf(fromWeb(), shop(), 5), 0), kNow));
  EXPECT_TRUE(book.settle(kNow + seconds(4)).empty());
  EXPECT_EQ(book.settle(kNow + kPatience), std::set<std::string>{"shop"});
  EXPECT_EQ(book.policiesFor("shop", kBefore).size(), 1U);
}

TEST(Book, AGenerationTakesThePlaceOfTheOneBeforeWhenAllOfItIsThere) {
  Book book(kPatience);
  const Slices first = slicesOf(fromWeb(), shop(), 5);
  ASSERT_TRUE(book.update("shop", first, kBefore));
  auto next = fromWeb(2);
  next.spec.ingress[0].peers[0].podSelector->matchLabels = {{"app", "db"}};
  const Slices second = slicesOf(next, shop(), 9);
  const Slices halfWay = both(without(first, first.size() - 1), {second.back()});
  ASSERT_TRUE(book.update("shop", halfWay, kNow));
  EXPECT_EQ(book.policiesFor("shop", kBefore)[0]->generation, 1);
  EXPECT_EQ(book.policiesFor("shop", kNow)[0]->generation, 2);
  ASSERT_TRUE(book.update("shop", second, kNow));
  EXPECT_EQ(book.policiesFor("shop", kBefore)[0]->generation, 2);
}

TEST(Book, OfTwoHeadsOfANameTheNewerPolicysCounts) {
  Book book(kPatience);
  const Slices old = slicesOf(fromWeb(7, "u1"), shop(), 5);
  const Slices made = slicesOf(fromWeb(1, "u2"), shop(), 9);
  ASSERT_TRUE(book.update("shop", both(made, old), kNow));
  const auto policies = book.policiesFor("shop", BootTime{});
  ASSERT_EQ(policies.size(), 1U);
  EXPECT_EQ(policies[0]->uid, "u2");
  EXPECT_EQ(membersIn(*policies[0]), 3U) << "members of the other aren't its";
}

TEST(Book, MembersThatGoAreGoneAtOnceAndAPolicyWithItsHead) {
  Book book(kPatience);
  const Slices all = slicesOf(fromWeb(), shop(), 5);
  ASSERT_TRUE(book.update("shop", all, kNow));
  ASSERT_TRUE(book.update("shop", without(all, 0), kNow));
  const auto policies = book.policiesFor("shop", kBefore);
  EXPECT_EQ(membersIn(*policies[0]), 1U);
  EXPECT_TRUE(policies[0]->complete) << "the controller takes members away before it counts them";
  EXPECT_FALSE(book.update("shop", without(all, 0), kNow)) << "the same again";
  ASSERT_TRUE(book.update("shop", without(all, all.size() - 1), kNow));
  EXPECT_TRUE(book.policiesFor("shop", kNow).empty());
  EXPECT_TRUE(book.all().empty());
}

TEST(Book, KnowsNetworksDefaultsByTheirUid) {
  Book book(kPatience);
  ASSERT_TRUE(book.update("shop", defaultSlices("blue", "n1", "shop", shop()), kNow));
  EXPECT_TRUE(book.policiesFor("shop", kNow).empty());
  ASSERT_NE(book.defaultOf("shop", NetworkUid("n1")), nullptr);
  EXPECT_EQ(book.defaultOf("shop", NetworkUid("made again")), nullptr);
  EXPECT_EQ(membersIn(*book.defaultOf("shop", NetworkUid("n1"))), 4U);
}

/// What is compiled of slices, for some of the pods, is what the world's policies say of them.
TEST(BookSource, SlicesSayTheSameAsTheWorldThatTheyWereMadeOf) {
  Draw draw(20261128);
  std::mt19937 random(3);
  int denied = 0;
  constexpr int kWorlds = 3'000;
  for (int i = 0; i < kWorlds; ++i) {
    policy::World world = draw.world();
    const policy::Network network = draw.network();
    Book book(kPatience);
    std::map<std::string, Slices> spaces;
    for (std::size_t k = 0; k < world.policies.size(); ++k) {
      auto& one = world.policies[k];
      one.metadata.uid = "uid" + std::to_string(k);
      const Slices slices = slicesOf(one, world, k + 1);
      auto& space = spaces[one.metadata.nameSpace];
      space.insert(space.end(), slices.begin(), slices.end());
    }
    BookSource source("blue", NetworkUid("n"));
    std::vector<ToldPtr> told;
    std::map<std::string, std::vector<const api::PodNetworkPolicy*>> policies;
    for (const std::string space : {"x", "y", "z"}) {
      Slices slices = both(spaces[space], defaultSlices("blue", "n", space, world));
      std::ranges::shuffle(slices, random);
      ASSERT_TRUE(book.update(space, slices, kNow));
      for (const auto& one : book.policiesFor(space, kNow)) {
        EXPECT_TRUE(one->complete);
        told.push_back(one);
        source.add(one);
        policies[space].push_back(&one->policy);
      }
      source.addDefault(space, book.defaultOf(space, NetworkUid("n")));
    }
    std::vector<policy::Subject> subjects;
    for (const auto& one : world.pods) {
      const bool isHere = one.on("blue") != nullptr && one.key.name != "pod-3";
      if (isHere) subjects.push_back({&one, policies[one.key.nameSpace]});
    }
    policy::Numbers numbers;
    const auto program = policy::compile(subjects, network, source, numbers).program;
    for (int k = 0; k < 6; ++k) {
      const auto packet = draw.packet();
      const auto* from = world.podAt("blue", packet.source);
      const auto* to = world.podAt("blue", packet.destination);
      const auto verdict = evaluate(world, network, packet);
      const auto isHere = [](const policy::Pod* one) {
        return one != nullptr && one->key.name != "pod-3";
      };
      // Of a pod that isn't here nothing is judged.
      const bool allowed =
          (!isHere(from) || verdict.egress.allowed) && (!isHere(to) || verdict.ingress.allowed);
      ASSERT_EQ(allows(program, packet, isHere(from) ? &from->key : nullptr,
                       isHere(to) ? &to->key : nullptr),
                allowed)
          << "world " << i << ": " << packet.source.str() << " to " << packet.destination.str();
      denied += allowed ? 0 : 1;
    }
  }
  EXPECT_GT(denied, kWorlds / 2);
}

}  // namespace
}  // namespace multinet::agent::policing
