// The one description of each kind, for decoder, encoder and outline. For units that do one of
// these; everybody else goes through KindTraits.
#pragma once

#include "lib/api/cluster_pod_network_policy.h"
#include "lib/api/health_check.h"
#include "lib/api/network_peer.h"
#include "lib/api/node_network_set.h"
#include "lib/api/pod_interface_set.h"
#include "lib/api/pod_network.h"
#include "lib/api/pod_network_attachment.h"
#include "lib/api/pod_network_policy_slice.h"
#include "lib/api/pod_network_service.h"
#include "lib/api/reservations.h"
#include "lib/api/spelling.h"
#include "lib/k8s/describe_core.h"
#include "lib/k8s/describe_shared.h"

namespace multinet::api {

template <class V>
void describe(V& v, typename V::template Ref<Underlay> underlay) {
  v.field("interface", underlay.interface);
}

template <class V>
void describe(V& v, typename V::template Ref<VxlanSpec> spec) {
  v.field("vni", spec.vni);
  v.field("port", spec.port);
  v.field("underlay", spec.underlay);
}

template <class V>
void describe(V& v, typename V::template Ref<BridgeSpec> spec) {
  v.field("name", spec.name);
  v.field("mode", spec.mode);
  v.field("uplink", spec.uplink);
  v.field("vlan", spec.vlan);
}

template <class V>
void describe(V& v, typename V::template Ref<MacvlanSpec> spec) {
  v.required("parent", spec.parent);
  v.field("mode", spec.mode);
  v.field("vlan", spec.vlan);
}

template <class V>
void describe(V& v, typename V::template Ref<VlanSpec> spec) {
  v.required("parent", spec.parent);
  v.required("id", spec.id);
}

template <class V>
void describe(V& v, typename V::template Ref<IpvlanSpec> spec) {
  v.required("parent", spec.parent);
  v.field("mode", spec.mode);
}

template <class V>
void describe(V& v, typename V::template Ref<Subnet> subnet) {
  v.required("cidr", subnet.cidr);
  v.field("gateway", subnet.gateway);
  v.field("exclude", subnet.exclude);
  v.field("blockSize", subnet.blockSize);
}

template <class V>
void describe(V& v, typename V::template Ref<Ipam> ipam) {
  v.field("subnets", ipam.subnets);
}

template <class V>
void describe(V& v, typename V::template Ref<Route> route) {
  v.required("to", route.to);
  v.field("via", route.via);
}

template <class V>
void describe(V& v, typename V::template Ref<NamespaceAccess> access) {
  v.field("from", access.from);
  v.field("selector", access.selector);
}

template <class V>
void describe(V& v, typename V::template Ref<Access> access) {
  v.field("namespaces", access.namespaces);
}

template <class V>
void describe(V& v, typename V::template Ref<Allow> allow) {
  v.field("defaultGateway", allow.defaultGateway);
  v.field("routes", allow.routes);
  v.field("netAdmin", allow.netAdmin);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkSpec> spec) {
  v.field("enabled", spec.enabled);
  v.field("join", spec.join);
  v.required("type", spec.type);
  v.field("vxlan", spec.vxlan);
  v.field("bridge", spec.bridge);
  v.field("macvlan", spec.macvlan);
  v.field("vlan", spec.vlan);
  v.field("ipvlan", spec.ipvlan);
  v.field("mtu", spec.mtu);
  v.field("ipam", spec.ipam);
  v.field("routes", spec.routes);
  v.field("access", spec.access);
  v.field("allow", spec.allow);
  v.field("portSecurity", spec.portSecurity);
  v.field("defaultPolicy", spec.defaultPolicy);
  v.field("trackConnections", spec.trackConnections);
}

template <class V>
void describe(V& v, typename V::template Ref<NodeCounts> nodes) {
  v.required("desired", nodes.desired);
  v.required("ready", nodes.ready);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkStatus> status) {
  v.field("conditions", status.conditions.items);
  v.field("vni", status.vni);
  v.field("nodes", status.nodes);
  v.field("attachedPods", status.attachedPods);
  v.field("blockers", status.blockers);
  v.field("removableSubnets", status.removableSubnets);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetwork> network) {
  v.field("metadata", network.metadata);
  v.required("spec", network.spec);
  v.field("status", network.status);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkAttachmentSpec> spec) {
  v.required("podNetworkName", spec.podNetworkName);
  v.field("podSelector", spec.podSelector);
  v.field("interfaceName", spec.interfaceName);
  v.field("mtu", spec.mtu);
  v.field("routes", spec.routes);
  v.field("defaultGateway", spec.defaultGateway);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkAttachmentStatus> status) {
  v.field("conditions", status.conditions.items);
  v.field("attachedPods", status.attachedPods);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkAttachment> attachment) {
  v.field("metadata", attachment.metadata);
  v.required("spec", attachment.spec);
  v.field("status", attachment.status);
}

template <class V>
void describe(V& v, typename V::template Ref<PodReference> pod) {
  v.required("name", pod.name);
  v.required("uid", pod.uid);
}

template <class V>
void describe(V& v, typename V::template Ref<PodInterfaceAddress> address) {
  v.required("address", address.address);
  v.field("gateway", address.gateway);
  v.required("family", address.family);
}

template <class V>
void describe(V& v, typename V::template Ref<InterfaceHealth> health) {
  v.required("service", health.service);
  v.required("serviceUID", health.serviceUID);
  v.required("healthy", health.healthy);
  v.field("reason", health.reason);
  v.field("message", health.message);
}

template <class V>
void describe(V& v, typename V::template Ref<InterfacePolicy> policy) {
  v.required("enforced", policy.enforced);
  v.required("where", policy.where);
  v.required("reason", policy.reason);
  v.field("message", policy.message);
}

template <class V>
void describe(V& v, typename V::template Ref<PodInterface> interface) {
  v.required("name", interface.name);
  v.required("podNetworkName", interface.podNetworkName);
  v.field("podNetworkUID", interface.podNetworkUID);
  v.field("attachmentName", interface.attachmentName);
  v.required("type", interface.type);
  v.field("mac", interface.mac);
  v.field("mtu", interface.mtu);
  v.field("linkState", interface.linkState);
  v.field("ips", interface.ips);
  v.field("routes", interface.routes);
  v.field("defaultGateway", interface.defaultGateway);
  v.field("conditions", interface.conditions.items);
  v.field("attachedAt", interface.attachedAt);
  v.field("health", interface.health);
  v.field("policy", interface.policy);
}

template <class V>
void describe(V& v, typename V::template Ref<PodInterfaceSet> set) {
  v.field("metadata", set.metadata);
  v.required("pod", set.pod);
  v.required("nodeName", set.nodeName);
  v.field("sandboxID", set.sandboxID);
  v.field("interfaces", set.interfaces);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkServicePort> port) {
  v.field("name", port.name);
  v.field("protocol", port.protocol);
  v.required("port", port.port);
  v.field("targetPort", port.targetPort);
  v.field("appProtocol", port.appProtocol);
  v.field("nodePort", port.nodePort);
}

template <class V>
void describe(V& v, typename V::template Ref<HttpGetCheck> check) {
  v.field("port", check.port);
  v.field("path", check.path);
  v.field("scheme", check.scheme);
}

template <class V>
void describe(V& v, typename V::template Ref<TcpSocketCheck> check) {
  v.field("port", check.port);
}

template <class V>
void describe(V& v, typename V::template Ref<GrpcCheck> check) {
  v.field("port", check.port);
  v.field("service", check.service);
}

template <class V>
void describe(V& v, typename V::template Ref<HealthCheck> check) {
  v.field("httpGet", check.httpGet);
  v.field("tcpSocket", check.tcpSocket);
  v.field("grpc", check.grpc);
  v.field("periodSeconds", check.periodSeconds);
  v.field("timeoutSeconds", check.timeoutSeconds);
  v.field("failureThreshold", check.failureThreshold);
  v.field("successThreshold", check.successThreshold);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkServiceTermination> termination) {
  v.field("hold", termination.hold);
  v.field("seconds", termination.seconds);
}

template <class V>
void describe(V& v, typename V::template Ref<ClientIpAffinity> affinity) {
  v.field("timeoutSeconds", affinity.timeoutSeconds);
}

template <class V>
void describe(V& v, typename V::template Ref<SessionAffinityConfig> config) {
  v.field("clientIP", config.clientIP);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkServiceSpec> spec) {
  v.required("podNetworkName", spec.podNetworkName);
  v.field("selector", spec.selector);
  v.field("type", spec.type);
  v.field("externalName", spec.externalName);
  v.field("clusterIP", spec.clusterIP);
  v.field("ipFamilies", spec.ipFamilies);
  v.field("ipFamilyPolicy", spec.ipFamilyPolicy);
  v.field("ports", spec.ports);
  v.field("publishNotReadyAddresses", spec.publishNotReadyAddresses);
  v.field("sessionAffinity", spec.sessionAffinity);
  v.field("sessionAffinityConfig", spec.sessionAffinityConfig);
  v.field("internalTrafficPolicy", spec.internalTrafficPolicy);
  v.field("trafficDistribution", spec.trafficDistribution);
  v.field("externalTrafficPolicy", spec.externalTrafficPolicy);
  v.field("loadBalancerClass", spec.loadBalancerClass);
  v.field("loadBalancerSourceRanges", spec.loadBalancerSourceRanges);
  v.field("allocateLoadBalancerNodePorts", spec.allocateLoadBalancerNodePorts);
  v.field("reach", spec.reach);
  v.field("termination", spec.termination);
  v.field("healthCheck", spec.healthCheck);
}

template <class V>
void describe(V& v, typename V::template Ref<EndpointCounts> counts) {
  v.required("ready", counts.ready);
  v.required("serving", counts.serving);
  v.required("terminating", counts.terminating);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkServiceStatus> status) {
  v.field("conditions", status.conditions.items);
  v.field("clusterIPs", status.clusterIPs);
  v.field("nodePorts", status.nodePorts);
  v.field("endpoints", status.endpoints);
  v.field("loadBalancer", status.loadBalancer);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkService> service) {
  v.field("metadata", service.metadata);
  v.required("spec", service.spec);
  v.field("status", service.status);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyPort> port) {
  v.field("protocol", port.protocol);
  v.field("port", port.port);
  v.field("endPort", port.endPort);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyIpBlock> block) {
  v.required("cidr", block.cidr);
  v.field("except", block.except);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyPeer> peer) {
  v.field("podSelector", peer.podSelector);
  v.field("namespaceSelector", peer.namespaceSelector);
  v.field("ipBlock", peer.ipBlock);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyIngressRule> rule) {
  v.field("from", rule.peers);
  v.field("ports", rule.ports);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyEgressRule> rule) {
  v.field("to", rule.peers);
  v.field("ports", rule.ports);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkPolicySpec> spec) {
  v.required("podNetworkNames", spec.podNetworkNames);
  v.field("podSelector", spec.podSelector);
  v.field("policyTypes", spec.policyTypes);
  v.field("ingress", spec.ingress);
  v.field("egress", spec.egress);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyInterfaceCounts> counts) {
  v.required("selected", counts.selected);
  v.required("enforced", counts.enforced);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkPolicyStatus> status) {
  v.field("conditions", status.conditions.items);
  v.field("interfaces", status.interfaces);
  v.field("notEnforced", status.notEnforced);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkPolicy> policy) {
  v.field("metadata", policy.metadata);
  v.required("spec", policy.spec);
  v.field("status", policy.status);
}

template <class V>
void describe(V& v, typename V::template Ref<NamespacedPods> pods) {
  v.field("namespaceSelector", pods.namespaceSelector);
  v.required("podSelector", pods.podSelector);
}

template <class V>
void describe(V& v, typename V::template Ref<ClusterPolicySubject> subject) {
  v.field("namespaces", subject.namespaces);
  v.field("pods", subject.pods);
}

template <class V>
void describe(V& v, typename V::template Ref<ClusterPolicyPeer> peer) {
  v.field("namespaces", peer.namespaces);
  v.field("pods", peer.pods);
  v.field("networks", peer.networks);
  v.field("nodes", peer.nodes);
  v.field("domainNames", peer.domainNames);
}

template <class V>
void describe(V& v, typename V::template Ref<ClusterPolicyPortRange> range) {
  v.required("start", range.start);
  v.required("end", range.end);
}

template <class V>
void describe(V& v, typename V::template Ref<ClusterPolicyPort> port) {
  v.field("number", port.number);
  v.field("range", port.range);
}

template <class V>
void describe(V& v, typename V::template Ref<ClusterPolicyTransport> transport) {
  v.field("destinationPort", transport.destinationPort);
}

template <class V>
void describe(V& v, typename V::template Ref<ClusterPolicyProtocol> protocol) {
  v.field("tcp", protocol.tcp);
  v.field("udp", protocol.udp);
  v.field("sctp", protocol.sctp);
  v.field("destinationNamedPort", protocol.destinationNamedPort);
}

template <class V>
void describe(V& v, typename V::template Ref<ClusterPolicyIngressRule> rule) {
  v.field("name", rule.name);
  v.required("action", rule.action);
  v.required("from", rule.peers);
  v.field("protocols", rule.protocols);
}

template <class V>
void describe(V& v, typename V::template Ref<ClusterPolicyEgressRule> rule) {
  v.field("name", rule.name);
  v.required("action", rule.action);
  v.required("to", rule.peers);
  v.field("protocols", rule.protocols);
}

template <class V>
void describe(V& v, typename V::template Ref<ClusterPodNetworkPolicySpec> spec) {
  v.required("podNetworkNames", spec.podNetworkNames);
  v.required("tier", spec.tier);
  v.required("priority", spec.priority);
  v.required("subject", spec.subject);
  v.field("ingress", spec.ingress);
  v.field("egress", spec.egress);
}

template <class V>
void describe(V& v, typename V::template Ref<ClusterPodNetworkPolicy> policy) {
  v.field("metadata", policy.metadata);
  v.required("spec", policy.spec);
  v.field("status", policy.status);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyHeadPeer> peer) {
  v.required("podNetworkName", peer.podNetworkName);
  v.required("peer", peer.peer);
  v.required("slices", peer.slices);
  v.required("members", peer.members);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyHead> head) {
  v.required("policyGeneration", head.policyGeneration);
  v.field("spec", head.spec);
  v.field("clusterSpec", head.clusterSpec);
  v.field("podNetworkName", head.podNetworkName);
  v.field("peers", head.peers);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyMember> member) {
  v.required("address", member.address);
  v.field("port", member.port);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyMembers> members) {
  v.required("podNetworkName", members.podNetworkName);
  v.required("peer", members.peer);
  v.field("entries", members.entries);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyLedgerEntry> entry) {
  v.required("name", entry.name);
  v.required("uid", entry.uid);
  v.required("generation", entry.generation);
}

template <class V>
void describe(V& v, typename V::template Ref<PolicyLedger> ledger) {
  v.field("clusterPolicies", ledger.clusterPolicies);
}

template <class V>
void describe(V& v, typename V::template Ref<PodNetworkPolicySlice> slice) {
  v.field("metadata", slice.metadata);
  v.field("policyName", slice.policyName);
  v.field("clusterPolicyName", slice.clusterPolicyName);
  v.required("policyUID", slice.policyUID);
  v.field("head", slice.head);
  v.field("members", slice.members);
  v.field("ledger", slice.ledger);
}

template <class V>
void describe(V& v, typename V::template Ref<NetworkCheck> check) {
  v.required("name", check.name);
  v.required("status", check.status);
  v.field("reason", check.reason);
  v.field("message", check.message);
}

template <class V>
void describe(V& v, typename V::template Ref<NodeNetwork> network) {
  v.required("podNetworkName", network.podNetworkName);
  v.field("podNetworkUID", network.podNetworkUID);
  v.field("conditions", network.conditions.items);
  v.field("checks", network.checks);
}

template <class V>
void describe(V& v, typename V::template Ref<NodeNetworkSetSpec> spec) {
  v.required("nodeName", spec.nodeName);
}

template <class V>
void describe(V& v, typename V::template Ref<NodeAgent> agent) {
  v.required("journalID", agent.journalID);
  v.required("bootID", agent.bootID);
}

template <class V>
void describe(V& v, typename V::template Ref<NodeNetworkSetStatus> status) {
  v.field("conditions", status.conditions.items);
  v.field("networks", status.networks);
  v.field("omittedNetworks", status.omittedNetworks);
  v.field("agent", status.agent);
  v.field("claimant", status.claimant);
  v.field("policyRevision", status.policyRevision);
}

template <class V>
void describe(V& v, typename V::template Ref<NodeNetworkSet> set) {
  v.field("metadata", set.metadata);
  v.required("spec", set.spec);
  v.field("status", set.status);
}

template <class V>
void describe(V& v, typename V::template Ref<NetworkPeer> peer) {
  v.field("metadata", peer.metadata);
  v.required("podNetworkName", peer.podNetworkName);
  v.required("podNetworkUID", peer.podNetworkUID);
  v.required("nodeName", peer.nodeName);
  v.field("underlayIPs", peer.underlayIPs);
  v.field("bridgeMAC", peer.bridgeMAC);
}

template <class V>
void describe(V& v, typename V::template Ref<IPBlockSpec> spec) {
  v.required("podNetworkName", spec.podNetworkName);
  v.required("podNetworkUID", spec.podNetworkUID);
  v.required("cidr", spec.cidr);
  v.required("nodeName", spec.nodeName);
}

template <class V>
void describe(V& v, typename V::template Ref<IPBlock> block) {
  v.field("metadata", block.metadata);
  v.required("spec", block.spec);
}

template <class V>
void describe(V& v, typename V::template Ref<NetworkIdentifierSpec> spec) {
  v.required("kind", spec.kind);
  v.required("id", spec.id);
  v.required("podNetworkName", spec.podNetworkName);
  v.required("podNetworkUID", spec.podNetworkUID);
}

template <class V>
void describe(V& v, typename V::template Ref<NetworkIdentifier> identifier) {
  v.field("metadata", identifier.metadata);
  v.required("spec", identifier.spec);
}

}  // namespace multinet::api
