// One pass over the whole cluster: a snapshot in, the differences to write out.
//
// Everything is looked at together because most verdicts span objects (who has a VNI, who uses a
// network). A pass over 10,000 pods takes milliseconds; passes are started by changes and spaced
// out, so an idle cluster costs none.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/attachment/status.h"
#include "controller/blocks/plan.h"
#include "controller/identifiers/plan.h"
#include "controller/peers/plan.h"
#include "controller/podnetwork/status.h"
#include "controller/sets/plan.h"

namespace multinet::controller {

/// A PodNetwork and its status as they stand.
struct NetworkState {
  Network network;
  NetworkStatusWish status;
  bool statusCurrent = false;                 // every condition was said of this generation
  std::vector<StandingCondition> conditions;  // those of others too
  /// The network that has this one's addresses, by the rules of lib/api; VNIs are judged here.
  std::optional<NetworkObservation::Rival> rival;
};

struct AttachmentState {
  Meta meta;
  std::string networkName;
  std::vector<std::string> violations;
  bool granted = false;
  AttachmentStatusWish status;
  bool statusCurrent = false;
  std::vector<StandingCondition> conditions;
};

/// All of it from caches that are synced; `BlockObservation::gone` from NodeMemory.
struct Snapshot {
  std::vector<NetworkState> networks;
  std::vector<AttachmentState> attachments;
  std::vector<Identifier> identifiers;
  std::vector<Pod> pods;
  std::vector<InterfaceSet> sets;
  std::vector<NodeReport> reports;
  std::vector<Block> blocks;
  std::vector<NodeObject> peers;
  std::vector<NodeObject> nodeSets;  // NodeNetworkSets
  std::map<std::string, NodeView> nodes;
  std::map<std::string, GoneNode> gone;
};

struct NetworkWrite {
  Meta meta;
  NetworkStatusWish status;
  std::vector<StandingCondition> before;  // keeps lastTransitionTime and others' conditions
};
struct AttachmentWrite {
  Meta meta;
  AttachmentStatusWish status;
  std::vector<StandingCondition> before;
};

/// The differences. Empty where the cluster is as it should be.
struct Writes {
  std::vector<IdentifierWish> createIdentifiers;
  std::vector<NetworkWrite> networks;
  std::vector<Meta> addFinalizer;
  std::vector<Meta> removeFinalizer;  // confirmed by a live list of sets
  std::vector<AttachmentWrite> attachments;
  std::vector<Deletion> removeIdentifiers;
  std::vector<Deletion> removeBlocks;
  std::vector<Deletion> removePeers;
  std::vector<Deletion> removeNodeSets;
  std::vector<InterfaceSet> suspectSets;  // confirmed by a live read of the pod
  std::optional<Duration> again;

  [[nodiscard]] bool empty() const;
};

/// Pure.
[[nodiscard]] Writes planPass(const Snapshot& snapshot, WallTime wall, BootTime now);

}  // namespace multinet::controller
