// What this node knows of the cluster: its pods, the networks, the peers of those that it serves,
// and of the namespaces of its pods their labels and attachments.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/api/catalog.h"
#include "lib/api/cluster_pod_network_policy.h"
#include "lib/api/network_peer.h"
#include "lib/api/pod_network_policy_slice.h"
#include "lib/base/clock.h"
#include "lib/base/ip.h"
#include "lib/k8s/core.h"

namespace multinet::agent::watch {

/// Reading never waits for the API server. Any thread.
class Caches {
 public:
  virtual ~Caches() = default;
  /// Whether all that it holds is known; Unavailable names what isn't yet, and why. Becoming true
  /// counts as a change.
  [[nodiscard]] virtual Status synced() const = 0;
  [[nodiscard]] virtual const api::Catalog& catalog() const = 0;
  /// This node's pods.
  [[nodiscard]] virtual std::vector<std::shared_ptr<const k8s::Pod>> pods() const = 0;
  [[nodiscard]] virtual std::vector<std::shared_ptr<const api::PodNetwork>> networks() const = 0;
  using Peers = std::vector<std::shared_ptr<const api::NetworkPeer>>;
  /// From now on the peers of these networks are followed, by name, and of no others. What becomes
  /// known counts as a change. Returns at once.
  virtual void followPeers(std::set<std::string> networks) = 0;
  /// All peers of a network that is followed, this node's too; nothing until they are known.
  [[nodiscard]] virtual std::optional<Peers> peersOf(const std::string& network) const = 0;
  /// A Service on a network, as its core Service and its slices say it.
  struct Service {
    std::shared_ptr<const k8s::Service> service;
    std::vector<std::shared_ptr<const k8s::EndpointSlice>> slices;
  };
  /// Every core Service on a network, whichever network; nothing until they are known. Adding or
  /// removing one, and changing its spec or labels, counts as a change.
  [[nodiscard]] virtual std::optional<std::vector<std::shared_ptr<const k8s::Service>>>
  allServices() const = 0;
  /// From now on the endpoints of services on these networks are followed, by name, and of no
  /// others. Returns at once.
  virtual void followServices(std::set<std::string> networks) = 0;
  /// Which are, once it was said.
  [[nodiscard]] virtual std::optional<std::set<std::string>> servicesFollowed() const = 0;
  /// All services on a network that is followed; nothing until they and their slices are known.
  [[nodiscard]] virtual std::optional<std::vector<Service>> servicesOf(
      const std::string& network) const = 0;
  /// One of them; its `service` is null where the API has none.
  [[nodiscard]] virtual std::optional<Service> serviceOf(const std::string& network,
                                                         const std::string& namespaceName,
                                                         const std::string& name) const = 0;
  /// The zone that this node is in, empty where it is in none; nothing until that is known.
  [[nodiscard]] virtual std::optional<std::string> zone() const = 0;
  /// The ranges of the Services' addresses. Unavailable until the API server has told them.
  [[nodiscard]] virtual Result<std::vector<IpPrefix>> servicePrefixes() const = 0;
  /// Fetches the labels of a namespace unless they are fresh; labels that are known are good
  /// enough while the API server is away. `done` may come on the caller's thread.
  virtual void needNamespace(const std::string& name, std::function<void(Status)> done) = 0;
  /// Whether a namespace's attachments are known, which the catalog has of no other. Unavailable
  /// says that they aren't yet: they are asked for. Never waits.
  [[nodiscard]] virtual Status needAttachments(const std::string& namespaceName) = 0;
  /// What nodes are told of the policies of a namespace that this node has pods of; nothing until
  /// all of it is known.
  using PolicySlices = std::vector<std::shared_ptr<const api::PodNetworkPolicySlice>>;
  [[nodiscard]] virtual std::optional<PolicySlices> policiesOf(
      const std::string& namespaceName) const = 0;
  /// Whether they are known; as needAttachments().
  [[nodiscard]] virtual Status needPolicies(const std::string& namespaceName) = 0;
  /// Of all policies of the cluster which there are, and of what networks; none where the API
  /// server doesn't know their kind. Unavailable until that is known, once this node has pods that
  /// ask for networks. Whom they select isn't found here: slices say it.
  using ClusterPolicies = std::vector<std::shared_ptr<const api::ClusterPodNetworkPolicy>>;
  [[nodiscard]] virtual Result<ClusterPolicies> clusterPolicies() const = 0;
  /// How long ago the API server last said something; nothing: not yet.
  struct Heard {
    std::optional<Duration> policies;  ///< of what nodes are told of policies
    std::optional<Duration> anything;  ///< of anything that is followed
  };
  [[nodiscard]] virtual Heard heard() const = 0;
};

}  // namespace multinet::agent::watch
