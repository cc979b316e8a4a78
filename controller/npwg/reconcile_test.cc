#include "controller/npwg/reconcile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "controller/plan/cluster_fixture.h"

namespace multinet::controller {
namespace {

using nlohmann::json;
using npwg::kOwned;
using npwg::kOwnedLabel;
using npwg::kPolicyForAnnotation;

/// Namespace shop, which is ours, and yard, which isn't.
class Shop : public testing::Cluster {
 public:
  Shop() {
    own("shop", true);
    own("yard", false);
    world.know<MultiNetworkPolicy>();
  }
  void own(const std::string& name, bool owned) {
    k8s::Namespace space;
    space.metadata.name = name;
    if (owned) space.metadata.labels = {{kOwnedLabel, kOwned}};
    put(space);
  }
  void write(const std::string& name, const std::string& networks,
             const json& spec = json::object(), const std::string& uid = "",
             const std::string& nameSpace = "shop") {
    putJson<MultiNetworkPolicy>(json{
        {"metadata",
         {{"namespace", nameSpace},
          {"name", name},
          {"uid", uid.empty() ? "uid-of-" + name : uid},
          {"generation", ++generation_},
          {"annotations", {{kPolicyForAnnotation, networks}}}}},
        {"spec", spec}}.dump());
  }
  void erase(const std::string& name, const std::string& nameSpace = "shop") {
    remove<MultiNetworkPolicy>(name, nameSpace);
  }
  api::PodNetworkPolicy made(const std::string& name) const {
    return get<api::PodNetworkPolicy>("npwg-" + name, "shop");
  }
  bool has(const std::string& name, const std::string& nameSpace = "shop") const {
    return world.find<Policy>({nameSpace, "npwg-" + name}) != nullptr;
  }

  std::vector<Write> look() {
    auto writes = testing::wishes(*planner_, world, now);
    for (auto& one : planner_->notices()) notices_.push_back(std::move(one));
    return writes;
  }
  std::size_t converge() {
    std::size_t count = 0;
    for (int turn = 0; turn < 20; ++turn) {
      const auto writes = look();
      if (writes.empty()) return count;
      for (const auto& one : writes) count += apply(one) ? 1 : 0;
    }
    ADD_FAILURE() << "it doesn't converge";
    return count;
  }
  /// What was said since, as `reason: message`.
  std::vector<std::string> told() {
    std::vector<std::string> all;
    for (const auto& one : std::exchange(notices_, {})) {
      all.push_back(one.about.key.str() + " " + one.reason + ": " + one.message);
    }
    return all;
  }
  /// Another leader, who has read all there is.
  void elect() {
    planner_ = std::make_unique<Planner>(std::vector{multiNetworkPolicyReconciler()});
    static_cast<void>(world.changes());
    world.everything([&](const Change& one) { planner_->note(world, {&one, 1}); });
  }

