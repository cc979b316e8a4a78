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

namespace multinet::controller {
namespace {

using policy::testing::Draw;
using testing::PolicyShop;

/// Peers as the slices carry them.
class SliceSource final : public policy::Source {
 public:
  explicit SliceSource(std::vector<api::PodNetworkPolicySlice> slices)
      : slices_(std::move(slices)) {}

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
    for (const auto& one : slices_) {
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
  /// Some of what is wished for is written; then the leader dies.
  void stumble() {
    const auto writes = look();
    for (const auto& write : writes) {
      if (draw_.oneIn(2)) apply(write);
    }
    elect();
  }

  void expectSlicesSayTheSame() {
    const auto all = slices();
    std::vector<api::PodNetworkPolicy> told;
    for (const auto& slice : all) {
      if (!slice.head) continue;
      expectComplete(slice, all);
      if (!slice.head->spec) continue;
      auto& one = told.emplace_back();
      one.metadata.nameSpace = slice.metadata.nameSpace;
      one.metadata.name = slice.policyName;
      one.metadata.uid = slice.policyUID;
      one.spec = *slice.head->spec;
    }
    ASSERT_EQ(told.size(), world_.policies.size());
    std::vector<policy::Subject> subjects;
    for (const auto& pod : world_.pods) {
      if (pod.on("blue") == nullptr) continue;
      auto& subject = subjects.emplace_back(policy::Subject{&pod});
      for (const auto& one : told) subject.policies.push_back(&one);
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

 private:
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

  void followPolicies() {
    std::map<k8s::ObjectKey, api::PodNetworkPolicy> wanted;
    for (const auto& one : world_.policies) wanted[keyOf(one)] = one;  // of one name the later
    std::erase_if(policies_, [&](const auto& one) {
      if (wanted.contains(one.first)) return false;
      remove<api::PodNetworkPolicy>(one.first.name, one.first.nameSpace);
      return true;
    });
    world_.policies.clear();
    for (auto& [key, one] : wanted) {
      const auto was = policies_.find(key);
      const bool isNew = was == policies_.end();
      one.metadata.uid = isNew ? "uid-" + std::to_string(++uids_) : was->second.metadata.uid;
      one.metadata.generation = isNew ? 1 : was->second.metadata.generation;
      if (!isNew && was->second.spec != one.spec) ++one.metadata.generation;
      if (isNew || was->second.spec != one.spec) put(one);
      policies_[key] = one;
      world_.policies.push_back(one);
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
    followPolicies();
  }

  Draw draw_;
  policy::World world_;
  policy::Network network_;
  std::map<policy::PodKey, policy::Pod> pods_;
  std::map<k8s::ObjectKey, api::PodNetworkPolicy> policies_;
  int uids_ = 0;
};

TEST(PolicyHistories, EndWithSlicesThatSayWhatTheEvaluatorSays) {
  constexpr std::uint32_t kHistories = 2'000;
  for (std::uint32_t seed = 1; seed <= kHistories; ++seed) {
    SCOPED_TRACE("history " + std::to_string(seed));
    History history(seed);
    const auto steps = 1 + history.draw().below(5);
    for (std::size_t i = 0; i < steps; ++i) {
      history.step();
      if (history.draw().oneIn(2)) history.stumble();
      if (history.draw().oneIn(3)) history.converge();
    }
    history.converge();
    history.expectSlicesSayTheSame();
    history.elect();
    for (const auto& write : history.look()) ADD_FAILURE() << "a new leader: " << write.item();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace multinet::controller
