// A cluster with one network and the reconcilers of policies alone; for tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/plan/cluster_fixture.h"
#include "controller/policies/cluster.h"
#include "controller/policies/reconcile.h"

namespace multinet::controller::testing {

/// Network blue, namespaces default and other.
class PolicyShop : public Cluster {
 public:
  PolicyShop() {
    for (const char* name : {"default", "other"}) {
      k8s::Namespace space;
      space.metadata.name = name;
      space.metadata.labels = {{"team", name}};
      put(space);
    }
    put(api::testing::goodNetwork("blue"));
  }

  static k8s::Pod pod(const std::string& name, const std::string& app,
                      const std::string& nameSpace = "default") {
    auto made = podOf(name, "blue");
    made.metadata.nameSpace = nameSpace;
    made.metadata.uid = "uid-" + nameSpace + name;
    made.metadata.labels = {{"app", app}};
    if (app == "db") made.spec.containers = {{{{"pg", 5432, "TCP"}}, ""}};
    return made;
  }
  static api::PodInterfaceSet setOf(const k8s::Pod& pod, const std::vector<std::string>& addresses,
                                    const std::string& network = "blue") {
    auto set = testing::setOf(pod, {network});
    set.interfaces[0].podNetworkUID = "uid-" + network;
    for (const auto& address : addresses) {
      const bool isV6 = address.find(':') != std::string::npos;
      set.interfaces[0].ips.push_back({address + (isV6 ? "/64" : "/16"), "",
                                       isV6 ? api::AddressFamily::IPv6 : api::AddressFamily::IPv4});
    }
    return set;
  }
  void run(const k8s::Pod& pod, const std::vector<std::string>& addresses) {
    put(pod);
    put(setOf(pod, addresses));
  }
  /// Its node says of the interface whether policies hold for it.
  void report(const k8s::Pod& pod, const std::string& address, bool enforced,
              const std::string& reason) {
    auto set = setOf(pod, {address});
    set.interfaces[0].policy = api::InterfacePolicy{enforced, api::PolicyPlace::Node, reason, ""};
    put(set);
  }
  void commit(const std::string& node, const std::string& revision) {
    api::NodeNetworkSet set;
    set.metadata.name = node;
    set.spec.nodeName = node;
    set.status.policyRevision = revision;
    put(set);
  }

  std::vector<Write> look() { return testing::wishes(*planner_, world, now); }
  /// What is wished for is under way until end(), and what it is of isn't looked at.
  std::vector<PlannedWrite> begin() {
    planner_->note(world, world.changes());
    return planner_->plan(world, now);
  }
  /// False where a precondition or a premise doesn't hold.
  bool end(const PlannedWrite& one) {
    const bool isDone = apply(one.write);
    planner_->ended(one.origin);
    if (!isDone) planner_->askAgain(one.origin, now.boot);
    return isDone;
  }
  std::size_t converge(const std::function<void()>& afterEach = [] {}) {
    std::size_t count = 0;
    for (int turn = 0; turn < 20; ++turn) {
      const auto writes = look();
      if (writes.empty()) return count;
      for (const auto& write : writes) {
        apply(write);
        afterEach();
      }
      count += writes.size();
      pass(std::chrono::seconds(2));
    }
    ADD_FAILURE() << "it doesn't converge";
    return count;
  }
  /// Likewise; the fewest heads of a namespace that stood after any of the writes.
  std::size_t fewestHeads(const std::string& nameSpace) {
    const auto heads = [&] {
      return static_cast<std::size_t>(std::ranges::count_if(slices(), [&](const auto& one) {
        return one.head && one.metadata.nameSpace == nameSpace;
      }));
    };
    std::size_t fewest = heads();
    converge([&] { fewest = std::min(fewest, heads()); });
    return fewest;
  }
  /// Another leader, who has read all there is.
  void elect() {
    planner_ = std::make_unique<Planner>(reconcilers());
    static_cast<void>(world.changes());
    world.everything([&](const Change& one) { planner_->note(world, {&one, 1}); });
  }

  std::vector<api::PodNetworkPolicySlice> slices() const {
    std::vector<api::PodNetworkPolicySlice> found;
    for (const auto& one : world.of<PolicySlice>().all()) {
      found.push_back(get<api::PodNetworkPolicySlice>(one->metadata.name, one->metadata.nameSpace));
    }
    return found;
  }
  std::optional<api::PolicyHead> head(const std::string& name,
                                      const std::string& nameSpace = "default") const {
    const auto* found = world.find<PolicySlice>({nameSpace, name});
    return found == nullptr ? std::nullopt : found->head;
  }
  /// Of all slices but heads, in order.
  std::vector<std::string> addresses() const {
    std::vector<std::string> found;
    for (const auto& slice : slices()) {
      if (!slice.members) continue;
      for (const auto& entry : slice.members->entries) found.push_back(entry.address);
    }
    std::ranges::sort(found);
    return found;
  }
  k8s::Condition condition(const std::string& type, const std::string& policy = "db") const {
    const auto status = get<api::PodNetworkPolicy>(policy, "default").status;
    const auto* found = status.conditions.find(type);
    return found == nullptr ? k8s::Condition() : *found;
  }
  std::string reason(const std::string& type) const { return condition(type).reason; }

  /// Of the cluster's.
  k8s::Condition clusterCondition(const std::string& type, const std::string& policy) const {
    const auto status = get<api::ClusterPodNetworkPolicy>(policy).status;
    const auto* found = status.conditions.find(type);
    return found == nullptr ? k8s::Condition() : *found;
  }
  /// What a namespace's ledger names, as `guard@uid-guard:1`; nothing where there is none.
  std::optional<std::vector<std::string>> ledger(const std::string& nameSpace) const {
    const auto* slice = world.find<PolicySlice>({nameSpace, api::kPolicyLedgerName});
    if (slice == nullptr || !slice->ledger) return std::nullopt;
    std::vector<std::string> out;
    for (const auto& one : slice->ledger->clusterPolicies) {
      out.push_back(one.name + "@" + one.uid + ":" + std::to_string(one.generation));
    }
    return out;
  }

 private:
  static std::vector<Reconciler> reconcilers() {
    return {policyReconciler(), policyDefaultReconciler(), clusterPolicySliceReconciler(),
            policyLedgerReconciler(), clusterPolicyReconciler()};
  }
  std::unique_ptr<Planner> planner_ = std::make_unique<Planner>(reconcilers());
};

}  // namespace multinet::controller::testing
