// Who uses each network and attachment, and how nodes fare with it: kept as objects come and go, so
// that no decision counts them anew.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "controller/world/tables.h"

namespace multinet::controller {

/// A pod that has a network, or is about to.
struct Holder {
  bool attached = false;  ///< a set that fits it has an interface here
  bool running = false;
  bool operator==(const Holder&) const = default;
};

/// Of one network.
struct NetworkUse {
  std::map<k8s::ObjectKey, Holder> holders;
  int attachedPods = 0;
  // What nodes that exist say of it in their NodeNetworkSets.
  int nodesReady = 0;
  int nodesUnknown = 0;
  std::map<NodeName, std::string> failing;  ///< with the reason
};

/// How many pods have an interface by an attachment to a network.
struct AttachmentUse {
  k8s::ObjectKey attachment;
  NetworkName network;
  auto operator<=>(const AttachmentUse&) const = default;
};

/// Why `set` doesn't fit `pod` (null: there is no such pod); nothing where it fits. Takes whole
/// pods and projections alike.
[[nodiscard]] std::optional<std::string> misfit(const api::PodInterfaceSet& set,
                                                const k8s::Pod* pod);

/// Whose use has changed.
struct UseChanges {
  std::set<NetworkName> networks;
  std::set<k8s::ObjectKey> attachments;
};

/// One thread. Costs what changed: the pod's own networks, the node's own reports.
class Usage {
 public:
  /// Something about a pod is another: the pod, its sets, or what an attachment names that it asks
  /// for.
  void pod(const k8s::ObjectKey& key, const Tables& tables, UseChanges& changes);
  /// What a node says, or whether it exists, is another.
  void node(const NodeName& name, const Tables& tables, UseChanges& changes);

  /// Of a network that nobody uses: an empty one.
  [[nodiscard]] const NetworkUse& of(const NetworkName& network) const;
  [[nodiscard]] int attachedPods(const AttachmentUse& use) const;

 private:
  struct Part {
    std::map<NetworkName, Holder> networks;
    std::set<AttachmentUse> attachments;
    [[nodiscard]] bool empty() const { return networks.empty() && attachments.empty(); }
  };
  [[nodiscard]] static Part partOf(const k8s::ObjectKey& pod, const Tables& tables);
  /// False where nobody uses it any more: it is forgotten.
  void set(const NetworkName& network, const k8s::ObjectKey& pod, const Holder* holder);
  void prune(const NetworkName& network);

  std::unordered_map<NetworkName, NetworkUse> networks_;
  std::map<AttachmentUse, int> attachments_;
  std::unordered_map<k8s::ObjectKey, Part> parts_;  ///< by pod
  std::unordered_map<NodeName, std::shared_ptr<const NodeSet>> counted_;
};

}  // namespace multinet::controller
