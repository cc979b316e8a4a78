// What policies are judged by: pods with their interfaces, namespaces, policies. Values; whoever
// keeps caches makes one of them.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/api/cluster_pod_network_policy.h"
#include "lib/api/pod_interface_set.h"
#include "lib/api/pod_network_policy.h"
#include "lib/base/ip.h"
#include "lib/k8s/core.h"

namespace multinet::policy {

struct PodKey {
  std::string nameSpace;
  std::string name;
  bool operator==(const PodKey&) const = default;
  /// By name first, which is another more often.
  std::strong_ordering operator<=>(const PodKey& other) const {
    const auto byName = name <=> other.name;
    return byName != std::strong_ordering::equal ? byName : nameSpace <=> other.nameSpace;
  }

  /// `shop/web-0`
  [[nodiscard]] std::string str() const { return nameSpace + "/" + name; }
};

/// A port of a container that has a name.
struct NamedPort {
  std::string name;
  api::Protocol protocol = api::Protocol::TCP;
  std::int32_t number = 0;
  bool operator==(const NamedPort&) const = default;
};

struct Interface {
  std::string network;
  std::vector<IpAddress> addresses;  ///< of its families; none on a network without subnets
  bool operator==(const Interface&) const = default;
};

struct Pod {
  PodKey key;
  k8s::StringMap labels;
  std::vector<NamedPort> ports;
  std::vector<Interface> interfaces;  ///< at most one a network
  bool operator==(const Pod&) const = default;

  /// Null where it has none there.
  [[nodiscard]] const Interface* on(std::string_view network) const;
  /// The number that a name has; the first where several containers name one so.
  [[nodiscard]] std::optional<std::int32_t> portNamed(std::string_view name,
                                                      api::Protocol protocol) const;
};

struct World {
  /// Those that pass api::validate(). Of others, what can't be read allows nothing.
  std::vector<api::PodNetworkPolicy> policies;
  /// That may send and receive: see podOf(). On one network no two have the same address.
  std::vector<Pod> pods;
  /// Labels by name. One that isn't here is matched by no namespaceSelector.
  std::map<std::string, k8s::StringMap, std::less<>> namespaces;
  /// Likewise; in any order. No two have one name.
  std::vector<api::ClusterPodNetworkPolicy> clusterPolicies{};

  /// Null where there is none.
  [[nodiscard]] const Pod* find(const PodKey& key) const;
  /// Whose interface on the network has the address; null: a host that is no pod.
  [[nodiscard]] const Pod* podAt(std::string_view network, const IpAddress& address) const;
};

/// A network with what holds there for a direction that no policy selects.
struct Network {
  std::string name;
  api::DefaultPolicy defaultPolicy = api::DefaultPolicy::Allow;
  bool operator==(const Network&) const = default;
};

/// The number that a pod's port has which a policy names; the first where several containers name
/// one so.
[[nodiscard]] std::optional<std::int32_t> portNamed(const k8s::Pod& pod, std::string_view name,
                                                    api::Protocol protocol);

/// A pod as policies know it, its addresses from its set. Nothing of one that has finished
/// (Succeeded, Failed), since its address may be another's by now, or of another pod's set.
/// A pod that is being deleted counts until it is gone.
[[nodiscard]] std::optional<Pod> podOf(const k8s::Pod& pod, const api::PodInterfaceSet& set);

}  // namespace multinet::policy
