// Whatever happens to a cluster, in whatever order, and whichever leader dies half-way: what nodes
// can tell from the slices alone is what the evaluator says of the cluster.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "controller/policies/test_shop.h"
#include "lib/api/spelling.h"
#include "lib/policy/program.h"
#include "lib/policy/source.h"
#include "lib/policy/test_worlds.h"
#include "lib/policy/tiers.h"

namespace multinet::controller {
namespace {

using policy::testing::Draw;
using testing::PolicyShop;

/// Peers as the slices carry them. Those of a policy of the cluster are told in several namespaces,
/// everywhere the same: here they are read in one.
class SliceSource final : public policy::Source {
 public:
  explicit SliceSource(std::vector<api::PodNetworkPolicySlice> slices)
      : slices_(std::move(slices)) {
    for (const auto& one : slices_) {
      if (!one.clusterPolicyName.empty() && one.head) {
        read_.try_emplace(one.policyUID, one.metadata.nameSpace);
      }
    }
  }

  const policy::Named& podsOf(const api::PodNetworkPolicy& policy,
                              const api::PolicyPeer& peer) override {
    return know(policy.metadata.uid,
                policy::peerHash({policy.metadata.nameSpace, peer, std::nullopt}), 0);
  }
  ByPort withPort(const api::PodNetworkPolicy& policy, const api::PolicyPeer* peer,
                  const api::PolicyPort& port) override {
    const auto hash = policy::peerHash({policy.metadata.nameSpace,
                                        peer == nullptr ? std::nullopt : std::optional(*peer),
                                        policy::PeerPort{port.port->name, port.protocol}});
    std::set<std::int32_t> numbers;
    for (const auto* one : carrying(policy.metadata.uid, hash)) {
      for (const auto& entry : one->members->entries) numbers.insert(entry.port.value());
    }
    ByPort out;
    for (const auto number : numbers) {
      out.emplace_back(static_cast<std::uint16_t>(number),
                       &know(policy.metadata.uid, hash, number));
    }
    return out;
  }
  const policy::Named& podsIn(const std::string& nameSpace) override {
    return know("uid-blue", policy::peerHash(policy::sameNamespace(nameSpace)), 0);
  }

 private:
  std::vector<const api::PodNetworkPolicySlice*> carrying(const std::string& uid,
                                                          const std::string& hash) const {
    std::vector<const api::PodNetworkPolicySlice*> out;
    const auto read = read_.find(uid);
    for (const auto& one : slices_) {
      if (read != read_.end() && one.metadata.nameSpace != read->second) continue;
      if (one.policyUID == uid && one.members && one.members->podNetworkName == "blue" &&
          one.members->peer == hash) {
        out.push_back(&one);
      }
    }
    return out;
  }
  const policy::Named& know(const std::string& uid, const std::string& hash, std::int32_t port) {
    auto& known = known_[uid + " " + hash + " " + std::to_string(port)];
    if (known != nullptr) return *known;
    known = std::make_unique<policy::Named>();
    known->key = uid + " " + hash + " " + std::to_string(port);
    for (const auto* one : carrying(uid, hash)) {
      for (const auto& entry : one->members->entries) {
        if (entry.port.value_or(0) != port) continue;
        ++known->members[*IpAddress::parse(entry.address)];
      }
    }
    return *known;
  }

  const std::vector<api::PodNetworkPolicySlice> slices_;
  std::map<std::string, std::string> read_;  ///< by the policy's UID
  std::map<std::string, std::unique_ptr<policy::Named>> known_;
};

/// A cluster that is made to be as a world is.
class History : public PolicyShop {
 public:
  explicit History(std::uint32_t seed) : draw_(seed) {
    put(api::testing::otherNetwork("red", 30));
    world_ = draw_.world();
    network_ = draw_.network();
    follow();
  }

