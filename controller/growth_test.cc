// What a change costs is what it concerns, whatever else there is: work is counted, not timed.
#include <gtest/gtest.h>

#include "controller/plan/cluster_fixture.h"
#include "controller/plan/planner.h"
#include "controller/reconcilers.h"

namespace multinet::controller {
namespace {

using State = k8s::ConditionStatus;
using testing::nodeOf;
using testing::podOf;
using testing::reportOf;
using testing::setOf;
using testing::tunnelOf;

/// So many networks, attachments and pods with one interface each, on ten nodes; all settled.
class Grown : public testing::Cluster {
 public:
  Grown(int networks, int attachments, int pods) {
    for (int i = 0; i < 10; ++i) put(nodeOf(node(i)));
    k8s::Namespace home;
    home.metadata.name = "default";
    put(home);
    for (int i = 0; i < networks; ++i) put(tunnelOf(network(i), 1));
    for (int i = 0; i < networks; ++i) {
      auto service = api::testing::goodService("s" + std::to_string(i), network(i));
      service.spec.selector = {{"app", network(i)}};
      put(service);
      auto policy = api::testing::goodPolicy("p" + std::to_string(i), network(i));
      policy.spec.podSelector.matchLabels = {{"app", network(i)}};
      policy.spec.ingress[0].peers[0].podSelector->matchLabels = {{"tier", network(i)}};
      put(policy);
    }
    for (int i = 0; i < 10; ++i) {
      auto policy = api::testing::goodClusterPolicy("c" + std::to_string(i), network(i));
      policy.spec.subject = {std::nullopt, api::NamespacedPods{{}, {{{"app", network(i)}}, {}}}};
      policy.spec.ingress[0].peers[0].pods = api::NamespacedPods{{}, {{{"tier", network(i)}}, {}}};
      put(policy);
    }
    for (int i = 0; i < attachments; ++i) {
      put(api::testing::goodAttachment("a" + std::to_string(i), network(i % networks)));
    }
    for (int i = 0; i < pods; ++i) {
      const auto pod = podOf("p" + std::to_string(i), network(i % networks), node(i));
      putSeen(Pod(pod));
      putSeen(InterfaceSet(setOf(pod, {network(i % networks)})));
    }
    settle();
  }

  static std::string network(int i) { return "n" + std::to_string(i); }
  static std::string node(int i) { return "node-" + std::to_string(i % 10); }

  /// Carries out writes until there are none, now.
  void settle() {
    for (int turn = 0; turn < 20; ++turn) {
      const auto writes = testing::wishes(planner_, world, now);
      if (writes.empty()) return;
      for (const auto& write : writes) {
        apply(write);
        ++writes_;
      }
    }
    ADD_FAILURE() << "it doesn't settle";
  }
  struct Cost {
    std::uint64_t reads = 0;   ///< objects that were looked at
    std::uint64_t judged = 0;  ///< times that the rules were asked
    std::uint64_t asked = 0;   ///< times that a reconciler was
    std::uint64_t writes = 0;
    bool operator==(const Cost&) const = default;
  };
  [[nodiscard]] std::uint64_t writes() const { return writes_; }
  /// What it takes until everything is settled again after `change`.
  template <class Change>
  Cost costOf(const Change& change) {
    pass(std::chrono::minutes(2));  // whatever was told may be told again
    settle();
    const Cost before = total();
    change(*this);
    settle();
    pass(std::chrono::minutes(2));  // what is told in its time
    settle();
    const Cost after = total();
    return {after.reads - before.reads, after.judged - before.judged, after.asked - before.asked,
            after.writes - before.writes};
  }

 private:
  Cost total() const {
    Cost cost{world.work().reads, world.work().judged, 0, writes_};
    for (const auto& [name, count] : planner_.reconciled()) cost.asked += count;
    return cost;
  }

