// What the API has of the objects that this node writes: for those who keep them as they shall be.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/api/network_peer.h"
#include "lib/api/node_network_set.h"
#include "lib/api/pod_interface_set.h"
#include "lib/k8s/core.h"

namespace multinet::agent::watch {

/// What a watch knows of one object: `known` false until its first list is there; then `object` is
/// null where the API has none.
template <class T>
struct Seen {
  bool known = false;
  std::shared_ptr<const T> object;
};

/// Reading never waits for the API server. Any thread. What is read may be a moment behind.
class OwnObjects {
 public:
  virtual ~OwnObjects() = default;
  /// Of this node alone: a set of that name that tells of another node isn't seen. Not known before
  /// the node has a pod that asks for networks.
  [[nodiscard]] virtual Seen<api::PodInterfaceSet> interfaceSet(const std::string& namespaceName,
                                                                const std::string& name) const = 0;
  /// A pod of this node.
  [[nodiscard]] virtual Seen<k8s::Pod> pod(const std::string& namespaceName,
                                           const std::string& name) const = 0;
  [[nodiscard]] virtual Seen<api::NodeNetworkSet> nodeSet() const = 0;
  [[nodiscard]] virtual Seen<k8s::Node> node() const = 0;
  /// One that this node has just made may be missing yet.
  [[nodiscard]] virtual Seen<api::NetworkPeer> ownPeer(const std::string& name) const = 0;
  /// Of this node's peers; none until they are known.
  [[nodiscard]] virtual std::vector<std::string> ownPeerNames() const = 0;
};

/// Told after each change, on the watches' threads; must not block. Any may be empty.
struct OwnChanged {
  /// A pod of this node, or its PodInterfaceSet: the pod's UID.
  std::function<void(const std::string& podUid)> pod{};
  /// The NodeNetworkSet, the Node, or one of the peers: that peer's name, else empty.
  std::function<void(const std::string& peer)> node{};
};

}  // namespace multinet::agent::watch
