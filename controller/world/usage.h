// Who uses each network and attachment, and how nodes fare with it: kept as objects come and go, so
// that no decision counts them anew.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controller/world/tables.h"
#include "lib/k8s/by_name.h"

namespace multinet::controller {

/// A pod that has a network, or is about to.
struct Holder {
  bool attached = false;  ///< a set that fits it has an interface here
  bool running = false;
  bool operator==(const Holder&) const = default;
};

/// Of one network.
struct NetworkUse {
  using PodKey = std::reference_wrapper<const k8s::ObjectKey>;
  std::map<PodKey, Holder, std::less<k8s::ObjectKey>> holders;
  std::map<std::string, int> spaces;  ///< how many of them, by namespace; none of none
  int attachedPods = 0;
  std::unordered_map<k8s::ObjectKey, int> attachedBy;  ///< pods with an interface, by attachment
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
  std::set<std::string> namespaces;  ///< of which a network got its first pod, or lost the last
  std::set<std::pair<std::string, NetworkName>> vacated;  ///< of these who lost it, and which
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
  /// A network that a pod holds, by one of the ways in which it came to it.
  struct Hold {
    NetworkName network;
    std::string attachment;  ///< empty: by none, or it has no interface yet
    Holder holder;           ///< the same whatever the way
    bool operator==(const Hold&) const = default;
  };
  using Holds = std::vector<Hold>;
  /// What a pod was counted for. Holders refer to the key.
  struct Part {
    k8s::ObjectKey key;
    mutable Holds holds;
  };
  [[nodiscard]] static Holds holdsOf(const k8s::ObjectKey& pod, const Tables& tables);
  void setAttachments(const k8s::ObjectKey& pod, const Holds& before, const Holds& now,
                      UseChanges& changes);
  void setNetworks(const k8s::ObjectKey& pod, const Holds& before, const Holds& now,
                   UseChanges& changes);
  void set(const NetworkName& network, const k8s::ObjectKey& pod, const Holder* holder,
           UseChanges& changes);
  /// Forgets what nobody uses any more.
  void prune(const NetworkName& network);

  std::unordered_map<NetworkName, NetworkUse> networks_;
  k8s::SetByName<Part> parts_;  ///< by pod
  std::unordered_map<NodeName, std::shared_ptr<const NodeSet>> counted_;
};

}  // namespace multinet::controller
