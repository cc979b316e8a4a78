#include "controller/identifiers/plan.h"

#include "lib/api/names.h"

namespace multinet::controller {
namespace {

Network tunnel(const std::string& name, int second, std::optional<std::uint32_t> vni = {}) {
  Network network;
  network.meta.name = name;
  network.meta.uid = "uid-" + name;
  network.meta.created = WallTime(std::chrono::seconds(second));
  network.tunnel = true;
  network.vni = vni;
  return network;
}

Identifier identifier(std::uint32_t vni, const std::string& network) {
  Identifier result;
  result.meta.name = api::vxlanIdentifierName(vni);
  result.meta.uid = "id-" + std::to_string(vni);
  result.vni = vni;
  result.networkName = network;
  result.networkUid = "uid-" + network;
  return result;
}

/// The store's part: applies a plan.
std::vector<Identifier> applied(std::vector<Identifier> store, const IdentifierPlan& plan) {
  for (const auto& removal : plan.remove) {
    std::erase_if(store, [&](const auto& one) { return one.meta.name == removal.meta.name; });
  }
  for (const auto& wish : plan.create) store.push_back(identifier(wish.vni, wish.networkName));
  return store;
}

TEST(PlanIdentifiers, ReservesTheVniThatTheSpecNames) {
  const auto plan = planIdentifiers({tunnel("blue", 1, 7001)}, {});
  ASSERT_EQ(plan.create.size(), 1U);
  EXPECT_EQ(plan.create[0].vni, 7001U);
  EXPECT_EQ(plan.create[0].networkUid, "uid-blue");
  EXPECT_TRUE(plan.held.empty()) << "not held before the store has it";
}

TEST(PlanIdentifiers, ANetworkKeepsTheVniThatItUsesWhenIdentifiersAreLost) {
  auto blue = tunnel("blue", 1, 7001);
  auto red = tunnel("red", 2);
  auto green = tunnel("green", 3);
  blue.usedVni = 7001;
  red.usedVni = 100007;  // not what its UID would begin with
  green.usedVni = 100008;
  green.violations = {"a rule of a newer version"};
  const auto plan = planIdentifiers({blue, red, green}, {});
  EXPECT_EQ(plan.create.size(), 3U);
  EXPECT_EQ(plan.held.at("uid-blue"), 7001U) << "not given up for a moment either";
  EXPECT_EQ(plan.held.at("uid-red"), 100007U);
  EXPECT_EQ(plan.held.at("uid-green"), 100008U);
  const auto again = planIdentifiers({blue, red, green}, applied({}, plan));
  EXPECT_TRUE(again.create.empty());
  EXPECT_TRUE(again.remove.empty());
  EXPECT_EQ(again.held, plan.held);
}

TEST(PlanIdentifiers, AVniThatAnOlderNetworkNamesIsGivenUpAllTheSame) {
  const auto old = tunnel("old", 1, 100007);
  auto young = tunnel("young", 2);
  young.usedVni = 100007;
  const auto plan = planIdentifiers({old, young}, {});
  ASSERT_EQ(plan.create.size(), 2U);
  EXPECT_FALSE(plan.held.contains("uid-young"));
  for (const auto& wish : plan.create) {
    EXPECT_EQ(wish.vni == 100007, wish.networkName == "old") << wish.networkName;
  }
}

TEST(PlanIdentifiers, WritesNothingOnceConverged) {
  const std::vector<Network> networks = {tunnel("blue", 1, 7001), tunnel("red", 2)};
  const auto store = applied({}, planIdentifiers(networks, {}));
  const auto again = planIdentifiers(networks, store);
  EXPECT_TRUE(again.create.empty());
  EXPECT_TRUE(again.remove.empty());
  EXPECT_EQ(again.held.at("uid-blue"), 7001U);
  EXPECT_GE(again.held.at("uid-red"), kFirstAutomaticVni);
  EXPECT_LT(again.held.at("uid-red"), kFirstAutomaticVni + kAutomaticVnis);
}

TEST(PlanIdentifiers, TheYoungerLosesWhateverTheOrder) {
  const auto old = tunnel("old", 1, 7001);
  const auto young = tunnel("young", 2, 7001);
  for (const auto& networks : {std::vector{old, young}, std::vector{young, old}}) {
    const auto plan = planIdentifiers(networks, {});
    ASSERT_EQ(plan.create.size(), 1U);
    EXPECT_EQ(plan.create[0].networkName, "old");
    EXPECT_EQ(plan.losers.at("uid-young"), "old");
  }
}

TEST(PlanIdentifiers, OfTheSameSecondTheLargerUidLoses) {
  const auto plan = planIdentifiers({tunnel("b", 1, 7001), tunnel("a", 1, 7001)}, {});
  ASSERT_EQ(plan.create.size(), 1U);
  EXPECT_EQ(plan.create[0].networkName, "a");
  EXPECT_EQ(plan.losers.at("uid-b"), "a");
}

TEST(PlanIdentifiers, TakesBackWhatTheYoungerGotFirst) {
  const std::vector<Network> networks = {tunnel("old", 1, 7001), tunnel("young", 2, 7001)};
  std::vector<Identifier> store = {identifier(7001, "young")};
  const auto first = planIdentifiers(networks, store);
  ASSERT_EQ(first.remove.size(), 1U);
  EXPECT_TRUE(first.create.empty()) << "the name is free only after the removal";
  EXPECT_FALSE(first.held.contains("uid-young"));
  store = applied(store, first);
  store = applied(store, planIdentifiers(networks, store));
  EXPECT_EQ(planIdentifiers(networks, store).held.at("uid-old"), 7001U);
}

TEST(PlanIdentifiers, CollectsThoseOfGoneNetworks) {
  const auto plan =
      planIdentifiers({tunnel("blue", 1, 7001)}, {identifier(7001, "blue"), identifier(9, "gone")});
  ASSERT_EQ(plan.remove.size(), 1U);
  EXPECT_EQ(plan.remove[0].meta.name, "vxlan-9");
}

TEST(PlanIdentifiers, ANetworkMadeAgainUnderTheSameNameIsAnother) {
  auto stale = identifier(7001, "blue");
  stale.networkUid = "uid-of-the-old-blue";
  const auto plan = planIdentifiers({tunnel("blue", 1, 7001)}, {stale});
  ASSERT_EQ(plan.remove.size(), 1U);
  EXPECT_TRUE(plan.create.empty());
  EXPECT_FALSE(plan.held.contains("uid-blue"));
}

TEST(PlanIdentifiers, KeepsWhatADeletedNetworkHoldsUntilItIsGone) {
  auto dying = tunnel("dying", 1, 7001);
  dying.meta.deleted = WallTime(std::chrono::seconds(9));
  const auto plan = planIdentifiers({dying, tunnel("next", 2, 7001)}, {identifier(7001, "dying")});
  EXPECT_TRUE(plan.remove.empty());
  EXPECT_EQ(plan.losers.at("uid-next"), "dying");
}

TEST(PlanIdentifiers, GivesNothingToInvalidOrDeletedNetworks) {
  auto invalid = tunnel("invalid", 1, 7001);
  invalid.violations = {"spec.mtu: 12: at least 576"};
  auto dying = tunnel("dying", 1);
  dying.meta.deleted = WallTime(std::chrono::seconds(9));
  const auto plan = planIdentifiers({invalid, dying, tunnel("good", 2, 7001)}, {});
  ASSERT_EQ(plan.create.size(), 1U);
  EXPECT_EQ(plan.create[0].networkName, "good");
}

TEST(PlanIdentifiers, AutomaticNeverTakesWhatASpecNames) {
  const auto first = planIdentifiers({tunnel("auto", 1)}, {});
  const auto wanted = first.create.at(0).vni;
  const auto plan = planIdentifiers({tunnel("auto", 1), tunnel("explicit", 2, wanted)}, {});
  ASSERT_EQ(plan.create.size(), 2U);
  EXPECT_EQ(plan.create[0].networkName, "explicit");
  EXPECT_NE(plan.create[1].vni, wanted);
}

TEST(PlanIdentifiers, AnExplicitWishYieldsToAnOlderAutomaticHolder) {
  const auto plan =
      planIdentifiers({tunnel("auto", 1), tunnel("late", 2, 100005)}, {identifier(100005, "auto")});
  EXPECT_TRUE(plan.remove.empty());
  EXPECT_EQ(plan.held.at("uid-auto"), 100005U);
  EXPECT_EQ(plan.losers.at("uid-late"), "auto");
}

TEST(PlanIdentifiers, SaysWhenTheRangeIsExhausted) {
  std::vector<Network> networks = {tunnel("last", 1)};
  std::vector<Identifier> store;
  for (std::uint32_t vni = kFirstAutomaticVni; vni < kFirstAutomaticVni + kAutomaticVnis; ++vni) {
    store.push_back(identifier(vni, "n" + std::to_string(vni)));
    networks.push_back(tunnel("n" + std::to_string(vni), 0, vni));
  }
  const auto plan = planIdentifiers(networks, store);
  EXPECT_EQ(plan.exhausted, std::vector<std::string>{"uid-last"});
  EXPECT_TRUE(plan.create.empty());
}

}  // namespace
}  // namespace multinet::controller