  Planner planner_{allReconcilers()};
  std::uint64_t writes_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Grown::Cost& cost) {
  return out << cost.reads << " reads, " << cost.judged << " judged, " << cost.asked << " asked, "
             << cost.writes << " writes";
}

/// The same number of others in what is changed, and ever more elsewhere.
std::vector<std::unique_ptr<Grown>> sizes() {
  std::vector<std::unique_ptr<Grown>> grown;
  for (const int size : {10, 100, 1000}) {
    grown.push_back(std::make_unique<Grown>(size, size, size * 10));
  }
  return grown;
}

template <class Change>
void expectSameCost(std::vector<std::unique_ptr<Grown>>& grown, const Change& change,
                    std::uint64_t atMostReads) {
  const auto small = grown.front()->costOf(change);
  EXPECT_LE(small.reads, atMostReads) << small;
  for (auto& one : grown) EXPECT_EQ(one->costOf(change), small) << "whatever else there is";
}

TEST(Growth, AChangeCostsWhatItConcerns) {
  auto grown = sizes();
  int number = 0;
  {
    SCOPED_TRACE("a pod without a request");
    expectSameCost(
        grown,
        [](Grown& cluster) {
          auto pod = podOf("unrelated", "");
          pod.metadata.annotations.clear();
          cluster.put(pod);
          cluster.remove<k8s::Pod>("unrelated", "default");
        },
        0);
  }
  {
    SCOPED_TRACE("a pod comes, is attached, and goes");
    expectSameCost(
        grown,
        [&](Grown& cluster) {
          const auto pod = podOf("new-" + std::to_string(++number), "n3", "node-1");
          cluster.put(pod);
          cluster.settle();
          cluster.put(setOf(pod, {"n3"}));
          cluster.settle();
          cluster.remove<k8s::Pod>(pod.metadata.name, "default");
        },
        400);
  }
  {
    SCOPED_TRACE("a pod that a service selects");
    expectSameCost(
        grown,
        [&](Grown& cluster) {
          auto pod = podOf("serves-" + std::to_string(++number), "n4", "node-1");
          pod.metadata.labels = {{"app", "n4"}, {"tier", "front"}};
          cluster.put(pod);
          cluster.settle();
          cluster.put(setOf(pod, {"n4"}));
          cluster.settle();
          cluster.remove<k8s::Pod>(pod.metadata.name, "default");
        },
        600);
  }
  {
    SCOPED_TRACE("a pod that a policy selects, and is a peer of another");
    expectSameCost(
        grown,
        [&](Grown& cluster) {
          auto pod = podOf("policed-" + std::to_string(++number), "n6", "node-1");
          pod.metadata.labels = {{"app", "n6"}, {"tier", "n5"}};
          cluster.put(pod);
          cluster.settle();
          auto set = setOf(pod, {"n6", "n5"});
          for (auto& one : set.interfaces) {
            one.ips = {{"10.20.0.9/16", "", api::AddressFamily::IPv4}};
          }
          cluster.put(set);
          cluster.settle();
          cluster.remove<k8s::Pod>(pod.metadata.name, "default");
        },
        900);
  }
  {
    SCOPED_TRACE("somebody's Service");
    expectSameCost(
        grown,
        [](Grown& cluster) {
          k8s::Service service;
          service.metadata.nameSpace = "default";
          service.metadata.name = "somebodys";
          cluster.put(service);
          cluster.remove<k8s::Service>("somebodys", "default");
        },
        10);
  }
  {
    SCOPED_TRACE("a node's heartbeat");
    expectSameCost(grown, [](Grown& cluster) { cluster.put(nodeOf("node-1")); }, 0);
  }
  {
    SCOPED_TRACE("a node's report of one network");
    const auto report = [](Grown& cluster) {
      cluster.put(reportOf("node-1", "n3", State::False, "A"));
      cluster.settle();
      cluster.put(reportOf("node-1", "n3", State::True, "Probed"));
    };
    for (auto& one : grown) static_cast<void>(one->costOf(report));  // the first is another one's
    expectSameCost(grown, report, 300);
  }
  {
    SCOPED_TRACE("a network is edited");
    expectSameCost(
        grown,
        [](Grown& cluster) {
          auto network = cluster.get<api::PodNetwork>("n3");
          ++network.metadata.generation;
          network.spec.enabled = !network.spec.isEnabled();
          cluster.put(network);
          cluster.settle();
          network = cluster.get<api::PodNetwork>("n3");
          ++network.metadata.generation;
          network.spec.enabled = !network.spec.isEnabled();
          cluster.put(network);
        },
        500);
  }
  {
    SCOPED_TRACE("a network comes");
    expectSameCost(
        grown,
        [&](Grown& cluster) { cluster.put(tunnelOf("fresh-" + std::to_string(++number), 2)); },
        400);
  }
}

/// Counts are kept, not taken: one pod more costs the same where many use the network.
TEST(Growth, APodCostsTheSameInABigNetwork) {
  std::vector<std::unique_ptr<Grown>> grown;
  for (const int pods : {10, 100, 10000}) grown.push_back(std::make_unique<Grown>(1, 1, pods));
  int number = 0;
  expectSameCost(
      grown,
      [&](Grown& cluster) {
        const auto pod = podOf("new-" + std::to_string(++number), "n0", "node-1");
        cluster.put(pod);
        cluster.put(setOf(pod, {"n0"}));
      },
      150);
}

/// Every node is sent each write of a network: a roll-out's don't grow with its pods.
TEST(Growth, ARollOutWritesItsNetworkOnceAMinuteIn5000Nodes) {
  for (const int pods : {60, 600, 6000}) {
    Grown grown(1, 1, 10);
    for (int i = 0; i < 5000; ++i) grown.put(nodeOf("more-" + std::to_string(i)));
    grown.pass(std::chrono::hours(1));
    const auto before = grown.writes();
    for (int i = 0; i < pods; ++i) {
      const auto pod = podOf("new-" + std::to_string(i), "attachment/a0", "node-1");
      grown.put(pod);
      grown.put(setOf(pod, {"n0/a0"}));
      grown.settle();
      grown.pass(Duration(std::chrono::minutes(5)) / pods);
    }
    EXPECT_EQ(grown.writes() - before, 10U) << "five of the network, five of the attachment";
    grown.pass(std::chrono::minutes(1));
    grown.settle();
    EXPECT_EQ(grown.writes() - before, 12U);
    EXPECT_EQ(grown.get<api::PodNetwork>("n0").status.attachedPods, pods + 10);
    EXPECT_EQ(grown.get<api::PodNetworkAttachment>("a0", "default").status.attachedPods, pods);
  }
}

/// Each of 300 peers means every pod, which has 16 addresses: more than 41 pods are too many.
TEST(Growth, WhomAPolicyMeansIsKeptUpToABound) {
  for (const int pods : {40, 80, 160}) {
    Grown grown(1, 1, 0);
    auto policy = api::testing::goodPolicy("broad", "n0");
    policy.spec.ingress.assign(3, api::PolicyIngressRule{});
    for (int i = 0; i < 300; ++i) {
      const auto absent = k8s::SelectorOperator::DoesNotExist;
      policy.spec.ingress[static_cast<std::size_t>(i % 3)].peers.push_back(
          {k8s::LabelSelector{{}, {{"x" + std::to_string(i), absent, {}}}},
           k8s::LabelSelector{},
           {}});
    }
    grown.put(policy);
    for (int i = 0; i < pods; ++i) {
      const auto pod = podOf("many-" + std::to_string(i), "n0");
      auto set = setOf(pod, {"n0"});
      for (int k = 1; k <= 16; ++k) {
        const auto address = "10.20." + std::to_string(i) + "." + std::to_string(k) + "/16";
        set.interfaces[0].ips.push_back({address, "", api::AddressFamily::IPv4});
      }
      grown.putSeen(Pod(pod));
      grown.putSeen(InterfaceSet(set));
    }
    const auto before = grown.writes();
    grown.settle();
    const auto& groups = grown.world.policyGroups();
    const auto members = static_cast<std::size_t>(pods) * 300 * 16;
    EXPECT_EQ(members > api::kMaxPolicyMembers, groups.excess({"default", "broad"}).has_value());
    EXPECT_LE(groups.kept(), api::kMaxPolicyMembers);
    EXPECT_LT(grown.writes() - before, 2'000U);
  }
}

TEST(Growth, ASettledClusterAsksNobody) {
  Grown grown(10, 10, 100);
  EXPECT_EQ(grown.costOf([](Grown& cluster) { cluster.pass(std::chrono::hours(1)); }),
            Grown::Cost{});
}

TEST(Growth, WhatIsKeptIsWhatIsSeenAnew) {
  Grown grown(5, 10, 50);
  const auto before = grown.get<api::PodNetwork>("n1").status;
  EXPECT_EQ(before.attachedPods, 10);
  EXPECT_EQ(before.nodes, (api::NodeCounts{0, 0})) << "nobody reports it";
  EXPECT_TRUE(before.conditions.isTrue("Ready"));
  EXPECT_TRUE(
      grown.get<api::PodNetworkAttachment>("a1", "default").status.conditions.isTrue("Ready"));
  Planner fresh(allReconcilers());
  grown.world.everything([&](const Change& one) { fresh.note(grown.world, {&one, 1}); });
  EXPECT_TRUE(fresh.plan(grown.world, grown.now).empty());
}

}  // namespace
}  // namespace multinet::controller
