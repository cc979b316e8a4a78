// NetworkPeers and NodeNetworkSets whose node or network is gone: a tunnel that floods to a node
// that left wastes traffic, and a report of a node that left is no report. What went is read from
// the API server again before anything is removed.
#pragma once

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// A kubelet that registers anew deletes and creates its Node: that isn't a node leaving.
inline constexpr Duration kNodeSettle = std::chrono::minutes(1);

/// By NetworkPeer.
[[nodiscard]] Reconciler peerReconciler();
/// By NodeNetworkSet.
[[nodiscard]] Reconciler nodeSetReconciler();

}  // namespace multinet::controller
