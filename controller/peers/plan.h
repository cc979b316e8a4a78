// NetworkPeers and NodeNetworkSets whose node or network is gone: a tunnel that floods to a node
// that left wastes traffic, and a report of a node that left is no report.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/model/model.h"

namespace multinet::controller {

/// A kubelet that registers anew deletes and creates its Node: that isn't a node leaving.
inline constexpr Duration kNodeSettle = std::chrono::minutes(1);

/// A NetworkPeer, or with an empty networkUid a NodeNetworkSet.
struct NodeObject {
  Meta meta;
  std::string nodeName;
  std::string networkUid;
};

struct NodeObjectPlan {
  std::vector<Deletion> remove;
  std::optional<Duration> again;
};

/// Pure. `gone` holds the nodes that don't exist and since when; each removal is confirmed by
/// reading the Node or the PodNetwork again before it is done.
[[nodiscard]] NodeObjectPlan planNodeObjects(const std::vector<NodeObject>& objects,
                                             const std::vector<std::string>& networkUids,
                                             const std::map<std::string, BootTime>& gone,
                                             BootTime now);

}  // namespace multinet::controller