 private:
  std::unique_ptr<Planner> planner_ =
      std::make_unique<Planner>(std::vector{multiNetworkPolicyReconciler()});
  std::vector<Notice> notices_;
  int generation_ = 0;
};

TEST(MultiNetworkPolicies, BecomePodNetworkPoliciesWhereTheNamespaceIsOwned) {
  Shop shop;
  shop.write("db", "blue, shop/red");
  shop.write("db", "blue", json::object(), "", "yard");
  EXPECT_EQ(shop.converge(), 1U);
  const auto made = shop.made("db");
  EXPECT_EQ(made.spec.podNetworkNames, (std::vector<std::string>{"blue", "red"}));
  EXPECT_EQ(made.metadata.controllerRef()->uid, "uid-of-db");
  EXPECT_TRUE(shop.told().empty());
  EXPECT_TRUE(shop.look().empty());
  shop.elect();
  EXPECT_EQ(shop.converge(), 0U) << "another leader finds all as it should be";
}

TEST(MultiNetworkPolicies, AreFollowed) {
  Shop shop;
  shop.write("db", "blue");
  shop.converge();
  shop.write("db", "red", json::parse(R"({"ingress":[{}]})"));
  shop.converge();
  EXPECT_EQ(shop.made("db").spec.podNetworkNames, std::vector<std::string>{"red"});
  EXPECT_EQ(shop.made("db").spec.ingress.size(), 1U);
  EXPECT_EQ(shop.made("db").metadata.uid, "uid-npwg-db") << "in place";
  shop.write("db", "");
  shop.converge();
  EXPECT_FALSE(shop.has("db"));
  const auto told = shop.told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(told[0].starts_with("shop/db NoNetworks: metadata.annotations[")) << told[0];
  shop.write("db", "blue");
  shop.converge();
  EXPECT_TRUE(shop.has("db"));
  shop.erase("db");
  shop.converge();
  EXPECT_FALSE(shop.has("db"));
}

TEST(MultiNetworkPolicies, ArePutBack) {
  Shop shop;
  shop.write("db", "blue", json::parse(R"({"podSelector":{"matchLabels":{"app":"db"}}})"));
  shop.converge();
  const auto before = shop.made("db");
  auto other = before;
  other.spec.podSelector.matchLabels = {{"app", "web"}};
  other.spec.ingress.emplace_back();
  other.metadata.labels.clear();
  shop.put(other);
  EXPECT_EQ(shop.converge(), 1U);
  EXPECT_EQ(shop.made("db").spec, before.spec);
  EXPECT_TRUE(shop.made("db").metadata.labels->contains(npwg::kMadeOfLabel));
  shop.remove<api::PodNetworkPolicy>("npwg-db", "shop");
  EXPECT_EQ(shop.converge(), 1U);
  EXPECT_EQ(shop.made("db").spec, before.spec);
}

TEST(MultiNetworkPolicies, AStatusThatChangesAsksNobody) {
  Shop shop;
  shop.write("db", "blue");
  shop.converge();
  Planner planner({multiNetworkPolicyReconciler()});
  auto told = shop.made("db");
  told.status.notEnforced = {"x"};
  shop.put(told);
  planner.note(shop.world, shop.world.changes());
  static_cast<void>(planner.plan(shop.world, shop.now));
  EXPECT_EQ(planner.reconciled()[0].second, 0U);
}

TEST(MultiNetworkPolicies, EndWithTheLabelAndNobodyElses) {
  Shop shop;
  shop.write("db", "blue");
  api::PodNetworkPolicy other;
  other.metadata.nameSpace = "shop";
  other.metadata.name = "hand-made";
  other.spec.podNetworkNames = {"blue"};
  shop.put(other);
  other.metadata.name = "somebody-elses";
  other.metadata.ownerReferences = {
      {"k8s.cni.cncf.io/v1beta1", "MultiNetworkPolicy", "db", "uid-of-db", true, std::nullopt}};
  other.metadata.nameSpace = "yard";
  shop.put(other);
  shop.converge();
  shop.own("shop", false);
  EXPECT_EQ(shop.converge(), 1U);
  EXPECT_FALSE(shop.has("db"));
  EXPECT_NE(shop.world.find<Policy>(k8s::ObjectKey{"shop", "hand-made"}), nullptr);
  shop.own("yard", true);
  shop.own("yard", false);
  shop.converge();
  EXPECT_NE(shop.world.find<Policy>(k8s::ObjectKey{"yard", "somebody-elses"}), nullptr);
  shop.own("shop", true);
  shop.converge();
  EXPECT_TRUE(shop.has("db"));
}

TEST(MultiNetworkPolicies, LeaveAPolicyOfTheirNameThatIsntTheirs) {
  Shop shop;
  api::PodNetworkPolicy other;
  other.metadata.nameSpace = "shop";
  other.metadata.name = "npwg-db";
  other.spec.podNetworkNames = {"red"};
  shop.put(other);
  shop.write("db", "blue");
  EXPECT_EQ(shop.converge(), 0U);
  const auto told = shop.told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("NameTaken: metadata.name: PodNetworkPolicy \"npwg-db\""),
            std::string::npos);
  shop.erase("db");
  EXPECT_EQ(shop.converge(), 0U);
  shop.write("db", "blue");
  shop.converge();
  shop.remove<api::PodNetworkPolicy>("npwg-db", "shop");
  EXPECT_EQ(shop.converge(), 1U) << "the name is free";
}

TEST(MultiNetworkPolicies, OfANameMadeAgainTakeOverWhatStands) {
  Shop shop;
  shop.write("db", "blue");
  shop.converge();
  auto made = shop.made("db");
  made.metadata.ownerReferences.edit().push_back({"v1", "ConfigMap", "x", "uid-x", {}, {}});
  shop.put(made);
  shop.converge();
  shop.write("db", "blue", json::object(), "uid-second");
  const auto writes = shop.look();
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].verb, Verb::Patch) << "it is never away";
  EXPECT_TRUE(shop.apply(writes[0]));
  EXPECT_EQ(shop.converge(), 0U);
  const auto owners = *shop.made("db").metadata.ownerReferences;
  ASSERT_EQ(owners.size(), 2U);
  EXPECT_EQ(owners[0].uid, "uid-second");
  EXPECT_EQ(owners[1].uid, "uid-x");
}

