// Objects for the tests of this room: good ones, to be spoilt one field at a time.
#pragma once

#include <string>

#include "lib/api/cluster_pod_network_policy.h"
#include "lib/api/fake_catalog.h"
#include "lib/api/pod_network.h"
#include "lib/api/pod_network_policy.h"
#include "lib/api/pod_network_service.h"

namespace multinet::api::testing {

inline void makeReady(PodNetwork& network) {
  network.status.conditions.set(
      {"Ready", k8s::ConditionStatus::True, network.metadata.generation, std::nullopt, "Ready", ""},
      WallTime{});
}

/// A bridge network with both families, gateways and everything allowed.
inline PodNetwork goodNetwork(const std::string& name = "blue") {
  PodNetwork network;
  network.metadata.name = name;
  network.metadata.uid = "uid-" + name;
  network.metadata.generation = 1;
  network.spec.type = NetworkType::Bridge;
  network.spec.bridge = BridgeSpec{"br-" + name, BridgeMode::Own, ""};
  network.spec.mtu = 1450;
  network.spec.ipam.subnets = {{"10.20.0.0/16", "10.20.0.1", {"10.20.0.0/28"}, 26},
                               {"fd00:20::/64", "fd00:20::1", {}, std::nullopt}};
  network.spec.routes = {{"192.168.0.0/16", "10.20.0.1"}};
  network.spec.access.namespaces.from = AccessFrom::All;
  network.spec.allow = {true, true};
  makeReady(network);
  return network;
}

/// The same with subnets of its own: `second` is the second number of the IPv4 one.
inline PodNetwork otherNetwork(const std::string& name, int second) {
  PodNetwork network = goodNetwork(name);
  const std::string number = std::to_string(second);
  network.spec.ipam.subnets = {{"10." + number + ".0.0/16", "10." + number + ".0.1", {}, {}},
                               {"fd00:" + number + "::/64", "fd00:" + number + "::1", {}, {}}};
  network.spec.routes.clear();
  return network;
}

inline PodNetworkAttachment goodAttachment(const std::string& name, const std::string& network) {
  PodNetworkAttachment attachment;
  attachment.metadata.name = name;
  attachment.metadata.nameSpace = "default";
  attachment.metadata.uid = "uid-" + name;
  attachment.spec.podNetworkName = network;
  return attachment;
}

/// Headless, of the pods with app: web, by one port.
inline PodNetworkService goodService(const std::string& name, const std::string& network) {
  PodNetworkService service;
  service.metadata.name = name;
  service.metadata.nameSpace = "default";
  service.metadata.uid = "uid-" + name;
  service.metadata.generation = 1;
  service.spec.podNetworkName = network;
  service.spec.selector = {{"app", "web"}};
  service.spec.clusterIP = "None";
  service.spec.ports = {{"http", Protocol::TCP, 80, {}, ""}};
  return service;
}

/// Pods with app: db take PostgreSQL's and port 80 from app: web of their namespace and from a
/// block.
inline PodNetworkPolicy goodPolicy(const std::string& name, const std::string& network) {
  PodNetworkPolicy policy;
  policy.metadata.name = name;
  policy.metadata.nameSpace = "default";
  policy.metadata.uid = "uid-" + name;
  policy.metadata.generation = 1;
  policy.spec.podNetworkNames = {network};
  policy.spec.podSelector.matchLabels = {{"app", "db"}};
  PolicyIngressRule rule;
  rule.peers = {{k8s::LabelSelector{{{"app", "web"}}, {}}, {}, {}},
                {{}, {}, PolicyIpBlock{"10.20.0.0/16", {"10.20.9.0/24"}}}};
  rule.ports = {{Protocol::TCP, k8s::IntOrString{80, ""}, {}},
                {Protocol::TCP, k8s::IntOrString{0, "pg"}, {}}};
  policy.spec.ingress = {rule};
  return policy;
}

/// Nobody but namespaces of ops comes to pods of shop by TCP 22; nobody gets out to a block.
inline ClusterPodNetworkPolicy goodClusterPolicy(const std::string& name,
                                                 const std::string& network) {
  ClusterPodNetworkPolicy out;
  out.metadata.name = name;
  out.metadata.uid = "uid-" + name;
  out.metadata.generation = 1;
  auto& spec = out.spec;
  spec.podNetworkNames = {network};
  spec.priority = 10;
  spec.subject.namespaces = k8s::LabelSelector{{{"team", "shop"}}, {}};
  ClusterPolicyPeer ops;
  ops.pods = NamespacedPods{{{{"team", "ops"}}, {}}, {}};
  ClusterPolicyProtocol ssh;
  ssh.tcp = ClusterPolicyTransport{ClusterPolicyPort{22, std::nullopt}};
  spec.ingress = {{{"ops", ClusterPolicyAction::Accept, {ops}, {ssh}}}};
  ClusterPolicyPeer block;
  block.networks = {"192.0.2.0/24", "2001:db8::/32"};
  ClusterPolicyProtocol range;
  range.udp =
      ClusterPolicyTransport{ClusterPolicyPort{std::nullopt, ClusterPolicyPortRange{1, 1024}}};
  spec.egress = {{{"", ClusterPolicyAction::Deny, {block}, {range}}}};
  return out;
}

/// blue, red and green, attachments nas (red) and out (green), namespaces default and other.
inline FakeCatalog goodCatalog() {
  FakeCatalog catalog;
  catalog.networks = {{"blue", goodNetwork("blue")},
                      {"red", otherNetwork("red", 30)},
                      {"green", otherNetwork("green", 40)}};
  catalog.attachments = {{{"default", "nas"}, goodAttachment("nas", "red")},
                         {{"default", "out"}, goodAttachment("out", "green")}};
  catalog.namespaces = {{"default", {{"team", "a"}}}, {"other", {{"team", "b"}}}};
  return catalog;
}

}  // namespace multinet::api::testing
