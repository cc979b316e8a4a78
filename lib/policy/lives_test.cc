// A program kept from one moment to the next, as members of peers come and go, against one that is
// compiled from scratch: policies of namespaces and of the cluster together.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "lib/policy/compilation.h"
#include "lib/policy/test_worlds.h"

namespace multinet::policy {
namespace {

using testing::Draw;

/// What a world says, with versions: who asks again gets the same Named, which changes in place.
class KeptSource final : public Source {
 public:
  const Named& podsOf(const api::PodNetworkPolicy& policy, const api::PolicyPeer& peer) override {
    return keep(now().podsOf(policy, peer));
  }
  ByPort withPort(const api::PodNetworkPolicy& policy, const api::PolicyPeer* peer,
                  const api::PolicyPort& port) override {
    ByPort out;
    for (const auto& [number, named] : now().withPort(policy, peer, port)) {
      out.emplace_back(number, &keep(*named));
    }
    return out;
  }
  const Named& podsIn(const std::string& nameSpace) override {
    return keep(now().podsIn(nameSpace));
  }

  /// The world as it is now.
  void see(const World& world) { source_ = std::make_unique<WorldSource>(world, "blue"); }
  /// What differs of those that were asked for, by what is asked now; all of it is asked.
  std::vector<MemberChange> changes(const std::function<void(Source&)>& askAll) {
    std::map<std::string, Members> before;
    for (const auto& [key, named] : kept_) before[key] = named->members;
    asked_.clear();
    askAll(*this);
    std::vector<MemberChange> out;
    for (const auto& [key, was] : before) {
      Named& named = *kept_.at(key);
      if (!asked_.contains(key)) named.members.clear();
      MemberChange one{key, versions_[key], 0};
      for (const auto& [address, count] : was) {
        if (!named.members.contains(address)) one.gone.push_back(address);
      }
      for (const auto& [address, count] : named.members) {
        if (!was.contains(address)) one.come.push_back(address);
      }
      if (one.gone.empty() && one.come.empty()) continue;
      one.after = named.version = versions_[key] = ++version_;
      out.push_back(std::move(one));
    }
    return out;
  }

 private:
  WorldSource& now() { return *source_; }
  const Named& keep(const Named& named) {
    asked_.insert(named.key);
    auto& one = kept_[named.key];
    if (one == nullptr) {
      one = std::make_unique<Named>(named);
      if (named.ranges.empty()) one->version = versions_[named.key] = ++version_;
    } else {
      one->members = named.members;
    }
    return *one;
  }

  std::unique_ptr<WorldSource> source_;
  std::map<std::string, std::unique_ptr<Named>> kept_;
  std::map<std::string, std::uint64_t> versions_;
  std::set<std::string> asked_;
  std::uint64_t version_ = 1;
};

class Life {
 public:
  explicit Life(std::uint32_t seed)
      : draw_(seed), world_(draw_.world()), network_(draw_.network()) {
    if (world_.clusterPolicies.empty()) world_.clusterPolicies.push_back(draw_.clusterPolicy(0));
    for (unsigned i = 1; i <= 3; ++i) here_.push_back(draw_.drawPod(i));
    source_.see(world_);
    policy::apply(compile(compilation_, source_), kernel_);
  }

  /// A pod comes, goes or becomes another.
  void step() {
    const auto number = static_cast<unsigned>(1 + draw_.below(7));
    std::erase_if(world_.pods,
                  [&](const Pod& one) { return one.key.name == "pod-" + std::to_string(number); });
    if (!draw_.oneIn(3)) world_.pods.push_back(draw_.drawPod(number));
    const Program before = compilation_.program();
    source_.see(world_);
    const auto changes = source_.changes([&](Source& source) {
      Compilation all;
      Numbers own;
      static_cast<void>(all.compile(subjects(), network_, source, own));
    });
    bool mayTighten = false;
    for (const MemberChange& one : changes) {
      const auto way = compilation_.change(one, numbers_);
      if (!way) continue;
      mayTighten = mayTighten || way->mayTighten();
      policy::apply(*way, kernel_);
    }
    // Where somebody's port has a number that nobody's had, and where one is nobody's any more.
    const Delta rest = compile(compilation_, source_);
    mayTighten = mayTighten || rest.mayTighten();
    ofMembers += !changes.empty() && rest.empty() ? 1 : 0;
    policy::apply(rest, kernel_);
    tightened += mayTighten ? 1 : 0;
    ordered += kernel_.ordered ? 1 : 0;
    expectNothingEnded(before, mayTighten);
  }
  void expectAsAnew() {
    WorldSource source(world_, "blue");
    Compilation anew;
    static_cast<void>(compile(anew, source));
    ASSERT_EQ(compilation_.program(), anew.program());
    ASSERT_EQ(kernel_, anew.program());
    numbers_.keepOnly({&compilation_.program()});
  }

