// A cluster with one network, one service on it, and the reconciler of services alone; for tests.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/plan/cluster_fixture.h"
#include "controller/services/reconcile.h"

namespace multinet::controller::testing {

inline constexpr auto kReady = k8s::ConditionStatus::True;

/// Network blue, namespace default, the headless service web of its pods with app: web.
class Shop : public Cluster {
 public:
  Shop() {
    k8s::Namespace home;
    home.metadata.name = "default";
    put(home);
    put(api::testing::goodNetwork("blue"));
    put(api::testing::goodService("web", "blue"));
  }

  static k8s::Pod pod(const std::string& name, k8s::ConditionStatus ready = kReady) {
    auto made = podOf(name, "blue");
    made.metadata.labels = {{"app", "web"}};
    made.status.conditions.items = {{"Ready", ready, 0, std::nullopt, "", ""}};
    return made;
  }
  /// What its node says of it: both families, the last part of each address being `host`.
  static api::PodInterfaceSet setOf(const k8s::Pod& pod, int host,
                                    const std::string& networkUid = "uid-blue",
                                    k8s::ConditionStatus ready = kReady) {
    auto set = testing::setOf(pod, {"blue"});
    auto& interface = set.interfaces[0];
    interface.podNetworkUID = networkUid;
    const auto last = std::to_string(host);
    interface.ips = {{"10.20.0." + last + "/16", "", api::AddressFamily::IPv4},
                     {"fd00:20::" + last + "/64", "", api::AddressFamily::IPv6}};
    interface.conditions.items = {{"Ready", ready, 0, std::nullopt, "", ""}};
    return set;
  }
  void run(const std::string& name, int host, k8s::ConditionStatus ready = kReady) {
    put(pod(name, ready));
    put(setOf(pod(name, ready), host));
  }

  std::vector<Write> look() { return testing::wishes(planner_, world, now); }
  std::size_t converge() {
    std::size_t count = 0;
    for (int turn = 0; turn < 10; ++turn) {
      const auto writes = look();
      if (writes.empty()) return count;
      for (const auto& write : writes) apply(write);
      count += writes.size();
    }
    ADD_FAILURE() << "it doesn't converge";
    return count;
  }
  k8s::Condition condition(const std::string& type) const {
    const auto status = get<api::PodNetworkService>("web", "default").status;
    const auto* found = status.conditions.find(type);
    return found == nullptr ? k8s::Condition() : *found;
  }
  std::string reason(const std::string& type = "Ready") const { return condition(type).reason; }
  k8s::Service service() const { return get<k8s::Service>("web", "default"); }
  std::vector<k8s::EndpointSlice> slices() const {
    std::vector<k8s::EndpointSlice> found;
    for (const auto& one : world.of<Slice>().all()) {
      found.push_back(get<k8s::EndpointSlice>(one->metadata.name, "default"));
    }
    return found;
  }
  /// Address and whether it is ready, of all slices that name the service.
  std::map<std::string, bool> endpoints() const {
    std::map<std::string, bool> found;
    for (const auto& slice : world.of<Slice>().all()) {
      for (const auto& one : slice->endpoints) {
        EXPECT_TRUE(found.try_emplace(one.addresses.at(0), one.conditions.ready.value()).second);
      }
    }
    return found;
  }
  /// What a leader that knows nothing of what changed would write.
  std::vector<Write> wholly() const {
    return serviceReconciler().reconcile(world, {"default", "web"}, now).writes;
  }
  /// Address, zone and hints of each: `10.20.0.5 east for east, node-a`.
  std::set<std::string> hints() const {
    std::set<std::string> found;
    for (const auto& slice : world.of<Slice>().all()) {
      for (const auto& one : slice->endpoints) {
        std::string text = one.addresses.at(0) + " " + *one.zone + " for";
        for (const auto& zone : one.hints->forZones) text += " " + zone.name;
        for (const auto& node : one.hints->forNodes) text += ", " + node.name;
        found.insert(text);
      }
    }
    return found;
  }
  void node(const std::string& name, const std::string& zone) {
    auto made = testing::nodeOf(name);
    if (!zone.empty()) made.metadata.labels = {{"topology.kubernetes.io/zone", zone}};
    put(made);
  }
  std::uint64_t asked() const { return planner_.reconciled().at(0).second; }

 private:
  Planner planner_{{serviceReconciler()}};
};

}  // namespace multinet::controller::testing
