// IPBlocks that nobody can use any more.
//
// A block is freed late rather than early, since an address that two pods hold can't be repaired:
//   - its network (that UID) is gone, its node is Ready, so that its agent has seen that, and no
//     pod there has an interface on it, as PodInterfaceSets tell; or
//   - its node is gone: the Node object is away, and either the node carried the taint
//     `node.kubernetes.io/out-of-service` when it went (an admin says: it is powered off), or it
//     has been away for longer than an agent may use a block without confirming it; or
//   - its node has more blocks of the network than one may lease (ipam::mostBlocks). No agent goes
//     there, so it was leased by somebody with the node's credentials: the youngest go.
// The time away is counted by this process, from when it first saw the node missing; a new leader
// counts anew. Force-deleting the Node of a running machine without fencing is outside the promise.
// What went is read from the API server again before a block is removed.
#pragma once

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// How long an agent may use a block that it couldn't confirm, plus a margin for clocks and calls.
inline constexpr Duration kReclaimAfter = std::chrono::minutes(65);

/// By IPBlock.
[[nodiscard]] Reconciler blockReconciler();

}  // namespace multinet::controller
