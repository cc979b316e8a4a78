// Slices as a controller writes them, for tests of this room.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/policy/peers.h"
#include "nodeagent/policy/book.h"

namespace multinet::agent::policing::testing {

inline std::shared_ptr<const api::PodNetworkPolicySlice> share(api::PodNetworkPolicySlice slice) {
  return std::make_shared<const api::PodNetworkPolicySlice>(std::move(slice));
}

/// A head that counts nothing yet, with its members as the world has them; head last. `perSlice`
/// entries each.
inline Slices slicesOf(api::PodNetworkPolicySlice head, const std::vector<std::string>& networks,
                       const std::vector<policy::Peer>& peers, const policy::World& world,
                       std::size_t perSlice) {
  Slices out;
  for (const auto& network : networks) {
    for (const auto& peer : peers) {
      std::vector<api::PolicyMember> members;
      for (const auto& pod : world.pods) {
        const auto space = world.namespaces.find(pod.key.nameSpace);
        const auto* labels = space == world.namespaces.end() ? nullptr : &space->second;
        for (auto& one : policy::membersOf(peer, pod, network, labels)) members.push_back(one);
      }
      const std::string hash = policy::peerHash(peer);
      std::int32_t slices = 0;
      for (std::size_t at = 0; at < members.size(); at += perSlice) {
        api::PodNetworkPolicySlice slice;
        slice.metadata = head.metadata;
        slice.metadata.name += "-" + network + hash + std::to_string(slices++);
        slice.policyName = head.policyName;
        slice.clusterPolicyName = head.clusterPolicyName;
        slice.policyUID = head.policyUID;
        const auto end = std::min(at + perSlice, members.size());
        slice.members = {network,
                         hash,
                         {members.begin() + static_cast<std::ptrdiff_t>(at),
                          members.begin() + static_cast<std::ptrdiff_t>(end)}};
        out.push_back(share(std::move(slice)));
      }
      head.head->peers.push_back(
          {network, hash, slices, static_cast<std::int32_t>(members.size())});
    }
  }
  out.push_back(share(std::move(head)));
  return out;
}

/// Of a policy or one of the cluster, without what it says.
inline api::PodNetworkPolicySlice emptyHead(const k8s::ObjectMeta& of, const std::string& home,
                                            std::uint64_t revision) {
  api::PodNetworkPolicySlice head;
  head.metadata.name = of.name + "-" + of.uid;
  head.metadata.nameSpace = home;
  head.metadata.resourceVersion = std::to_string(revision);
  head.policyUID = of.uid;
  head.head.emplace();
  head.head->policyGeneration = of.generation;
  return head;
}

/// All slices of a policy.
inline Slices slicesOf(const api::PodNetworkPolicy& policy, const policy::World& world,
                       std::uint64_t revision, std::size_t perSlice = 2) {
  const std::string& home = policy.metadata.nameSpace;
  auto head = emptyHead(policy.metadata, home, revision);
  head.policyName = policy.metadata.name;
  head.head->spec = policy.spec;
  return slicesOf(std::move(head), policy.spec.podNetworkNames, policy::peersOf(policy.spec, home),
                  world, perSlice);
}

/// Of a policy of the cluster, in a namespace that it selects.
inline Slices clusterSlicesOf(const api::ClusterPodNetworkPolicy& policy, const std::string& home,
                              const policy::World& world, std::uint64_t revision,
                              std::size_t perSlice = 2) {
  auto head = emptyHead(policy.metadata, home, revision);
  head.metadata.name = "cluster-" + head.metadata.name;
  head.clusterPolicyName = policy.metadata.name;
  head.head->clusterSpec = policy.spec;
  return slicesOf(std::move(head), policy.spec.podNetworkNames,
                  policy::peersOf(policy::rulesOf(policy)), world, perSlice);
}

/// A namespace's ledger of these.
inline Slices ledgerOf(const std::vector<api::ClusterPodNetworkPolicy>& policies,
                       const std::string& home) {
  api::PodNetworkPolicySlice slice;
  slice.metadata.name = api::kPolicyLedgerName;
  slice.metadata.nameSpace = home;
  slice.policyUID = "uid-" + home;
  slice.ledger.emplace();
  for (const auto& one : policies) {
    slice.ledger->clusterPolicies.push_back(
        {one.metadata.name, one.metadata.uid, one.metadata.generation});
  }
  return {share(std::move(slice))};
}

/// What a controller writes into a namespace of the world's policies of the cluster.
inline Slices allClusterSlices(const policy::World& world, const std::string& home,
                               std::uint64_t revision, std::size_t perSlice = 2) {
  Slices out;
  for (const auto& policy : world.clusterPolicies) {
    if (!policy::selectsNamespace(policy.spec.subject, world, home)) continue;
    for (auto& one : clusterSlicesOf(policy, home, world, revision, perSlice)) {
      out.push_back(std::move(one));
    }
  }
  for (auto& one : ledgerOf(world.clusterPolicies, home)) out.push_back(std::move(one));
  return out;
}

/// Of a network's default SameNamespace.
inline Slices defaultSlices(const std::string& network, const std::string& uid,
                            const std::string& home, const policy::World& world) {
  api::PodNetworkPolicy all;
  all.metadata.nameSpace = home;
  all.metadata.uid = uid;
  all.spec.podNetworkNames = {network};
  api::PolicyIngressRule rule;
  rule.peers.emplace_back().podSelector.emplace();
  all.spec.ingress = {rule};
  Slices out = slicesOf(all, world, 1);
  for (auto& one : out) {
    api::PodNetworkPolicySlice slice = *one;
    slice.metadata.name = "default-" + slice.metadata.name;
    if (slice.head) {
      slice.head->spec.reset();
      slice.head->podNetworkName = network;
    }
    one = share(std::move(slice));
  }
  return out;
}

}  // namespace multinet::agent::policing::testing
