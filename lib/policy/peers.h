// Who a policy's rules mean, for those who find out their addresses and those who are told them:
// the controller resolves peers() into slices, nodes compile from these.
//
// A peer needs resolving where the spec alone doesn't say its addresses: pods by selectors, and on
// egress whoever is meant together with a port's name, since each pod has its own number for it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/api/pod_network_policy_slice.h"
#include "lib/policy/tiers.h"
#include "lib/policy/world.h"

namespace multinet::policy {

struct PeerPort {
  std::string name;
  api::Protocol protocol = api::Protocol::TCP;
  bool operator==(const PeerPort&) const = default;
};

/// The same on each network of a policy; there with the addresses of that network.
struct Peer {
  std::string home;                    ///< the policy's namespace
  std::optional<api::PolicyPeer> who;  ///< nothing: everybody
  std::optional<PeerPort> port;        ///< of those, pods with a port of that name
  bool operator==(const Peer&) const = default;
};

/// Text that no two peers share that mean others.
[[nodiscard]] std::string peerKey(const Peer& peer);
/// Of it 16 hex digits, the same in every version. Two peers of one policy with one hash would
/// share their addresses; an author who looks for such a pair widens nothing but the own policy.
[[nodiscard]] std::string peerHash(const Peer& peer);

/// Those of a policy in namespace `home` that need resolving, each once, by hash. What can't be
/// read, and rules of a direction that isn't isolated, mean nobody.
[[nodiscard]] std::vector<Peer> peersOf(const api::PodNetworkPolicySpec& spec,
                                        const std::string& home);
/// Likewise of a policy of the cluster.
[[nodiscard]] std::vector<Peer> peersOf(const ClusterRules& rules);
/// Of a network's default SameNamespace: all pods of the namespace.
[[nodiscard]] Peer sameNamespace(const std::string& home);

/// What the pod adds to the peer's members on a network; nothing where it isn't among them.
/// `namespaceLabels` are those of its namespace; null: not known, so no selector matches them.
[[nodiscard]] std::vector<api::PolicyMember> membersOf(const Peer& peer, const Pod& pod,
                                                       std::string_view network,
                                                       const k8s::StringMap* namespaceLabels);

}  // namespace multinet::policy
