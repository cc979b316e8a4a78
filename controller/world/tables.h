// The tables of all kinds, and the ways in which each is searched.
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "controller/world/kinds.h"
#include "controller/world/table.h"

namespace multinet::controller {

/// Networks: by the VNI that the spec names, and the one in effect.
struct ByVni {
  using Key = std::int32_t;
  static std::vector<Key> of(const Network& network);
};
/// By what others can't have too (api::contention).
struct ByContention {
  using Key = std::string;
  static std::vector<Key> of(const Network& network);
};
/// By the network's UID: the network itself, and what names it.
struct ByNetworkUid {
  using Key = NetworkUid;
  static std::vector<Key> of(const Network& network);
  static std::vector<Key> of(const Identifier& identifier);
  static std::vector<Key> of(const Peer& peer);
  static std::vector<Key> of(const Block& block);
};
/// Attachments, services and policies: by the networks that they name.
struct ByNetworkName {
  using Key = NetworkName;
  static std::vector<Key> of(const Attachment& attachment);
  static std::vector<Key> of(const NetworkService& service);
  static std::vector<Key> of(const Policy& policy);
  static std::vector<Key> of(const ClusterPolicy& policy);
};
struct ByNamespace {
  using Key = std::string;
  static std::vector<Key> of(const Pod& pod);
  static std::vector<Key> of(const Attachment& attachment);
  static std::vector<Key> of(const NetworkService& service);
  static std::vector<Key> of(const Policy& policy);
  static std::vector<Key> of(const MultiNetworkPolicy& policy);
};
/// Policies: by the MultiNetworkPolicy that they say they are made of, of whatever UID.
struct ByMaker {
  using Key = k8s::ObjectKey;
  static std::vector<Key> of(const Policy& policy);
};
/// Policies' slices: by the policy that they name, of whatever UID; those of a policy of the
/// cluster by the slices' namespace and its name, of a network's default by namespace and network.
struct ByPolicy {
  using Key = k8s::ObjectKey;
  static std::vector<Key> of(const PolicySlice& slice);
  [[nodiscard]] static Key ofDefault(const std::string& nameSpace, const std::string& network);
  [[nodiscard]] static Key ofCluster(const std::string& nameSpace, const std::string& policy);
};
/// Slices of policies of the cluster, in whatever namespace: all of one policy, its heads; ledgers.
struct ByClusterPolicy {
  using Key = std::string;
  static std::vector<Key> of(const PolicySlice& slice);
  [[nodiscard]] static Key all(const std::string& policy) { return policy; }
  // No policy has such a name.
  [[nodiscard]] static Key heads(const std::string& policy) { return policy + "/"; }
  [[nodiscard]] static Key ledgers() { return "/"; }
};
/// By the peer of one policy whose members they carry.
struct ByPolicyPeer {
  using Key = std::string;
  static std::vector<Key> of(const PolicySlice& slice);
  [[nodiscard]] static Key key(const std::string& policyUid, const std::string& nameSpace,
                               const std::string& network, const std::string& peer);
};
/// Heads of a network's default: by the network.
struct ByDefault {
  using Key = NetworkName;
  static std::vector<Key> of(const PolicySlice& slice);
};
/// Services: by the first pair of their selector. Whoever has labels looks under each of them.
struct ByFirstLabel {
  using Key = std::string;
  static std::vector<Key> of(const NetworkService& service);
  [[nodiscard]] static Key key(const std::string& nameSpace, const std::string& label,
                               const std::string& value);
};
/// Slices: by the Service that they name.
struct ByServiceName {
  using Key = k8s::ObjectKey;
  static std::vector<Key> of(const Slice& slice);
};
/// Pods: by the attachments that they ask for.
struct ByAttachment {
  using Key = k8s::ObjectKey;
  static std::vector<Key> of(const Pod& pod);
};
/// Sets: by their pod.
struct ByPod {
  using Key = k8s::ObjectKey;
  static std::vector<Key> of(const InterfaceSet& set);
};
struct ByNode {
  using Key = NodeName;
  static std::vector<Key> of(const InterfaceSet& set);
  static std::vector<Key> of(const Peer& peer);
  static std::vector<Key> of(const Block& block);
};
/// Blocks: by node, the network's UID and the family, in one word.
struct ByHolder {
  using Key = std::string;
  static std::vector<Key> of(const Block& block);
};

template <class T>
struct TableOf {
  using Type = Table<T>;
};
template <>
struct TableOf<Network> {
  using Type = Table<Network, ByVni, ByContention, ByNetworkUid>;
};
template <>
struct TableOf<Attachment> {
  using Type = Table<Attachment, ByNetworkName, ByNamespace>;
};
template <>
struct TableOf<Identifier> {
  using Type = Table<Identifier, ByNetworkUid>;
};
template <>
struct TableOf<Pod> {
  using Type = Table<Pod, ByAttachment, ByNamespace>;
};
template <>
struct TableOf<InterfaceSet> {
  using Type = Table<InterfaceSet, ByPod, ByNode>;
};
template <>
struct TableOf<Peer> {
  using Type = Table<Peer, ByNetworkUid, ByNode>;
};
template <>
struct TableOf<Block> {
  using Type = Table<Block, ByNetworkUid, ByNode, ByHolder>;
};
template <>
struct TableOf<NetworkService> {
  using Type = Table<NetworkService, ByNetworkName, ByNamespace, ByFirstLabel>;
};
template <>
struct TableOf<Slice> {
  using Type = Table<Slice, ByServiceName>;
};

template <>
struct TableOf<Policy> {
  using Type = Table<Policy, ByNetworkName, ByNamespace, ByMaker>;
};
template <>
struct TableOf<MultiNetworkPolicy> {
  using Type = Table<MultiNetworkPolicy, ByNamespace>;
};
template <>
struct TableOf<ClusterPolicy> {
  using Type = Table<ClusterPolicy, ByNetworkName>;
};
template <>
struct TableOf<PolicySlice> {
  using Type = Table<PolicySlice, ByPolicy, ByPolicyPeer, ByDefault, ByClusterPolicy>;
};

template <class... T>
struct TablesOf {
  std::tuple<typename TableOf<T>::Type...> tables;
  template <class Kind>
  [[nodiscard]] const auto& of() const {
    return std::get<typename TableOf<Kind>::Type>(tables);
  }
  template <class Kind>
  [[nodiscard]] auto& of() {
    return std::get<typename TableOf<Kind>::Type>(tables);
  }
};
using Tables = ForKinds<TablesOf>;

}  // namespace multinet::controller
