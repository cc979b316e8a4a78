#include "controller/peers/departed.h"

namespace multinet::controller {
namespace {

Outcome afterItsNode(const World& world, const k8s::Kind& kind, const k8s::ObjectMeta& metadata,
                     const std::string& node, const Moment& now) {
  Outcome outcome;
  if (world.find<Node>(node) != nullptr) return outcome;
  const auto gone = world.gone(NodeName(node));
  if (!gone) return outcome;
  const Duration away = now.boot - gone->since;
  if (away >= kNodeSettle) {
    outcome.writes.push_back(
        deletionOf(kind, metadata, "node \"" + node + "\" is gone", {nodeIsGone(node)}));
  } else {
    outcome.askAgain(kNodeSettle - away);
  }
  return outcome;
}

Outcome reconcilePeer(const World& world, const k8s::ObjectKey& key, const Moment& now) {
  const auto* peer = world.find<Peer>(key);
  if (peer == nullptr || peer->metadata.deleting() || !peer->undecodable.empty()) return {};
  const auto& uid = peer->podNetworkUID;
  if (!world.of<Network>().by<ByNetworkUid>(NetworkUid(uid)).empty()) {
    return afterItsNode(world, api::kNetworkPeerKind, peer->metadata, peer->nodeName, now);
  }
  return {{deletionOf(api::kNetworkPeerKind, peer->metadata, "its network is gone",
                      {networkIsGone(peer->podNetworkName, uid)})},
          std::nullopt};
}

Outcome reconcileNodeSet(const World& world, const k8s::ObjectKey& key, const Moment& now) {
  const auto* set = world.find<NodeSet>(key);
  if (set == nullptr || set->metadata.deleting()) return {};
  return afterItsNode(world, api::kNodeNetworkSetKind, set->metadata, set->metadata.name, now);
}

void peerConcerned(const World& world, const Change& change, Keys& keys) {
  const auto add = [&](const auto& peers) {
    for (const auto* peer : peers) keys.push_back(keyOf(*peer));
  };
  on(
      change, [&](const Changed<Peer>& changed) { keys.push_back(changed.key()); },
      [&](const Changed<Node>& changed) {
        if (changed.existence()) add(world.of<Peer>().by<ByNode>(NodeName(changed.key().name)));
      },
      [&](const Changed<Network>& changed) {
        const auto& gone = changed.before;
        if (gone == nullptr) return;
        if (changed.now != nullptr && changed.now->metadata.uid == gone->metadata.uid) return;
        add(world.of<Peer>().by<ByNetworkUid>(NetworkUid(gone->metadata.uid)));
      });
}

void nodeSetConcerned(const World& /*world*/, const Change& change, Keys& keys) {
  on(
      change, [&](const Changed<NodeSet>& changed) { keys.push_back(changed.key()); },
      [&](const Changed<Node>& changed) {
        if (changed.existence()) keys.push_back(changed.key());
      });
}

}  // namespace

Reconciler peerReconciler() {
  return {"network-peer", peerConcerned, reconcilePeer};
}

Reconciler nodeSetReconciler() {
  return {"node-network-set", nodeSetConcerned, reconcileNodeSet};
}

}  // namespace multinet::controller