TEST(MultiNetworkPolicies, StandWhileTheKindIsntKnown) {
  Shop shop;
  shop.write("db", "blue");
  shop.converge();
  // A leader that begins while the server doesn't know the kind.
  Shop later;
  later.world = World();
  later.own("shop", true);
  later.put(shop.made("db"));
  later.elect();
  EXPECT_EQ(later.converge(), 0U);
  EXPECT_TRUE(later.has("db"));
  EXPECT_FALSE(later.world.knows<MultiNetworkPolicy>());
  // It does now, and there is none.
  later.world.know<MultiNetworkPolicy>();
  EXPECT_EQ(later.converge(), 1U);
  EXPECT_FALSE(later.has("db"));
}

TEST(MultiNetworkPolicies, MakeNothingInANamespaceThatEnds) {
  Shop shop;
  shop.write("db", "blue");
  shop.write("none", "");
  shop.converge();
  static_cast<void>(shop.told());
  k8s::Namespace ends;
  ends.metadata.name = "shop";
  ends.metadata.labels = {{kOwnedLabel, kOwned}};
  ends.metadata.deletionTimestamp = shop.now.wall;
  shop.put(ends);
  EXPECT_EQ(shop.converge(), 0U) << "what stands stays until it is taken";
  shop.remove<api::PodNetworkPolicy>("npwg-db", "shop");
  EXPECT_TRUE(shop.look().empty());
  shop.write("web", "blue");
  EXPECT_TRUE(shop.look().empty());
  EXPECT_TRUE(shop.told().empty()) << "an Event would be refused too";
  // Another of its name, before whose objects the end of that one wasn't seen.
  shop.own("shop", true);
  EXPECT_EQ(shop.converge(), 2U);
  EXPECT_TRUE(shop.has("db"));
  EXPECT_TRUE(shop.has("web"));
}

TEST(MultiNetworkPolicies, TakeNothingAwayThatTheServerStillWants) {
  Shop shop;
  shop.write("db", "blue");
  shop.converge();
  shop.world.put<MultiNetworkPolicy>({"shop", "db"}, nullptr, shop.now.boot);
  auto writes = shop.look();
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_FALSE(shop.apply(writes[0])) << "the caches lag: it is there";
  // Likewise of the label.
  Shop other;
  other.write("db", "blue");
  other.converge();
  k8s::Namespace space;
  space.metadata.name = "shop";
  space.metadata.uid = "uid-shop";
  other.world.put<Namespace>({"", "shop"}, std::make_shared<const Namespace>(space),
                             other.now.boot);
  writes = other.look();
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_FALSE(other.apply(writes[0]));
}