  Draw& draw() { return draw_; }
  void step() {
    draw_.change(world_);
    if (draw_.oneIn(8)) network_ = draw_.network();
    follow();
  }
  /// Some of what is wished for is written, some of it late, while pods go and come back; then the
  /// leader dies.
  void stumble() {
    const auto turns = 1 + draw_.below(6);
    std::vector<PlannedWrite> underWay;
    for (std::size_t turn = 0; turn < turns; ++turn) {
      if (draw_.oneIn(3)) flip();
      if (draw_.oneIn(2)) pass(kVacancyKept);
      std::ranges::move(begin(), std::back_inserter(underWay));
      std::erase_if(underWay, [&](const PlannedWrite& one) {
        if (draw_.oneIn(3)) return false;
        if (end(one)) expectPromisesKept(one.write);
        return true;
      });
    }
    if (!aside_.empty()) flip();
    elect();
  }

  /// Till nothing is kept for pods that may come again, and no set is left of one that is gone.
  void settle() {
    converge();
    std::vector<k8s::ObjectKey> left;
    for (const auto& one : world.of<InterfaceSet>().all()) {
      const k8s::ObjectKey pod{one->metadata.nameSpace, one->pod.name};
      if (world.find<Pod>(pod) == nullptr) left.push_back(keyOf(*one));
    }
    for (const auto& key : left) remove<api::PodInterfaceSet>(key.name, key.nameSpace);
    pass(kVacancyKept);
    elect();
    converge();
  }

  void expectSlicesSayTheSame() {
    const auto all = slices();
    std::vector<api::PodNetworkPolicy> told;
    std::map<std::string, std::vector<policy::ClusterRules>> cluster;  // by namespace
    for (const auto& slice : all) {
      if (!slice.head) continue;
      expectComplete(slice, all);
      if (slice.head->clusterSpec) {
        cluster[slice.metadata.nameSpace].push_back(rulesIn(slice));
      } else if (slice.head->spec) {
        told.push_back(policyIn(slice));
      }
    }
    ASSERT_EQ(told.size(), world_.policies.size());
    std::vector<policy::Subject> subjects;
    for (const auto& pod : world_.pods) {
      if (pod.on("blue") == nullptr) continue;
      expectLedger(pod.key.nameSpace);
      auto& subject = subjects.emplace_back(policy::Subject{&pod});
      for (const auto& one : told) subject.policies.push_back(&one);
      for (const auto& one : cluster[pod.key.nameSpace]) subject.cluster.push_back(&one);
    }
    SliceSource source(all);
    policy::Numbers numbers;
    const auto program = policy::compile(subjects, network_, source, numbers).program;
    for (int i = 0; i < 20; ++i) {
      const auto packet = draw_.packet();
      const auto* from = world_.podAt("blue", packet.source);
      const auto* to = world_.podAt("blue", packet.destination);
      ASSERT_EQ(policy::allows(program, packet, from == nullptr ? nullptr : &from->key,
                               to == nullptr ? nullptr : &to->key),
                policy::evaluate(world_, network_, packet).allowed())
          << packet.source.str() << " to " << packet.destination.str() << " " << packet.port;
    }
  }

  /// What a ledger names stands where it is selected, also after this write.
  void expectPromisesKept(const Write& write) {
    const auto& space = write.key.nameSpace;
    const auto* slice = world.find<PolicySlice>(k8s::ObjectKey{space, api::kPolicyLedgerName});
    const auto* known = world.find<Namespace>(space);
    if (write.kind.plural != api::kPodNetworkPolicySliceKind.plural || slice == nullptr ||
        known == nullptr || !slice->ledger) {
      return;
    }
    const bool isWritten = write.key.name == api::kPolicyLedgerName && write.verb != Verb::Delete;
    for (const auto& entry : slice->ledger->clusterPolicies) {
      const auto* policy = world.find<ClusterPolicy>(entry.name);
      if (policy == nullptr || policy->metadata.uid != entry.uid ||
          !policy::selectsNamespace(policy->spec.subject, &*known->metadata.labels)) {
        continue;
      }
      const auto& stand =
          world.of<PolicySlice>().by<ByPolicy>(ByPolicy::ofCluster(space, entry.name));
      const auto* head = [&]() -> const PolicySlice* {
        for (const auto* one : stand) {
          if (one->head && one->policyUID == entry.uid) return one;
        }
        return nullptr;
      }();
      if (isWritten) {
        ASSERT_NE(head, nullptr) << write.item() << " names " << entry.name;
        // One that goes says what it said.
        EXPECT_TRUE(head->head->policyGeneration == 0 ||
                    head->head->policyGeneration >= entry.generation);
        ++promises_;
      } else if (write.verb == Verb::Delete) {
        EXPECT_TRUE(head != nullptr || !write.key.name.starts_with("cluster-" + entry.name + "-"))
            << write.item() << ", which is promised";
      }
    }
  }
  [[nodiscard]] int promises() const { return promises_; }

