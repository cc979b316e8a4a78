// Caches that hold what a test puts into them.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "lib/api/fake_catalog.h"
#include "lib/async/fake_hang.h"
#include "nodeagent/watch/caches.h"

namespace multinet::agent::watch {

/// A Macvlan network that all may use.
inline api::PodNetwork readyNetwork(const std::string& name, const std::string& cidr) {
  api::PodNetwork network;
  network.metadata.name = name;
  network.metadata.uid = "uid-" + name;
  network.metadata.generation = 1;
  network.spec.type = api::NetworkType::Macvlan;
  network.spec.macvlan = api::MacvlanSpec{"eth1", api::MacvlanMode::Bridge};
  api::Subnet subnet;
  subnet.cidr = cidr;
  subnet.blockSize = 24;
  network.spec.ipam.subnets = {subnet};
  network.spec.access.namespaces.from = api::AccessFrom::All;
  network.status.conditions.set({"Ready", k8s::ConditionStatus::True, 1, {}, "Ready", ""},
                                WallTime{});
  return network;
}

class FakeCaches : public Caches {
 public:
  api::FakeCatalog content;
  std::vector<std::shared_ptr<const k8s::Pod>> podList;
  std::map<std::string, Peers> peerLists;  ///< by network; of others nothing is known
  std::set<std::string> followed;          ///< networks whose peers are to be
  std::map<std::string, std::vector<Service>> serviceLists;  ///< likewise
  std::optional<std::set<std::string>> servicesFor;
  std::optional<std::vector<std::shared_ptr<const k8s::Service>>> everyService =
      std::vector<std::shared_ptr<const k8s::Service>>();
  std::optional<std::string> zoneOfNode = "";
  Result<std::vector<IpPrefix>> services = std::vector<IpPrefix>();
  std::optional<Error> error;             ///< of synced()
  std::optional<Error> namespaceError;    ///< of needNamespace()
  std::function<void()> onNeed;           ///< called by needNamespace()
  std::optional<Error> attachmentsError;  ///< of needAttachments()
  std::vector<std::string> attachmentsNeeded;
  std::map<std::string, PolicySlices> policyLists;  ///< by namespace; of others nothing is known
  std::vector<std::string> policiesNeeded;
  Result<ClusterPolicies> clusterPolicyList = ClusterPolicies();
  Heard heardAgo{Duration{}, Duration{}};
  async::FakeHang api;  ///< of its answers

  [[nodiscard]] Status synced() const override {
    if (error.has_value()) return fail(*error);
    return {};
  }
  [[nodiscard]] const api::Catalog& catalog() const override { return content; }
  [[nodiscard]] std::vector<std::shared_ptr<const k8s::Pod>> pods() const override {
    return podList;
  }
  [[nodiscard]] std::vector<std::shared_ptr<const api::PodNetwork>> networks() const override {
    std::vector<std::shared_ptr<const api::PodNetwork>> all;
    for (const auto& [name, network] : content.networks) {
      all.push_back(std::make_shared<const api::PodNetwork>(network));
    }
    return all;
  }
  void followPeers(std::set<std::string> networks) override { followed = std::move(networks); }
  [[nodiscard]] std::optional<Peers> peersOf(const std::string& network) const override {
    const auto found = peerLists.find(network);
    return found == peerLists.end() ? std::nullopt : std::optional<Peers>(found->second);
  }
  [[nodiscard]] std::optional<std::string> zone() const override { return zoneOfNode; }
  [[nodiscard]] std::optional<std::vector<std::shared_ptr<const k8s::Service>>> allServices()
      const override {
    return everyService;
  }
  void followServices(std::set<std::string> networks) override {
    servicesFor = std::move(networks);
  }
  [[nodiscard]] std::optional<std::set<std::string>> servicesFollowed() const override {
    return servicesFor;
  }
  [[nodiscard]] std::optional<std::vector<Service>> servicesOf(
      const std::string& network) const override {
    const auto found = serviceLists.find(network);
    if (found == serviceLists.end()) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] std::optional<Service> serviceOf(const std::string& network,
                                                 const std::string& namespaceName,
                                                 const std::string& name) const override {
    const auto all = servicesOf(network);
    if (!all) return std::nullopt;
    for (const Service& one : *all) {
      const auto& metadata = one.service->metadata;
      if (metadata.nameSpace == namespaceName && metadata.name == name) return one;
    }
    return Service{};
  }
  [[nodiscard]] Result<std::vector<IpPrefix>> servicePrefixes() const override { return services; }
  void needNamespace(const std::string& /*name*/, std::function<void(Status)> done) override {
    if (onNeed) onNeed();
    api.pass([this, done = std::move(done)] {
      if (namespaceError.has_value()) return done(fail(*namespaceError));
      done({});
    });
  }
  [[nodiscard]] Status needAttachments(const std::string& namespaceName) override {
    attachmentsNeeded.push_back(namespaceName);
    if (attachmentsError.has_value()) return fail(*attachmentsError);
    return {};
  }
  [[nodiscard]] std::optional<PolicySlices> policiesOf(
      const std::string& namespaceName) const override {
    const auto found = policyLists.find(namespaceName);
    return found == policyLists.end() ? std::nullopt : std::optional<PolicySlices>(found->second);
  }
  [[nodiscard]] Status needPolicies(const std::string& namespaceName) override {
    policiesNeeded.push_back(namespaceName);
    if (policyLists.contains(namespaceName)) return {};
    return fail(Code::Unavailable, "CachesNotReady", "read policies: not answered yet");
  }
  [[nodiscard]] Result<ClusterPolicies> clusterPolicies() const override {
    return clusterPolicyList;
  }
  [[nodiscard]] Heard heard() const override { return heardAgo; }
};

}  // namespace multinet::agent::watch
