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

/// All slices of a policy, its members as the world has them; head last. `perSlice` entries each.
inline Slices slicesOf(const api::PodNetworkPolicy& policy, const policy::World& world,
                       std::uint64_t revision, std::size_t perSlice = 2) {
  Slices out;
  const std::string& home = policy.metadata.nameSpace;
  api::PodNetworkPolicySlice head;
  head.metadata.name = policy.metadata.name + "-" + policy.metadata.uid;
  head.metadata.nameSpace = home;
  head.metadata.resourceVersion = std::to_string(revision);
  head.policyName = policy.metadata.name;
  head.policyUID = policy.metadata.uid;
  head.head.emplace();
  head.head->policyGeneration = policy.metadata.generation;
  head.head->spec = policy.spec;
  for (const auto& network : policy.spec.podNetworkNames) {
    for (const auto& peer : policy::peersOf(policy.spec, home)) {
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
