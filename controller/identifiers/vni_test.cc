#include "controller/identifiers/vni.h"

#include "controller/plan/cluster_fixture.h"

namespace multinet::controller {
namespace {

using testing::Cluster;
using testing::identifierOf;
using testing::tunnelOf;

/// What all networks and identifiers come to at one time, and the store's part.
struct Plan {
  std::vector<Write> create;
  std::vector<Write> remove;
};

Plan planOf(const Cluster& cluster) {
  Plan plan;
  const auto take = [&](const Reconciler& reconciler, const auto& table, std::vector<Write>& into) {
    for (const auto& object : table.all()) {
      for (auto& write : reconciler.reconcile(cluster.world, keyOf(*object), cluster.now).writes) {
        into.push_back(std::move(write));
      }
    }
  };
  take(identifierReservation(), cluster.world.of<Network>(), plan.create);
  take(identifierCollection(), cluster.world.of<Identifier>(), plan.remove);
  return plan;
}

void execute(Cluster& cluster, const Plan& plan) {
  for (const auto& write : plan.remove) EXPECT_TRUE(cluster.apply(write)) << write.item();
  for (const auto& write : plan.create) EXPECT_TRUE(cluster.apply(write)) << write.item();
}

VniVerdict verdict(const Cluster& cluster, const std::string& network) {
  return vniOf(cluster.world, *cluster.world.find<Network>(network));
}

std::int32_t vniIn(const Write& write) {
  return write.body.at("spec").at("id");
}

std::string networkIn(const Write& write) {
  return write.body.at("spec").at("podNetworkName");
}

Cluster clusterOf(const std::vector<api::PodNetwork>& networks,
                  const std::vector<api::NetworkIdentifier>& identifiers = {}) {
  Cluster cluster;
  for (const auto& network : networks) cluster.put(network);
  for (const auto& identifier : identifiers) cluster.put(identifier);
  return cluster;
}

api::PodNetwork inUse(api::PodNetwork network, std::int32_t vni) {
  network.status.vni = vni;
  return network;
}

api::PodNetwork invalid(api::PodNetwork network) {
  network.spec.mtu = 12;
  return network;
}

api::PodNetwork dying(api::PodNetwork network) {
  network.metadata.deletionTimestamp = WallTime(std::chrono::seconds(9));
  return network;
}

TEST(Vni, ReservesTheOneThatTheSpecNames) {
  const auto cluster = clusterOf({tunnelOf("blue", 1, 7001)});
  const auto plan = planOf(cluster);
  ASSERT_EQ(plan.create.size(), 1U);
  EXPECT_EQ(vniIn(plan.create[0]), 7001);
  EXPECT_EQ(plan.create[0].key.name, "vxlan-7001");
  EXPECT_EQ(plan.create[0].body["spec"]["podNetworkUID"], "uid-blue");
  EXPECT_FALSE(verdict(cluster, "blue").held) << "not held before the store has it";
}

TEST(Vni, ANetworkOfAnotherTypeHasNone) {
  const auto cluster = clusterOf({api::testing::goodNetwork("flat")});
  EXPECT_TRUE(planOf(cluster).create.empty());
  EXPECT_FALSE(verdict(cluster, "flat").exhausted);
}

TEST(Vni, ANetworkKeepsTheOneThatItUsesWhenIdentifiersAreLost) {
  auto cluster = clusterOf({inUse(tunnelOf("blue", 1, 7001), 7001),
                            inUse(tunnelOf("red", 2), 100007),  // not what its UID would begin with
                            invalid(inUse(tunnelOf("green", 3), 100008))});
  const auto plan = planOf(cluster);
  EXPECT_EQ(plan.create.size(), 3U);
  const auto held = [&] {
    return std::vector{verdict(cluster, "blue").held, verdict(cluster, "red").held,
                       verdict(cluster, "green").held};
  };
  const std::vector<std::optional<std::int32_t>> kept = {7001, 100007, 100008};
  EXPECT_EQ(held(), kept) << "not given up for a moment either";
  execute(cluster, plan);
  const auto again = planOf(cluster);
  EXPECT_TRUE(again.create.empty());
  EXPECT_TRUE(again.remove.empty());
  EXPECT_EQ(held(), kept);
}

TEST(Vni, ThatAnOlderNetworkNamesIsGivenUpAllTheSame) {
  const auto cluster = clusterOf({tunnelOf("old", 1, 100007), inUse(tunnelOf("young", 2), 100007)});
  const auto plan = planOf(cluster);
  ASSERT_EQ(plan.create.size(), 2U);
  EXPECT_FALSE(verdict(cluster, "young").held);
  for (const auto& write : plan.create) {
    EXPECT_EQ(vniIn(write) == 100007, networkIn(write) == "old") << networkIn(write);
  }
}

TEST(Vni, NothingIsWrittenOnceConverged) {
  auto cluster = clusterOf({tunnelOf("blue", 1, 7001), tunnelOf("red", 2)});
  execute(cluster, planOf(cluster));
  const auto again = planOf(cluster);
  EXPECT_TRUE(again.create.empty());
  EXPECT_TRUE(again.remove.empty());
  EXPECT_EQ(verdict(cluster, "blue").held, 7001);
  EXPECT_GE(verdict(cluster, "red").held, kFirstAutomaticVni);
  EXPECT_LT(verdict(cluster, "red").held, kFirstAutomaticVni + kAutomaticVnis);
}

TEST(Vni, TheYoungerLosesWhateverTheOrder) {
  const auto old = tunnelOf("old", 1, 7001);
  const auto young = tunnelOf("young", 2, 7001);
  for (const auto& networks : {std::vector{old, young}, std::vector{young, old}}) {
    const auto cluster = clusterOf(networks);
    const auto plan = planOf(cluster);
    ASSERT_EQ(plan.create.size(), 1U);
    EXPECT_EQ(networkIn(plan.create[0]), "old");
    EXPECT_EQ(verdict(cluster, "young").loserTo, "old");
    EXPECT_FALSE(verdict(cluster, "old").loserTo);
  }
}

TEST(Vni, OfTheSameSecondTheLargerUidLoses) {
  const auto cluster = clusterOf({tunnelOf("b", 1, 7001), tunnelOf("a", 1, 7001)});
  const auto plan = planOf(cluster);
  ASSERT_EQ(plan.create.size(), 1U);
  EXPECT_EQ(networkIn(plan.create[0]), "a");
  EXPECT_EQ(verdict(cluster, "b").loserTo, "a");
}

TEST(Vni, WhatTheYoungerGotFirstIsTakenBack) {
  auto cluster = clusterOf({tunnelOf("old", 1, 7001), tunnelOf("young", 2, 7001)},
                           {identifierOf(7001, "young")});
  const auto first = planOf(cluster);
  ASSERT_EQ(first.remove.size(), 1U);
  EXPECT_TRUE(first.create.empty()) << "the name is free only after the removal";
  EXPECT_FALSE(verdict(cluster, "young").held);
  execute(cluster, first);
  execute(cluster, planOf(cluster));
  EXPECT_EQ(verdict(cluster, "old").held, 7001);
}

TEST(Vni, IdentifiersOfGoneNetworksAreCollected) {
  auto cluster =
      clusterOf({tunnelOf("blue", 1, 7001)}, {identifierOf(7001, "blue"), identifierOf(9, "gone")});
  const auto plan = planOf(cluster);
  ASSERT_EQ(plan.remove.size(), 1U);
  EXPECT_EQ(plan.remove[0].key.name, "vxlan-9");
  cluster.changeUnseen(tunnelOf("gone", 1, 9));
  EXPECT_FALSE(cluster.apply(plan.remove[0])) << "the caches didn't have the network yet";
}

TEST(Vni, ANetworkMadeAgainUnderTheSameNameIsAnother) {
  auto stale = identifierOf(7001, "blue");
  stale.spec.podNetworkUID = "uid-of-the-old-blue";
  auto cluster = clusterOf({tunnelOf("blue", 1, 7001)}, {stale});
  const auto plan = planOf(cluster);
  ASSERT_EQ(plan.remove.size(), 1U);
  EXPECT_TRUE(plan.create.empty());
  EXPECT_FALSE(verdict(cluster, "blue").held);
  EXPECT_TRUE(cluster.apply(plan.remove[0])) << "the network of that UID is gone";
}

TEST(Vni, ADeletedNetworkKeepsWhatItHoldsUntilItIsGone) {
  const auto cluster = clusterOf({dying(tunnelOf("dying", 1, 7001)), tunnelOf("next", 2, 7001)},
                                 {identifierOf(7001, "dying")});
  EXPECT_TRUE(planOf(cluster).remove.empty());
  EXPECT_EQ(verdict(cluster, "next").loserTo, "dying");
}

TEST(Vni, NothingIsGivenToInvalidOrDeletedNetworks) {
  const auto cluster = clusterOf({invalid(tunnelOf("invalid", 1, 7001)),
                                  dying(tunnelOf("dying", 1)), tunnelOf("good", 2, 7001)});
  const auto plan = planOf(cluster);
  ASSERT_EQ(plan.create.size(), 1U);
  EXPECT_EQ(networkIn(plan.create[0]), "good");
}

TEST(Vni, AutomaticNeverTakesWhatASpecNames) {
  const auto wanted = vniIn(planOf(clusterOf({tunnelOf("auto", 1)})).create.at(0));
  const auto plan = planOf(clusterOf({tunnelOf("auto", 1), tunnelOf("explicit", 2, wanted)}));
  ASSERT_EQ(plan.create.size(), 2U);
  for (const auto& write : plan.create) {
    EXPECT_EQ(vniIn(write) == wanted, networkIn(write) == "explicit");
  }
}

TEST(Vni, AnExplicitWishYieldsToAnOlderAutomaticHolder) {
  const auto cluster =
      clusterOf({tunnelOf("auto", 1), tunnelOf("late", 2, 100005)}, {identifierOf(100005, "auto")});
  EXPECT_TRUE(planOf(cluster).remove.empty());
  EXPECT_EQ(verdict(cluster, "auto").held, 100005);
  EXPECT_EQ(verdict(cluster, "late").loserTo, "auto");
}

TEST(Vni, SaysWhenTheRangeIsExhaustedAndLooksAgain) {
  Cluster cluster;
  cluster.put(tunnelOf("last", 1));
  const auto end = kFirstAutomaticVni + kAutomaticVnis;
  for (std::int32_t vni = kFirstAutomaticVni; vni < end; ++vni) {
    cluster.putSeen(Identifier(identifierOf(vni, "n")));
  }
  EXPECT_TRUE(verdict(cluster, "last").exhausted);
  const auto outcome = cluster.ask(identifierReservation(), "last");
  EXPECT_TRUE(outcome.writes.empty());
  EXPECT_EQ(outcome.again, kVniRetry) << "what became free is in no change of this network";
  cluster.world.put<Identifier>({"", "vxlan-150000"}, nullptr, cluster.now.boot);
  EXPECT_EQ(verdict(cluster, "last").create, 150000);
}

}  // namespace
}  // namespace multinet::controller
