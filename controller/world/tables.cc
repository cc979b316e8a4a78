#include "controller/world/tables.h"

#include "lib/api/names.h"
#include "lib/api/request.h"
#include "lib/api/service.h"
#include "lib/api/validate.h"

namespace multinet::controller {

std::vector<std::int32_t> ByVni::of(const Network& network) {
  std::vector<std::int32_t> vnis;
  if (network.spec.type != api::NetworkType::Vxlan) return vnis;
  if (network.spec.vxlan && network.spec.vxlan->vni) vnis.push_back(*network.spec.vxlan->vni);
  if (network.status.vni) vnis.push_back(*network.status.vni);
  return vnis;
}

std::vector<std::string> ByContention::of(const Network& network) {
  return api::contention(network).has;
}

std::vector<NetworkUid> ByNetworkUid::of(const Network& network) {
  return {NetworkUid(network.metadata.uid)};
}
std::vector<NetworkUid> ByNetworkUid::of(const Identifier& identifier) {
  return {NetworkUid(identifier.spec.podNetworkUID)};
}
std::vector<NetworkUid> ByNetworkUid::of(const Peer& peer) {
  return {NetworkUid(peer.podNetworkUID)};
}
std::vector<NetworkUid> ByNetworkUid::of(const Block& block) {
  return {NetworkUid(block.spec.podNetworkUID)};
}

std::vector<NetworkName> ByNetworkName::of(const Attachment& attachment) {
  return {NetworkName(attachment.spec.podNetworkName)};
}

std::vector<std::string> ByNamespace::of(const Attachment& attachment) {
  return {attachment.metadata.nameSpace};
}

std::vector<std::string> ByNamespace::of(const Pod& pod) {
  return {pod.metadata.nameSpace};
}

std::vector<NetworkName> ByNetworkName::of(const NetworkService& service) {
  return {NetworkName(service.spec.podNetworkName)};
}
std::vector<std::string> ByNamespace::of(const NetworkService& service) {
  return {service.metadata.nameSpace};
}

std::vector<NetworkName> ByNetworkName::of(const Policy& policy) {
  const auto& names = policy.spec.podNetworkNames;
  return {names.begin(), names.end()};
}
std::vector<NetworkName> ByNetworkName::of(const ClusterPolicy& policy) {
  const auto& names = policy.spec.podNetworkNames;
  return {names.begin(), names.end()};
}
std::vector<std::string> ByNamespace::of(const Policy& policy) {
  return {policy.metadata.nameSpace};
}
std::vector<std::string> ByNamespace::of(const MultiNetworkPolicy& policy) {
  return {policy.metadata.nameSpace};
}

std::vector<k8s::ObjectKey> ByMaker::of(const Policy& policy) {
  const auto* maker = npwg::makerOf(policy.metadata);
  if (maker == nullptr) return {};
  return {{policy.metadata.nameSpace, maker->name}};
}

std::vector<k8s::ObjectKey> ByPolicy::of(const PolicySlice& slice) {
  const auto& nameSpace = slice.metadata.nameSpace;
  if (!slice.policyName.empty()) return {{nameSpace, slice.policyName}};
  if (!slice.clusterPolicyName.empty()) return {ofCluster(nameSpace, slice.clusterPolicyName)};
  if (slice.ledger) return {};
  if (slice.head) return {ofDefault(nameSpace, slice.head->podNetworkName)};
  return {ofDefault(nameSpace, slice.members ? slice.members->podNetworkName : "")};
}
k8s::ObjectKey ByPolicy::ofDefault(const std::string& nameSpace, const std::string& network) {
  return {nameSpace, "/" + network};  // no policy has such a name
}

k8s::ObjectKey ByPolicy::ofCluster(const std::string& nameSpace, const std::string& policy) {
  return {nameSpace, policy + "/"};  // likewise
}

std::vector<std::string> ByClusterPolicy::of(const PolicySlice& slice) {
  if (slice.ledger) return {ledgers()};
  if (slice.clusterPolicyName.empty()) return {};
  if (!slice.head) return {all(slice.clusterPolicyName)};
  return {all(slice.clusterPolicyName), heads(slice.clusterPolicyName)};
}

std::vector<std::string> ByPolicyPeer::of(const PolicySlice& slice) {
  if (!slice.members) return {};
  return {key(slice.policyUID, slice.metadata.nameSpace, slice.members->podNetworkName,
              slice.members->peer)};
}
std::string ByPolicyPeer::key(const std::string& policyUid, const std::string& nameSpace,
                              const std::string& network, const std::string& peer) {
  return nameSpace + " " + policyUid + " " + network + " " + peer;
}

std::vector<NetworkName> ByDefault::of(const PolicySlice& slice) {
  if (!slice.head || slice.head->podNetworkName.empty()) return {};
  return {NetworkName(slice.head->podNetworkName)};
}

std::vector<std::string> ByFirstLabel::of(const NetworkService& service) {
  const auto& selector = service.spec.selector;
  if (selector.empty()) return {};
  return {key(service.metadata.nameSpace, selector.begin()->first, selector.begin()->second)};
}
std::string ByFirstLabel::key(const std::string& nameSpace, const std::string& label,
                              const std::string& value) {
  return nameSpace + " " + label + "=" + value;  // none of them has a space
}

std::vector<k8s::ObjectKey> ByServiceName::of(const Slice& slice) {
  const auto found = slice.metadata.labels.find(api::kServiceNameLabel);
  if (found == slice.metadata.labels.end()) return {};
  return {{slice.metadata.nameSpace, found->second}};
}

std::vector<k8s::ObjectKey> ByAttachment::of(const Pod& pod) {
  std::vector<k8s::ObjectKey> keys;
  const auto* request = pod.metadata.annotation(api::kNetworksAnnotation);
  if (request == nullptr) return keys;
  const auto parsed = api::parseRequest(*request);
  if (!parsed.has_value()) return keys;
  for (const auto& item : parsed->items) {
    if (item.kind == api::RequestKind::Attachment) {
      keys.push_back({pod.metadata.nameSpace, item.name});
    }
  }
  return keys;
}

std::vector<k8s::ObjectKey> ByPod::of(const InterfaceSet& set) {
  return {{set.metadata.nameSpace, set.pod.name}};
}

std::vector<NodeName> ByNode::of(const InterfaceSet& set) {
  return {NodeName(set.nodeName)};
}
std::vector<NodeName> ByNode::of(const Peer& peer) {
  return {NodeName(peer.nodeName)};
}
std::vector<NodeName> ByNode::of(const Block& block) {
  return {NodeName(block.spec.nodeName)};
}

std::vector<std::string> ByHolder::of(const Block& block) {
  const bool isV6 = block.spec.cidr.find(':') != std::string::npos;
  return {block.spec.nodeName + (isV6 ? " v6 " : " v4 ") + block.spec.podNetworkUID};
}

}  // namespace multinet::controller