TEST(MultiNetworkPolicies, SayWhatCouldntBeTranslatedOnce) {
  Shop shop;
  json rules = json::array();
  for (int i = 0; i < 20; ++i) rules.push_back("all");
  shop.write("db", "blue", {{"ingress", rules}});
  shop.converge();
  const auto told = shop.told();
  ASSERT_EQ(told.size(), 10U);
  EXPECT_TRUE(told[0].starts_with("shop/db NotTranslated: spec.ingress[0]: ")) << told[0];
  EXPECT_NE(told[9].find("and 10 more like it"), std::string::npos);
  EXPECT_TRUE(shop.made("db").spec.ingress.empty());
  EXPECT_TRUE(shop.look().empty());
  EXPECT_TRUE(shop.told().empty());
}

TEST(MultiNetworkPolicies, OfManyNetworksComeAndGoWithThem) {
  Shop shop;
  std::string names;
  for (int i = 0; i < 40; ++i) names += "n" + std::to_string(i) + ",";
  shop.write("db", names);
  EXPECT_EQ(shop.converge(), 3U);
  shop.write("db", "n0");
  shop.converge();
  EXPECT_EQ(shop.count<api::PodNetworkPolicy>(), 1U);
  EXPECT_TRUE(shop.has("db"));
}

/// Work is of what changed, whatever else there is.
TEST(MultiNetworkPolicies, OneOfAThousandIsLookedAtAlone) {
  Shop shop;
  constexpr int kMany = 1000;
  for (int i = 0; i < kMany; ++i) shop.write("p" + std::to_string(i), "blue");
  EXPECT_EQ(shop.converge(), static_cast<std::size_t>(kMany));
  const auto before = shop.world.work().reads;
  shop.write("p7", "red");
  shop.converge();
  EXPECT_LT(shop.world.work().reads - before, 60U);
}

/// Any history, with leaders that die between two writes, ends where the last state says.
TEST(MultiNetworkPolicies, WhateverHappensEndAsTheyAreWritten) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    const auto draw = [&](unsigned most) { return static_cast<unsigned>(random() % most); };
    Shop shop;
    std::map<std::string, std::string> wanted;  // networks by name
    bool owned = true;
    int life = 0;
    for (int step = 0; step < 40; ++step) {
      const std::string name = "p" + std::to_string(draw(3));
      switch (draw(8)) {
        case 0:
        case 1:
        case 2: {
          const char* const networks[] = {"blue", "red,blue", ""};
          // As kubectl apply, or deleted and made again before anybody looked.
          const bool again = draw(4) == 0;
          wanted[name] = networks[draw(3)];
          shop.write(name, wanted[name], json::object(),
                     again ? "uid-life-" + std::to_string(++life) : "");
          break;
        }
        case 3:
          if (wanted.erase(name) > 0) shop.erase(name);
          break;
        case 4:
          owned = draw(2) == 0;
          shop.own("shop", owned);
          break;
        case 5:
          if (shop.has(name)) shop.remove<api::PodNetworkPolicy>("npwg-" + name, "shop");
          break;
        case 6:
          if (shop.has(name)) {
            auto edited = shop.made(name);
            edited.spec.egress.emplace_back();
            shop.put(edited);
          }
          break;
        default:
          shop.elect();
      }
      // The leader dies after some of its writes.
      const auto writes = shop.look();
      const auto done = writes.empty() ? 0 : draw(static_cast<unsigned>(writes.size()) + 1);
      for (std::size_t i = 0; i < done; ++i) shop.apply(writes[i]);
      if (done < writes.size()) shop.elect();
    }
    shop.converge();
    std::set<std::string> there;
    std::set<std::string> expected;
    for (const auto& one : shop.world.of<Policy>().all()) there.insert(one->metadata.name);
    for (const auto& [name, networks] : wanted) {
      if (owned && !networks.empty()) expected.insert("npwg-" + name);
    }
    EXPECT_EQ(there, expected) << "seed " << seed;
    for (const auto& name : expected) {
      const auto policy = shop.get<api::PodNetworkPolicy>(name, "shop");
      EXPECT_TRUE(policy.spec.egress.empty()) << "seed " << seed;
      const auto uid = shop.world.find<MultiNetworkPolicy>({"shop", name.substr(5)})->metadata.uid;
      EXPECT_EQ(policy.metadata.controllerRef()->uid, uid) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace multinet::controller