 private:
  static api::PodNetworkPolicy policyIn(const api::PodNetworkPolicySlice& head) {
    api::PodNetworkPolicy out;
    out.metadata.nameSpace = head.metadata.nameSpace;
    out.metadata.name = head.policyName;
    out.metadata.uid = head.policyUID;
    out.spec = *head.head->spec;
    return out;
  }
  static policy::ClusterRules rulesIn(const api::PodNetworkPolicySlice& head) {
    api::ClusterPodNetworkPolicy out;
    out.metadata.name = head.clusterPolicyName;
    out.metadata.uid = head.policyUID;
    out.spec = *head.head->clusterSpec;
    return policy::rulesOf(out);
  }

  /// It names all that are about networks of the namespace's pods.
  void expectLedger(const std::string& space) {
    if (!world_.namespaces.contains(space)) return;
    const auto told = ledger(space).value_or(std::vector<std::string>());
    for (const auto& one : world_.clusterPolicies) {
      const auto& metadata = one.metadata;
      const bool isVacant =
          policy::selectsNamespace(one.spec.subject, &world_.namespaces.at(space)) &&
          !world.hasPodsOn(space, one.spec.podNetworkNames);
      EXPECT_EQ(std::ranges::count(told, metadata.name + "@" + metadata.uid + ":" +
                                             std::to_string(metadata.generation)),
                isVacant || told.empty() ? 0 : 1)
          << space;
      EXPECT_FALSE(told.empty() && world.hasPodsOn(space, one.spec.podNetworkNames)) << space;
    }
  }

  static void expectComplete(const api::PodNetworkPolicySlice& head,
                             const std::vector<api::PodNetworkPolicySlice>& all) {
    std::size_t carrying = 0;
    for (const auto& peer : head.head->peers) {
      std::int32_t slices = 0;
      std::int32_t members = 0;
      for (const auto& one : all) {
        if (one.policyUID != head.policyUID || !one.members ||
            one.metadata.nameSpace != head.metadata.nameSpace ||
            one.members->podNetworkName != peer.podNetworkName || one.members->peer != peer.peer) {
          continue;
        }
        ++slices;
        members += static_cast<std::int32_t>(one.members->entries.size());
      }
      carrying += static_cast<std::size_t>(slices);
      EXPECT_EQ(peer.slices, slices);
      EXPECT_EQ(peer.members, members);
    }
    const auto ofIt = std::ranges::count_if(all, [&](const auto& one) {
      return one.policyUID == head.policyUID && one.members &&
             one.metadata.nameSpace == head.metadata.nameSpace;
    });
    EXPECT_EQ(carrying, static_cast<std::size_t>(ofIt)) << "slices that no head counts";
  }

  static k8s::Pod asPod(const policy::Pod& pod) {
    auto made = testing::podOf(pod.key.name, "blue");
    made.metadata.nameSpace = pod.key.nameSpace;
    made.metadata.uid = "uid-" + pod.key.str();
    made.metadata.labels = pod.labels;
    auto& container = made.spec.containers.emplace_back();
    for (const auto& port : pod.ports) {
      container.ports.push_back({port.name, port.number, std::string(k8s::spell(port.protocol))});
    }
    return made;
  }
  static api::PodInterfaceSet asSet(const policy::Pod& pod) {
    std::vector<std::string> addresses;
    for (const auto& one : pod.interfaces[0].addresses) addresses.push_back(one.str());
    return setOf(asPod(pod), addresses, pod.interfaces[0].network);
  }

  /// The pods of a namespace go, or come back.
  void flip() {
    if (world_.pods.empty() && aside_.empty()) return;
    auto back = std::exchange(aside_, {});
    if (back.empty()) {
      const auto space = world_.pods.at(draw_.below(world_.pods.size())).key.nameSpace;
      for (const auto& pod : world_.pods) {
        if (pod.key.nameSpace == space) aside_.push_back(pod);
      }
      std::erase_if(world_.pods, [&](const auto& pod) { return pod.key.nameSpace == space; });
    }
    std::ranges::move(back, std::back_inserter(world_.pods));
    followPods();
  }

