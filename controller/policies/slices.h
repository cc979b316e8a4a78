// Which address stands in which PodNetworkPolicySlice. Each has its place and keeps it, so that one
// pod more is one slice and the head; the places are read from the slices that stand, so that a new
// leader knows them too.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/world/policy_groups.h"
#include "lib/api/pod_network_policy_slice.h"

namespace multinet::controller {

/// Whose slices they are.
struct PolicySliceOwner {
  std::string nameSpace;
  std::string policyName;         ///< empty: one of the cluster, or a network's default
  std::string clusterPolicyName;  ///< instead
  std::string uid;                ///< of the policy, or of the network
  std::string headName;
  k8s::OwnerReference reference;
};

/// One peer on one network, as it is now, and the slices that carry it.
struct PeerWish {
  std::string network;
  std::string peer;  ///< policy::peerHash
  const PolicyMembers* members = nullptr;
  std::vector<const PolicySlice*> standing = {};
};

/// One write. Without `standing` a new one, without `wanted` its end.
struct PolicySliceChange {
  const PolicySlice* standing = nullptr;
  std::optional<api::PodNetworkPolicySlice> wanted;
};

/// Pure. What makes the slices of a peer carry its members, and no more; those from which one goes
/// come first. New members go into slices that change anyway, then into the fullest with room, then
/// into new ones. `names` are those that are taken; it gets the new ones.
[[nodiscard]] std::vector<PolicySliceChange> planMembers(const PolicySliceOwner& owner,
                                                         const PeerWish& wish,
                                                         std::set<std::string>& names);

/// How a head counts the peer, from the slices that stand.
[[nodiscard]] api::PolicyHeadPeer countOf(const PeerWish& wish);

/// A slice of the owner without head and members.
[[nodiscard]] api::PodNetworkPolicySlice bareSlice(const PolicySliceOwner& owner,
                                                   const std::string& name);

}  // namespace multinet::controller
