// IPBlocks that nobody can use any more.
//
// A block is freed late rather than early, since an address that two pods hold can't be repaired:
//   - its network (that UID) is gone, and its node is Ready, so that its agent has seen that; or
//   - its node is gone: the Node object is away, and either the node carried the taint
//     `node.kubernetes.io/out-of-service` when it went (an admin says: it is powered off), or it
//     has been away for longer than an agent may use a block without confirming it.
// The time away is counted by this process, from when it first saw the node missing; a new leader
// counts anew. Force-deleting the Node of a running machine without fencing is outside the promise.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/model/model.h"

namespace multinet::controller {

/// How long an agent may use a block that it couldn't confirm, plus a margin for clocks and calls.
inline constexpr Duration kReclaimAfter = std::chrono::minutes(65);

/// An IPBlock.
struct Block {
  Meta meta;
  std::string networkUid;
  std::string nodeName;
};

/// A node that exists.
struct NodeView {
  bool ready = false;
  bool outOfService = false;
};

/// A node that blocks name and that doesn't exist.
struct GoneNode {
  BootTime since;             // when this process first saw it missing
  bool outOfService = false;  // it carried the taint when last seen
};

struct BlockObservation {
  std::vector<Block> blocks;
  std::vector<std::string> networkUids;   // of all networks, those being deleted too
  std::map<std::string, NodeView> nodes;  // by name
  std::map<std::string, GoneNode> gone;   // by name
};

/// Follows which nodes went and since when. One owner, one thread.
class NodeMemory {
 public:
  /// Tells what exists now and which nodes are named by something. Returns those that are gone.
  const std::map<std::string, GoneNode>& update(const std::map<std::string, NodeView>& nodes,
                                                const std::vector<std::string>& named,
                                                BootTime now);

 private:
  std::map<std::string, bool> lastOutOfService_;
  std::map<std::string, GoneNode> gone_;
};

struct BlockPlan {
  std::vector<Deletion> remove;
  std::optional<Duration> again;  // when the next block becomes old enough
};

/// Pure. Each removal is confirmed by reading the Node and the PodNetwork again before it is done.
[[nodiscard]] BlockPlan planBlocks(const BlockObservation& observed, BootTime now);

}  // namespace multinet::controller