  int ofMembers = 0;
  int tightened = 0;
  int ordered = 0;

 private:
  /// What a change says that it can't end, it doesn't.
  void expectNothingEnded(const Program& before, bool mayTighten) {
    for (int i = 0; i < 4 && !mayTighten; ++i) {
      const Packet packet = draw_.packet();
      for (const Pod& pod : here_) {
        const bool isEnd = world_.podAt("blue", packet.source) == nullptr ||
                           world_.podAt("blue", packet.source)->key.name != pod.key.name;
        if (!isEnd || !allows(before, packet, nullptr, &pod.key)) continue;
        ASSERT_TRUE(allows(kernel_, packet, nullptr, &pod.key));
      }
    }
  }
  std::vector<Subject> subjects() {
    rules_ = orderedRules(world_);
    std::vector<Subject> out;
    for (const Pod& pod : here_) {
      Subject& subject = out.emplace_back(Subject{&pod});
      for (const auto& policy : world_.policies) subject.policies.push_back(&policy);
      const auto labels = world_.namespaces.find(pod.key.nameSpace);
      for (const auto& one : rules_) {
        const bool selects = selectsNamespace(
            one.subject, labels == world_.namespaces.end() ? nullptr : &labels->second);
        if (selects) subject.cluster.push_back(&one);
      }
    }
    return out;
  }
  Delta compile(Compilation& compilation, Source& source) {
    return compilation.compile(subjects(), network_, source, numbers_);
  }

  Draw draw_;
  World world_;
  const Network network_;
  std::vector<Pod> here_;
  std::vector<ClusterRules> rules_;
  KeptSource source_;
  Numbers numbers_;
  Compilation compilation_;
  Program kernel_;
};

TEST(Lives, WhatFollowsMembersIsAsCompiledAnew) {
  int ofMembers = 0;
  int tightened = 0;
  int ordered = 0;
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    Life life(seed);
    for (int step = 0; step < 25; ++step) {
      ASSERT_NO_FATAL_FAILURE(life.step()) << "seed " << seed << " step " << step;
      ASSERT_NO_FATAL_FAILURE(life.expectAsAnew()) << "seed " << seed << " step " << step;
    }
    ofMembers += life.ofMembers;
    tightened += life.tightened;
    ordered += life.ordered;
  }
  EXPECT_GT(ofMembers, 2000);
  EXPECT_GT(tightened, 500);
  EXPECT_GT(ordered, 1000);
}

World withGuest(const std::string& app) {
  using testing::ip;
  World world;
  world.namespaces = {{"shop", {}}};
  world.pods = {testing::pod("shop", "db", {{"app", "db"}}, {ip("10.0.0.1")}),
                testing::pod("shop", "guest", {{"app", app}}, {ip("10.0.0.2")})};
  api::ClusterPodNetworkPolicy policy;
  policy.metadata.name = "guests";
  policy.spec.podNetworkNames = {"blue"};
  policy.spec.subject.pods.emplace().podSelector.matchLabels = {{"app", "db"}};
  auto& rule = policy.spec.ingress.emplace_back();
  rule.action = api::ClusterPolicyAction::Deny;
  rule.peers.emplace_back().pods.emplace().podSelector.matchLabels = {{"app", "guest"}};
  world.clusterPolicies = {policy};
  return world;
}

TEST(Lives, AnAddressThatComesTightensWhereAnOrderMatters) {
  const Network network{"blue", api::DefaultPolicy::Allow};
  Numbers numbers;
  const Program open = compile(withGuest("other"), network, numbers);
  const Program denied = compile(withGuest("guest"), network, numbers);
  const Delta way = delta(open, denied);
  EXPECT_TRUE(way.addresses.removed.empty());
  EXPECT_EQ(way.addresses.added.size(), 1U);
  EXPECT_TRUE(way.mayTighten());
  const PodKey db{"shop", "db"};
  const Packet packet{testing::ip("10.0.0.2"), testing::ip("10.0.0.1"), api::Protocol::TCP, 80};
  EXPECT_TRUE(allows(open, packet, nullptr, &db));
  EXPECT_FALSE(allows(denied, packet, nullptr, &db));
}

}  // namespace
}  // namespace multinet::policy
