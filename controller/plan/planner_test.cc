#include "controller/plan/planner.h"

#include <gmock/gmock.h>

#include "controller/plan/cluster_fixture.h"

namespace multinet::controller {
namespace {

using std::chrono::seconds;
using testing::Cluster;
using testing::nodeOf;

/// Counts what it is asked for, and answers what a test wants.
struct Told {
  std::vector<std::string> asked;
  Outcome answer;
};

/// Concerned with nodes.
Reconciler nodesInto(const std::string& name, Told& told) {
  return {name,
          [](const World&, const Change& change, Keys& keys) {
            on(change, [&](const Changed<Node>& changed) { keys.push_back(changed.key()); });
          },
          [&told](const World&, const k8s::ObjectKey& key, const Moment&) {
            told.asked.push_back(key.name);
            return told.answer;
          }};
}

Write anyWrite() {
  return writeTo(k8s::kNodeKind, {}, Verb::Patch, {});
}

TEST(Planner, LooksOnceHoweverMuchChanged) {
  Cluster cluster;
  Told told;
  Planner planner({nodesInto("nodes", told)});
  for (int i = 0; i < 3; ++i) {
    cluster.put(nodeOf("a", i == 1 ? k8s::ConditionStatus::False : k8s::ConditionStatus::True));
    cluster.put(nodeOf("b" + std::to_string(i)));
  }
  planner.note(cluster.world, cluster.world.changes());
  EXPECT_EQ(planner.idle(cluster.now.boot), Duration::zero());
  EXPECT_TRUE(planner.plan(cluster.world, cluster.now).empty());
  EXPECT_EQ(told.asked, (std::vector<std::string>{"a", "b0", "b1", "b2"}));
  EXPECT_FALSE(planner.idle(cluster.now.boot)) << "nothing until something changes";
  EXPECT_THAT(planner.reconciled(), ::testing::Contains(::testing::Pair("nodes", 4U)));
}

TEST(Planner, KeepsNoChangesForWhoWillLookAtEverything) {
  Cluster cluster;
  Told told;
  Planner planner({nodesInto("nodes", told)});
  cluster.put(nodeOf("a"));
  cluster.world.keepChanges(false);
  cluster.put(nodeOf("b"));
  EXPECT_TRUE(cluster.world.changes().empty());
  cluster.world.keepChanges(true);
  cluster.world.everything(
      [&](const Change& change) { planner.note(cluster.world, {&change, 1}); });
  EXPECT_TRUE(planner.plan(cluster.world, cluster.now).empty());
  EXPECT_THAT(told.asked, ::testing::UnorderedElementsAre("a", "b"));
  cluster.put(nodeOf("c"));
  EXPECT_EQ(cluster.world.changes().size(), 1U);
}

TEST(Planner, AsksAgainWhenTheAnswerDependsOnTime) {
  Cluster cluster;
  Told told;
  told.answer.again = seconds(60);
  Planner planner({nodesInto("nodes", told)});
  cluster.put(nodeOf("a"));
  planner.note(cluster.world, cluster.world.changes());
  EXPECT_TRUE(planner.plan(cluster.world, cluster.now).empty());
  EXPECT_EQ(planner.idle(cluster.now.boot), seconds(60));
  cluster.pass(seconds(59));
  EXPECT_TRUE(planner.plan(cluster.world, cluster.now).empty());
  EXPECT_EQ(told.asked.size(), 1U);
  planner.askAgain({0, {"", "a"}}, cluster.now.boot + seconds(30));
  EXPECT_EQ(planner.idle(cluster.now.boot), seconds(1)) << "the earlier wish counts";
  cluster.pass(seconds(1));
  told.answer.again.reset();
  EXPECT_TRUE(planner.plan(cluster.world, cluster.now).empty());
  EXPECT_EQ(told.asked.size(), 2U);
  EXPECT_FALSE(planner.idle(cluster.now.boot));
}

TEST(Planner, TakesTurnsAndWaitsForAReconcilersOwnWrites) {
  Cluster cluster;
  Told many;
  Told few;
  many.answer.writes = {anyWrite(), anyWrite()};
  few.answer.writes = {anyWrite()};
  Planner planner({nodesInto("many", many), nodesInto("few", few)}, 4);
  for (int i = 0; i < 10; ++i) cluster.put(nodeOf("n" + std::to_string(i)));
  planner.note(cluster.world, cluster.world.changes());
  const auto first = planner.plan(cluster.world, cluster.now);
  EXPECT_EQ(first.size(), 8U);
  EXPECT_EQ(many.asked, (std::vector<std::string>{"n0", "n1"}));
  EXPECT_EQ(few.asked, (std::vector<std::string>{"n0", "n1", "n2", "n3"}));
  EXPECT_EQ(first[2].origin, (Origin{1, {"", "n0"}}));
  EXPECT_FALSE(planner.idle(cluster.now.boot));
  EXPECT_TRUE(planner.awaitsWrites());
  planner.ended({1, {"", "n2"}});
  EXPECT_EQ(planner.idle(cluster.now.boot), Duration::zero());
  const auto next = planner.plan(cluster.world, cluster.now);
  ASSERT_EQ(next.size(), 1U) << "the other's that end make no room";
  EXPECT_EQ(next[0].origin, (Origin{1, {"", "n4"}}));
}

TEST(Planner, LooksAgainOnlyWhenAllWritesOfAnObjectHaveEnded) {
  Cluster cluster;
  Told told;
  told.answer.writes = {anyWrite(), anyWrite()};
  Planner planner({nodesInto("nodes", told)});
  const auto look = [&](int second) {
    planner.note(cluster.world, cluster.world.changes(), BootTime(seconds(second)));
    return planner.plan(cluster.world, cluster.now);
  };
  cluster.put(nodeOf("a"));
  EXPECT_EQ(look(1).size(), 2U);
  EXPECT_FALSE(planner.awaitsWrites());
  cluster.put(nodeOf("a", k8s::ConditionStatus::False));
  EXPECT_TRUE(look(2).empty());
  EXPECT_TRUE(planner.awaitsWrites());
  planner.ended({0, {"", "a"}});
  EXPECT_TRUE(look(3).empty()) << "one is under way";
  EXPECT_FALSE(planner.idle(cluster.now.boot));
  planner.ended({0, {"", "a"}});
  EXPECT_EQ(planner.idle(cluster.now.boot), Duration::zero());
  const auto again = look(4);
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(again[0].since, BootTime(seconds(2))) << "as old as what waited";
  EXPECT_EQ(told.asked, (std::vector<std::string>{"a", "a"}));
}

/// One object, for each node a part of it.
TEST(Planner, AsksForWhatChangedUntilNothingIsToBeWritten) {
  Cluster cluster;
  std::vector<Parts> asked;
  int wholes = 0;
  Outcome answer;
  const k8s::ObjectKey one{"", "one"};
  Reconciler reconciler{
      "parts",
      [&](const World&, const Change& change, Keys& keys) {
        on(change,
           [&](const Changed<Node>& changed) { keys.push_back(Mark::part(one, changed.key())); });
        on(change, [&](const Changed<Namespace>& changed) {
          keys.push_back(changed.now == nullptr ? Mark(one) : Mark::itself(one));
        });
      },
      [&](const World&, const k8s::ObjectKey&, const Moment&) {
        ++wholes;
        return answer;
      },
      [&](const World&, const k8s::ObjectKey&, const Parts& parts, const Moment&) {
        asked.push_back(parts);
        return answer;
      }};
  Planner planner({reconciler});
  const auto plan = [&] {
    planner.note(cluster.world, cluster.world.changes());
    const auto planned = planner.plan(cluster.world, cluster.now);
    for (const auto& write : planned) planner.ended(write.origin);
    return planned.size();
  };
  answer.writes = {anyWrite()};
  cluster.put(nodeOf("a"));
  EXPECT_EQ(plan(), 1U);
  cluster.put(nodeOf("b"));
  EXPECT_EQ(plan(), 1U);
  // A write that failed is asked for again without a change.
  planner.askAgain({0, one}, cluster.now.boot);
  answer.writes.clear();
  EXPECT_EQ(plan(), 0U);
  k8s::Namespace home;
  home.metadata.name = "home";
  cluster.put(home);
  EXPECT_EQ(plan(), 0U);
  EXPECT_EQ(asked,
            (std::vector<Parts>{{{"", "a"}}, {{"", "a"}, {"", "b"}}, {{"", "a"}, {"", "b"}}, {}}));
  EXPECT_EQ(wholes, 0);
  for (int i = 0; i < 300; ++i) cluster.put(nodeOf("n" + std::to_string(i)));
  EXPECT_EQ(plan(), 0U);
  EXPECT_EQ(wholes, 1) << "of so many parts";
  cluster.remove<k8s::Namespace>("home");
  cluster.put(nodeOf("c"));
  EXPECT_EQ(plan(), 0U);
  EXPECT_EQ(wholes, 2);
  EXPECT_EQ(asked.size(), 4U);
}

}  // namespace
}  // namespace multinet::controller
