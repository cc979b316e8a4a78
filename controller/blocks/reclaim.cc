#include "controller/blocks/reclaim.h"

#include <algorithm>
#include <utility>

#include "lib/ipam/subnet.h"

namespace multinet::controller {
namespace {

bool isReady(const Node& node) {
  return node.status.conditions.isTrue("Ready");
}

/// Whether pods of its node are on the network still: somebody took its finalizer by force. A
/// network made again under its name would give their addresses to others.
bool isUsed(const World& world, const api::IPBlockSpec& spec) {
  const auto isHere = [&](const InterfaceSet* set) {
    return set->nodeName == spec.nodeName &&
           std::ranges::any_of(set->interfaces, [&](const api::PodInterface& interface) {
             return interface.podNetworkUID == spec.podNetworkUID;
           });
  };
  const auto& holders = world.use(NetworkName(spec.podNetworkName)).holders;
  return std::ranges::any_of(holders, [&](const auto& holder) {
    return std::ranges::any_of(world.of<InterfaceSet>().by<ByPod>(holder.first), isHere);
  });
}

bool isGone(const World& world, const std::string& networkUid) {
  return world.of<Network>().by<ByNetworkUid>(NetworkUid(networkUid)).empty();
}

/// Whether its node has as many older ones of that network and family as one may lease.
bool isBeyondShare(const World& world, const Block& block) {
  const auto prefix = IpPrefix::parse(block.spec.cidr);
  if (!prefix) return false;
  const std::size_t most = ipam::mostBlocks(prefix->family(), prefix->length());
  const auto& held = world.of<Block>().by<ByHolder>(ByHolder::of(block).front());
  if (held.size() <= most) return false;
  const auto age = [](const Block& one) {
    return std::pair(one.metadata.creationTimestamp.value_or(WallTime{}), one.metadata.name);
  };
  const auto older =
      std::ranges::count_if(held, [&](const Block* other) { return age(*other) < age(block); });
  return static_cast<std::size_t>(older) >= most;
}

Write removal(const Block& block, std::string why, Premise premise) {
  return deletionOf(api::kIPBlockKind, block.metadata, std::move(why), {std::move(premise)});
}

Outcome reconcile(const World& world, const k8s::ObjectKey& key, const Moment& now) {
  Outcome outcome;
  const auto* block = world.find<Block>(key);
  if (block == nullptr || block->metadata.deleting()) return outcome;
  const auto& spec = block->spec;
  if (spec.nodeName.empty()) return outcome;  // a claim's
  if (const auto* node = world.find<Node>(spec.nodeName)) {
    if (isReady(*node) && isGone(world, spec.podNetworkUID)) {
      if (isUsed(world, spec)) return outcome;
      outcome.writes.push_back(removal(*block, "its network is gone",
                                       networkIsGone(spec.podNetworkName, spec.podNetworkUID)));
    } else if (isBeyondShare(world, *block)) {
      outcome.writes.push_back(deletionOf(api::kIPBlockKind, block->metadata,
                                          "node \"" + spec.nodeName +
                                              "\" has more blocks of network \"" +
                                              spec.podNetworkName + "\" than a node may lease",
                                          {}));
    }
    return outcome;
  }
  const auto gone = world.gone(NodeName(spec.nodeName));
  if (!gone) return outcome;
  const auto node = "node \"" + spec.nodeName + "\" ";
  const Duration away = now.boot - gone->since;
  if (gone->outOfService) {
    outcome.writes.push_back(
        removal(*block, node + "is out of service", nodeIsGone(spec.nodeName)));
  } else if (away >= kReclaimAfter) {
    outcome.writes.push_back(removal(*block, node + "is gone for good", nodeIsGone(spec.nodeName)));
  } else {
    outcome.askAgain(kReclaimAfter - away);
  }
  return outcome;
}

void concerned(const World& world, const Change& change, Keys& keys) {
  const auto add = [&](const auto& blocks) {
    for (const auto* block : blocks) keys.push_back(keyOf(*block));
  };
  on(
      change, [&](const Changed<Block>& changed) { keys.push_back(changed.key()); },
      [&](const Changed<Node>& changed) {
        if (!changed.existence() && isReady(*changed.before) == isReady(*changed.now)) return;
        add(world.of<Block>().by<ByNode>(NodeName(changed.key().name)));
      },
      [&](const Changed<InterfaceSet>& changed) {
        if (changed.before == nullptr) return;
        for (const api::PodInterface& interface : changed.before->interfaces) {
          const std::string& uid = interface.podNetworkUID;
          if (isGone(world, uid)) add(world.of<Block>().by<ByNetworkUid>(NetworkUid(uid)));
        }
      },
      [&](const Changed<Network>& changed) {
        const auto& gone = changed.before;
        if (gone == nullptr) return;
        if (changed.now != nullptr && changed.now->metadata.uid == gone->metadata.uid) return;
        add(world.of<Block>().by<ByNetworkUid>(NetworkUid(gone->metadata.uid)));
      });
}

}  // namespace

Reconciler blockReconciler() {
  return {"block", concerned, reconcile};
}

}  // namespace multinet::controller
