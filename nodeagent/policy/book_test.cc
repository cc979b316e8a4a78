#include "nodeagent/policy/book.h"

#include <gtest/gtest.h>

#include <random>

#include "lib/policy/compilation.h"
#include "lib/policy/test_worlds.h"
#include "nodeagent/policy/test_slices.h"

namespace multinet::agent::policing {
namespace {

using policy::testing::Draw;
using policy::testing::ip;
using policy::testing::pod;
using std::chrono::seconds;
using testing::allClusterSlices;
using testing::clusterSlicesOf;
using testing::defaultSlices;
using testing::ledgerOf;
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
  ASSERT_NE(book.update("shop", without(slicesOf(fromWeb(), shop(), 5), 0), kNow).what,
            BookChange::What::Nothing);
  const auto policies = book.policiesFor("shop", BootTime{});
  ASSERT_EQ(policies.size(), 1U);
  EXPECT_FALSE(policies[0]->complete);
  EXPECT_EQ(membersIn(*policies[0]), 1U) << "what is seen in part allows less";
  EXPECT_TRUE(book.waiting().empty());
}

TEST(Book, ANewPolicyWaitsForItsPeersButNotForPodsThatJoin) {
  Book book(kPatience);
  ASSERT_NE(book.update("shop", {}, kBefore).what, BookChange::What::Nothing);
  const Slices all = slicesOf(fromWeb(), shop(), 5);
  ASSERT_NE(book.update("shop", without(all, 0), kNow).what, BookChange::What::Nothing);
  EXPECT_TRUE(book.policiesFor("shop", kBefore).empty()) << "a pod that runs";
  EXPECT_EQ(book.policiesFor("shop", kNow).size(), 1U) << "one that joins";
  EXPECT_EQ(book.next(), kNow + kPatience);
  ASSERT_NE(book.update("shop", without(slicesOf(fromWeb(), shop(), 9), 0), kNow).what,
            BookChange::What::Nothing);
  ASSERT_EQ(book.waiting().size(), 1U);
  EXPECT_EQ(book.waiting().at(0)->revision, 9U);
  EXPECT_EQ(book.waiting().at(0)->since, 5U) << "of that generation it is since then";
  ASSERT_NE(book.update("shop", all, kNow + seconds(1)).what, BookChange::What::Nothing);
  ASSERT_EQ(book.policiesFor("shop", kBefore).size(), 1U);
  EXPECT_TRUE(book.policiesFor("shop", kBefore)[0]->complete);
  EXPECT_FALSE(book.next());
}

TEST(Book, ItHoldsWithThoseThatAreKnownAfterAWhile) {
  Book book(kPatience);
  ASSERT_NE(book.update("shop", {}, kBefore).what, BookChange::What::Nothing);
  ASSERT_NE(book.update("shop", without(slicesOf(fromWeb(), shop(), 5), 0), kNow).what,
            BookChange::What::Nothing);
  EXPECT_TRUE(book.settle(kNow + seconds(4)).empty());
  EXPECT_EQ(book.settle(kNow + kPatience), std::set<std::string>{"shop"});
  EXPECT_EQ(book.policiesFor("shop", kBefore).size(), 1U);
}

TEST(Book, AGenerationTakesThePlaceOfTheOneBeforeWhenAllOfItIsThere) {
  Book book(kPatience);
  const Slices first = slicesOf(fromWeb(), shop(), 5);
  ASSERT_NE(book.update("shop", first, kBefore).what, BookChange::What::Nothing);
  auto next = fromWeb(2);
  next.spec.ingress[0].peers[0].podSelector->matchLabels = {{"app", "db"}};
  const Slices second = slicesOf(next, shop(), 9);
  const Slices halfWay = both(without(first, first.size() - 1), {second.back()});
  ASSERT_NE(book.update("shop", halfWay, kNow).what, BookChange::What::Nothing);
  EXPECT_EQ(book.policiesFor("shop", kBefore)[0]->generation, 1);
  EXPECT_EQ(book.policiesFor("shop", kNow)[0]->generation, 2);
  ASSERT_NE(book.update("shop", second, kNow).what, BookChange::What::Nothing);
  EXPECT_EQ(book.policiesFor("shop", kBefore)[0]->generation, 2);
}

TEST(Book, OfTwoHeadsOfANameTheNewerPolicysCounts) {
  Book book(kPatience);
  const Slices old = slicesOf(fromWeb(7, "u1"), shop(), 5);
  const Slices made = slicesOf(fromWeb(1, "u2"), shop(), 9);
  ASSERT_NE(book.update("shop", both(made, old), kNow).what, BookChange::What::Nothing);
  const auto policies = book.policiesFor("shop", BootTime{});
  ASSERT_EQ(policies.size(), 1U);
  EXPECT_EQ(policies[0]->uid, "u2");
  EXPECT_EQ(membersIn(*policies[0]), 3U) << "members of the other aren't its";
}

TEST(Book, MembersThatGoAreGoneAtOnceAndAPolicyWithItsHead) {
  Book book(kPatience);
  const Slices all = slicesOf(fromWeb(), shop(), 5);
  ASSERT_NE(book.update("shop", all, kNow).what, BookChange::What::Nothing);
  ASSERT_NE(book.update("shop", without(all, 0), kNow).what, BookChange::What::Nothing);
  const auto policies = book.policiesFor("shop", kBefore);
  EXPECT_EQ(membersIn(*policies[0]), 1U);
  EXPECT_TRUE(policies[0]->complete) << "the controller takes members away before it counts them";
  EXPECT_EQ(book.update("shop", without(all, 0), kNow).what, BookChange::What::Nothing)
      << "the same again";
  ASSERT_NE(book.update("shop", without(all, all.size() - 1), kNow).what,
            BookChange::What::Nothing);
  EXPECT_TRUE(book.policiesFor("shop", kNow).empty());
  EXPECT_TRUE(book.all().empty());
}

TEST(Book, KnowsNetworksDefaultsByTheirUid) {
  Book book(kPatience);
  ASSERT_NE(book.update("shop", defaultSlices("blue", "n1", "shop", shop()), kNow).what,
            BookChange::What::Nothing);
  EXPECT_TRUE(book.policiesFor("shop", kNow).empty());
  ASSERT_NE(book.defaultOf("shop", NetworkUid("n1")), nullptr);
  EXPECT_EQ(book.defaultOf("shop", NetworkUid("made again")), nullptr);
  EXPECT_EQ(membersIn(*book.defaultOf("shop", NetworkUid("n1"))), 4U);
}

/// Pods of shop get nothing of web, whatever namespaces say.
api::ClusterPodNetworkPolicy nothingOfWeb(const std::string& uid = "c1") {
  api::ClusterPodNetworkPolicy policy;
  policy.metadata.name = "guard";
  policy.metadata.uid = uid;
  policy.metadata.generation = 1;
  policy.spec.podNetworkNames = {"blue"};
  policy.spec.subject.namespaces.emplace();
  auto& rule = policy.spec.ingress.emplace_back();
  rule.action = api::ClusterPolicyAction::Deny;
  rule.peers.emplace_back().pods.emplace().podSelector.matchLabels = {{"app", "web"}};
  return policy;
}

const policy::ClusterRule& onlyRule(const Book& book, BootTime joined = kNow) {
  const auto told = book.policiesFor("shop", joined);
  EXPECT_EQ(told.size(), 1U);
  const auto* rules = told.at(0)->rulesOn("blue");
  EXPECT_NE(rules, nullptr);
  EXPECT_EQ(told.at(0)->rulesOn("red"), nullptr);
  return rules->ingress.at(0);
}

TEST(BookOfCluster, ARuleOfWhomNotAllAreKnownDeniesEverybodyTillTheyAre) {
  Book book(kPatience);
  const Slices all = clusterSlicesOf(nothingOfWeb(), "shop", shop(), 5);
  ASSERT_GT(all.size(), 2U);
  static_cast<void>(book.update("shop", without(all, 0), kNow));
  EXPECT_TRUE(onlyRule(book).rule.peers.empty()) << "else the missing one might come in";
  EXPECT_EQ(onlyRule(book).action, api::ClusterPolicyAction::Deny);
  static_cast<void>(book.update("shop", all, kNow));
  EXPECT_EQ(onlyRule(book).rule.peers.size(), 1U);
  static_cast<void>(book.update("shop", without(all, 0), kNow));
  EXPECT_EQ(onlyRule(book).rule.peers.size(), 1U) << "one that goes is taken away before the head";
}

TEST(BookOfCluster, APassOfWhomNotAllAreKnownDeniesAndAnAcceptIsOfThoseWhoAre) {
  for (const auto action : {api::ClusterPolicyAction::Pass, api::ClusterPolicyAction::Accept}) {
    Book book(kPatience);
    auto policy = nothingOfWeb();
    policy.spec.ingress.at(0).action = action;
    const Slices all = clusterSlicesOf(policy, "shop", shop(), 5);
    static_cast<void>(book.update("shop", without(all, 0), kNow));
    const bool isAccept = action == api::ClusterPolicyAction::Accept;
    EXPECT_EQ(onlyRule(book).rule.peers.empty(), !isAccept);
    EXPECT_EQ(onlyRule(book).action == api::ClusterPolicyAction::Deny, !isAccept);
  }
}

/// The same slices with another member in place of the first one's first.
Slices withFirst(const Slices& slices, const api::PolicyMember& member) {
  Slices out = slices;
  auto first = *out.at(0);
  first.members->entries.at(0) = member;
  out.at(0) = testing::share(std::move(first));
  return out;
}

const api::PolicyMember kUnreadable{"10.0.0.2/32", std::nullopt};

TEST(BookOfCluster, ARuleWhoseMembersCantAllBeReadDeniesEverybodyTillTheyCan) {
  const Slices all = clusterSlicesOf(nothingOfWeb(), "shop", shop(), 5);
  const Slices some = withFirst(all, kUnreadable);
  Book book(kPatience);
  static_cast<void>(book.update("shop", some, kNow));
  EXPECT_TRUE(onlyRule(book).rule.peers.empty()) << "else whoever that is might come in";
  EXPECT_FALSE(book.policiesFor("shop", kNow).at(0)->complete);
  static_cast<void>(book.update("shop", all, kNow));
  EXPECT_EQ(onlyRule(book).rule.peers.size(), 1U);
  EXPECT_TRUE(book.policiesFor("shop", kNow).at(0)->complete);
  // Of one that was there as a whole, too.
  EXPECT_EQ(book.update("shop", some, kNow).what, BookChange::What::All);
  EXPECT_TRUE(onlyRule(book).rule.peers.empty());
  EXPECT_EQ(book.update("shop", all, kNow).what, BookChange::What::All);
  EXPECT_EQ(onlyRule(book).rule.peers.size(), 1U);
}

TEST(BookOfCluster, APortThatIsNoneCantBeReadEither) {
  const Slices all = clusterSlicesOf(nothingOfWeb(), "shop", shop(), 5);
  for (const std::int32_t port : {0, -1, 8080 + 65536}) {
    Book book(kPatience);
    static_cast<void>(book.update("shop", all, kNow));
    EXPECT_EQ(onlyRule(book).rule.peers.size(), 1U);
    static_cast<void>(book.update("shop", withFirst(all, {"10.0.0.2", port}), kNow));
    EXPECT_TRUE(onlyRule(book).rule.peers.empty()) << port;
  }
}

TEST(Book, AMemberThatCantBeReadIsAllowedNothingAndHoldsNobodyUp) {
  Book book(kPatience);
  const Slices all = slicesOf(fromWeb(), shop(), 5);
  static_cast<void>(book.update("shop", withFirst(all, kUnreadable), kNow));
  const auto told = book.policiesFor("shop", kNow);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(told.at(0)->complete);
  EXPECT_EQ(told.at(0)->peers.begin()->second->all.members.size(), 2U);
  static_cast<void>(book.update("shop", all, kNow));
  EXPECT_EQ(book.policiesFor("shop", kNow).at(0)->peers.begin()->second->all.members.size(), 3U);
}

/// As of a policy with more peers than a head holds.
TEST(BookOfCluster, WhomAHeadDoesntCountNobodyKnows) {
  Book book(kPatience);
  auto head = *clusterSlicesOf(nothingOfWeb(), "shop", shop(), 5).back();
  head.head->peers.clear();
  static_cast<void>(book.update("shop", {testing::share(head)}, kNow));
  EXPECT_TRUE(onlyRule(book).rule.peers.empty());
  // A block is known of the spec.
  auto policy = nothingOfWeb();
  policy.spec.ingress.clear();
  auto& rule = policy.spec.egress.emplace_back();
  rule.action = api::ClusterPolicyAction::Deny;
  rule.peers.emplace_back().networks = {"10.0.0.0/8"};
  policy.metadata.generation = 2;
  static_cast<void>(book.update("shop", clusterSlicesOf(policy, "shop", shop(), 6), kNow));
  EXPECT_EQ(book.policiesFor("shop", kNow).at(0)->rulesOn("blue")->egress.at(0).rule.peers.size(),
            1U);
}

TEST(BookOfCluster, AHeadThatCountsAPeerMoreIsReadAnew) {
  Book book(kPatience);
  const Slices all = clusterSlicesOf(nothingOfWeb(), "shop", shop(), 5);
  auto head = *all.back();
  head.head->peers.clear();
  static_cast<void>(book.update("shop", {testing::share(head)}, kNow));
  static_cast<void>(book.update("shop", all, kNow));
  EXPECT_EQ(onlyRule(book).rule.peers.size(), 1U);
}

bool isInLedger(const Book& book, const std::string& space, const std::string& uid,
                std::int64_t generation = 0) {
  k8s::ObjectMeta policy;
  policy.uid = uid;
  policy.generation = generation;
  return book.isInLedger(space, policy, "blue");
}

TEST(BookOfCluster, ANewOneWaitsForItsPeersButNotForPodsThatJoin) {
  Book book(kPatience);
  static_cast<void>(book.update("shop", {}, kBefore));
  const Slices all = clusterSlicesOf(nothingOfWeb(), "shop", shop(), 5);
  static_cast<void>(book.update("shop", without(all, 0), kNow));
  EXPECT_TRUE(book.policiesFor("shop", kBefore).empty());
  EXPECT_TRUE(onlyRule(book, kNow).rule.peers.empty());
  EXPECT_EQ(book.settle(kNow + kPatience), std::set<std::string>{"shop"});
  EXPECT_TRUE(onlyRule(book, kBefore).rule.peers.empty()) << "closed rather than open";
}

/// As its head goes where no pod is left, but for one that was deleted by force.
TEST(BookOfCluster, OneThatGoesHoldsOnForWhoRuns) {
  Book book(kPatience);
  const Slices all = clusterSlicesOf(nothingOfWeb(), "shop", shop(), 5);
  static_cast<void>(book.update("shop", both(all, ledgerOf({nothingOfWeb()}, "shop")), kBefore));
  auto head = *all.back();
  head.metadata.resourceVersion = "6";
  head.head->policyGeneration = 0;
  const Slices members = without(all, all.size() - 1);
  for (const Slices& step : {all, both(members, {testing::share(head)}), members, Slices{}}) {
    static_cast<void>(book.update("shop", step, kNow));
    EXPECT_FALSE(book.release("shop", [](const std::string&) { return true; }));
    EXPECT_EQ(onlyRule(book, kBefore).rule.peers.size(), 1U);
    EXPECT_EQ(membersIn(*book.policiesFor("shop", kBefore).at(0)), 3U);
    EXPECT_FALSE(isInLedger(book, "shop", "c1"));
  }
}

TEST(BookOfCluster, OneOfANameIsNotThePolicyOfANamespace) {
  Book book(kPatience);
  auto cluster = nothingOfWeb();
  cluster.metadata.name = "db";
  static_cast<void>(book.update(
      "shop", both(slicesOf(fromWeb(), shop(), 5), clusterSlicesOf(cluster, "shop", shop(), 6)),
      kNow));
  EXPECT_EQ(book.policiesFor("shop", kNow).size(), 2U);
  // Made again it takes the place of the one before.
  auto again = cluster;
  again.metadata.uid = "c2";
  static_cast<void>(book.update(
      "shop",
      both(clusterSlicesOf(cluster, "shop", shop(), 6), clusterSlicesOf(again, "shop", shop(), 9)),
      kNow));
  ASSERT_EQ(book.policiesFor("shop", kNow).size(), 1U);
  EXPECT_EQ(book.policiesFor("shop", kNow).at(0)->uid, "c2");
}

TEST(BookOfCluster, ALedgerSaysWhichWereLookedAtAndNothingElseChanges) {
  Book book(kPatience);
  const Slices with = slicesOf(fromWeb(), shop(), 5);
  static_cast<void>(book.update("shop", with, kNow));
  EXPECT_FALSE(isInLedger(book, "shop", "c1"));
  const auto change = book.update("shop", both(with, ledgerOf({nothingOfWeb()}, "shop")), kNow);
  EXPECT_EQ(change.what, BookChange::What::Members) << "nothing is compiled of it";
  EXPECT_TRUE(change.members.empty());
  EXPECT_TRUE(isInLedger(book, "shop", "c1"));
  const std::int64_t told = nothingOfWeb().metadata.generation;
  EXPECT_TRUE(isInLedger(book, "shop", "c1", told));
  EXPECT_FALSE(isInLedger(book, "shop", "c1", told + 1)) << "it was changed since";
  EXPECT_FALSE(isInLedger(book, "shop", "c2")) << "made again under its name";
  EXPECT_FALSE(isInLedger(book, "ops", "c1"));
  EXPECT_EQ(book.all().size(), 1U) << "a ledger is no policy";
  static_cast<void>(book.update("shop", with, kNow));
  EXPECT_FALSE(isInLedger(book, "shop", "c1"));
}

/// What is compiled of slices, for some of the pods, is what the world's policies say of them.
TEST(BookSource, SlicesSayTheSameAsTheWorldThatTheyWereMadeOf) {
  Draw draw(20261128);
  std::mt19937 random(3);
  int denied = 0;
  constexpr int kWorlds = 3'000;
  for (int i = 0; i < kWorlds; ++i) {
    policy::World world = draw.world();
    for (auto& one : world.clusterPolicies) one.metadata.uid = "uid-" + one.metadata.name;
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
    std::map<std::string, std::vector<const policy::ClusterRules*>> cluster;
    for (const std::string space : {"x", "y", "z"}) {
      Slices slices = both(spaces[space], defaultSlices("blue", "n", space, world));
      slices = both(std::move(slices), allClusterSlices(world, space, 7));
      std::ranges::shuffle(slices, random);
      ASSERT_NE(book.update(space, slices, kNow).what, BookChange::What::Nothing);
      for (const auto& one : book.policiesFor(space, kNow)) {
        EXPECT_TRUE(one->complete);
        told.push_back(one);
        source.add(one);
        if (one->cluster == nullptr) {
          policies[space].push_back(&one->policy);
        } else if (const auto* rules = one->rulesOn("blue")) {
          cluster[space].push_back(rules);
        }
      }
      source.addDefault(space, book.defaultOf(space, NetworkUid("n")));
    }
    std::vector<policy::Subject> subjects;
    for (const auto& one : world.pods) {
      const bool isHere = one.on("blue") != nullptr && one.key.name != "pod-3";
      if (!isHere) continue;
      subjects.push_back({&one, policies[one.key.nameSpace], cluster[one.key.nameSpace]});
    }
    policy::Numbers numbers;
    const auto program = policy::compile(subjects, network, source, numbers).program;
    for (int k = 0; k < 6; ++k) {
      const auto packet = draw.packetOfAny();
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

/// Pods of a node whose policies are told by slices, as the cluster around them changes.
class Life {
 public:
  explicit Life(std::uint32_t seed)
      : draw_(seed), world_(draw_.world()), network_(draw_.network()) {
    for (unsigned i = 1; i <= 3; ++i) here_.push_back(draw_.drawPod(i));
    update(book_);
    compile();
  }

  /// Whether members were all that changed.
  bool step() {
    const auto number = static_cast<unsigned>(1 + draw_.below(7));
    if (draw_.oneIn(6)) {
      draw_.change(world_);
    } else {
      std::erase_if(world_.pods, [&](const policy::Pod& one) {
        return one.key.name == "pod-" + std::to_string(number);
      });
      if (!draw_.oneIn(3)) world_.pods.push_back(draw_.drawPod(number));
    }
    bool isWhole = false;
    for (const BookChange& change : update(book_)) {
      isWhole = isWhole || change.what == BookChange::What::All;
      for (const auto& [network, members, cluster] : change.members) {
        if (network != "blue") continue;
        const auto way = compilation_.change(members, numbers_);
        if (!way) {
          isWhole = true;
        } else {
          policy::apply(*way, kernel_);
        }
      }
    }
    if (isWhole) compile();
    return !isWhole;
  }
  void expectAsAnew() {
    Book book(kPatience);
    update(book);
    policy::Compilation anew;
    compile(book, anew);
    ASSERT_EQ(compilation_.program(), anew.program());
    ASSERT_EQ(compilation_.program().permits, anew.program().permits);
    ASSERT_EQ(kernel_, anew.program());
    numbers_.keepOnly({&compilation_.program()});
  }

 private:
  std::vector<BookChange> update(Book& book) {
    std::map<std::string, Slices> spaces;
    std::set<std::string> names;
    for (auto& one : world_.policies) {
      one.metadata.uid = one.metadata.nameSpace + one.metadata.name;
      if (!names.insert(one.metadata.uid).second) continue;
      const Slices slices = slicesOf(one, world_, ++revision_);
      auto& space = spaces[one.metadata.nameSpace];
      space.insert(space.end(), slices.begin(), slices.end());
    }
    for (auto& one : world_.clusterPolicies) one.metadata.uid = "uid-" + one.metadata.name;
    std::vector<BookChange> out;
    for (const std::string space : {"x", "y", "z"}) {
      Slices all = both(spaces[space], defaultSlices("blue", "n", space, world_));
      all = both(std::move(all), allClusterSlices(world_, space, ++revision_));
      out.push_back(book.update(space, std::move(all), kNow));
      const bool isReleased = book.release(space, [&](const std::string& uid) {
        return std::ranges::any_of(world_.clusterPolicies,
                                   [&](const auto& one) { return one.metadata.uid == uid; });
      });
      if (isReleased) out.push_back({BookChange::What::All, {}});
    }
    return out;
  }
  void compile() { policy::apply(compile(book_, compilation_), kernel_); }
  policy::Delta compile(const Book& book, policy::Compilation& compilation) {
    BookSource source("blue", NetworkUid("n"));
    std::vector<ToldPtr> told;
    std::map<std::string, std::vector<const api::PodNetworkPolicy*>> policies;
    std::map<std::string, std::vector<const policy::ClusterRules*>> cluster;
    for (const std::string space : {"x", "y", "z"}) {
      for (const auto& one : book.policiesFor(space, kNow)) {
        told.push_back(one);
        source.add(one);
        if (one->cluster == nullptr) {
          policies[space].push_back(&one->policy);
        } else if (const auto* rules = one->rulesOn("blue")) {
          cluster[space].push_back(rules);
        }
      }
      source.addDefault(space, book.defaultOf(space, NetworkUid("n")));
    }
    std::vector<policy::Subject> subjects;
    for (const auto& one : here_) {
      subjects.push_back({&one, policies[one.key.nameSpace], cluster[one.key.nameSpace]});
    }
    return compilation.compile(subjects, network_, source, numbers_);
  }

  Draw draw_;
  policy::World world_;
  const policy::Network network_;
  std::vector<policy::Pod> here_;
  Book book_{kPatience};
  policy::Numbers numbers_;
  policy::Compilation compilation_;
  policy::Program kernel_;
  std::uint64_t revision_ = 0;
};

TEST(BookSource, FromOneMomentToTheNextItIsAsReadAndCompiledAnew) {
  int ofMembers = 0;
  int ofMore = 0;
  for (std::uint32_t seed = 1; seed <= 400; ++seed) {
    Life life(seed);
    for (int step = 0; step < 25; ++step) {
      ++(life.step() ? ofMembers : ofMore);
      ASSERT_NO_FATAL_FAILURE(life.expectAsAnew()) << "seed " << seed << " step " << step;
    }
  }
  EXPECT_GT(ofMembers, 2000);
  EXPECT_GT(ofMore, 500);
}

}  // namespace
}  // namespace multinet::agent::policing
