#include "controller/blocks/reclaim.h"

namespace multinet::controller {
namespace {

bool isReady(const Node& node) {
  return node.status.conditions.isTrue("Ready");
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
    if (isReady(*node) &&
        world.of<Network>().by<ByNetworkUid>(NetworkUid(spec.podNetworkUID)).empty()) {
      outcome.writes.push_back(removal(*block, "its network is gone",
                                       networkIsGone(spec.podNetworkName, spec.podNetworkUID)));
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
