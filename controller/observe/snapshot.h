// Makes a pass's snapshot out of what the informers hold.
#pragma once

#include <memory>
#include <vector>

#include "controller/observe/kinds.h"

namespace multinet::controller {

template <class T>
using Seen = std::vector<std::shared_ptr<const T>>;

/// The content of all caches at one time. They may be of slightly different revisions: whatever a
/// pass would delete is confirmed before it goes.
struct Observed {
  Seen<SeenNetwork> networks;
  Seen<SeenAttachment> attachments;
  Seen<Identifier> identifiers;
  Seen<SeenPod> pods;
  Seen<InterfaceSet> sets;
  Seen<SeenNodeSet> nodeSets;
  Seen<SeenPeer> peers;
  Seen<Block> blocks;
  Seen<SeenNode> nodes;
  Seen<SeenNamespace> namespaces;
};

/// `memory` follows the nodes that went.
[[nodiscard]] Snapshot makeSnapshot(const Observed& observed, NodeMemory& memory, BootTime now);

}  // namespace multinet::controller