  void followPods() {
    std::map<policy::PodKey, const policy::Pod*> wanted;
    for (const auto& pod : world_.pods) wanted[pod.key] = &pod;
    for (const auto& [key, was] : pods_) {
      if (wanted.contains(key)) continue;
      remove<k8s::Pod>(key.name, key.nameSpace);
      if (draw_.oneIn(2)) remove<api::PodInterfaceSet>(key.name + "-set", key.nameSpace);
    }
    for (const auto& [key, pod] : wanted) {
      const auto was = pods_.find(key);
      if (was != pods_.end() && was->second == *pod) continue;
      const bool setFirst = draw_.oneIn(2);
      if (setFirst) put(asSet(*pod));
      put(asPod(*pod));
      if (!setFirst) put(asSet(*pod));
    }
    pods_.clear();
    for (const auto& pod : world_.pods) pods_[pod.key] = pod;
  }

  /// Of one name the later. With its UID and generation, as `kept` has them.
  template <class P>
  void followKind(std::vector<P>& drawn, std::map<k8s::ObjectKey, P>& kept) {
    std::map<k8s::ObjectKey, P> wanted;
    for (const auto& one : drawn) wanted[keyOf(one)] = one;
    std::erase_if(kept, [&](const auto& one) {
      if (wanted.contains(one.first)) return false;
      remove<P>(one.first.name, one.first.nameSpace);
      return true;
    });
    drawn.clear();
    for (auto& [key, one] : wanted) {
      const auto was = kept.find(key);
      const bool isNew = was == kept.end();
      one.metadata.uid = isNew ? "uid-" + std::to_string(++uids_) : was->second.metadata.uid;
      one.metadata.generation = isNew ? 1 : was->second.metadata.generation;
      if (!isNew && was->second.spec != one.spec) ++one.metadata.generation;
      if (isNew || was->second.spec != one.spec) put(one);
      kept[key] = one;
      drawn.push_back(one);
    }
  }

  void follow() {
    for (const auto& [name, labels] : world_.namespaces) {
      k8s::Namespace space;
      space.metadata.name = name;
      space.metadata.labels = labels;
      put(space);
    }
    auto blue = api::testing::goodNetwork("blue");
    blue.metadata.generation = static_cast<std::int64_t>(network_.defaultPolicy) + 1;
    blue.spec.defaultPolicy = network_.defaultPolicy;
    put(blue);
    followPods();
    followKind(world_.policies, policies_);
    followKind(world_.clusterPolicies, clusterPolicies_);
  }

  Draw draw_;
  policy::World world_;
  policy::Network network_;
  std::vector<policy::Pod> aside_;
  std::map<policy::PodKey, policy::Pod> pods_;
  std::map<k8s::ObjectKey, api::PodNetworkPolicy> policies_;
  std::map<k8s::ObjectKey, api::ClusterPodNetworkPolicy> clusterPolicies_;
  int uids_ = 0;
  int promises_ = 0;
};

TEST(PolicyHistories, EndWithSlicesThatSayWhatTheEvaluatorSays) {
  constexpr std::uint32_t kHistories = 1'200;
  int promises = 0;
  for (std::uint32_t seed = 1; seed <= kHistories; ++seed) {
    SCOPED_TRACE("history " + std::to_string(seed));
    History history(seed);
    const auto steps = 1 + history.draw().below(5);
    for (std::size_t i = 0; i < steps; ++i) {
      history.step();
      if (history.draw().oneIn(2)) history.stumble();
      if (history.draw().oneIn(3)) history.converge();
    }
    history.settle();
    history.expectSlicesSayTheSame();
    history.elect();
    for (const auto& write : history.look()) ADD_FAILURE() << "a new leader: " << write.item();
    if (::testing::Test::HasFailure()) return;
    promises += history.promises();
  }
  EXPECT_GT(promises, 500);
}

}  // namespace
}  // namespace multinet::controller
