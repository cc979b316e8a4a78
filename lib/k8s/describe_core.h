// The one description of what we read of Kubernetes' own kinds; for units that decode or encode.
#pragma once

#include "lib/k8s/core.h"
#include "lib/k8s/describe_shared.h"

namespace multinet::k8s {

template <class V>
void describe(V& v, typename V::template Ref<PodReadinessGate> gate) {
  v.required("conditionType", gate.conditionType);
}

template <class V>
void describe(V& v, typename V::template Ref<ContainerPort> port) {
  v.field("name", port.name);
  v.field("containerPort", port.containerPort);
  v.field("protocol", port.protocol);
}

template <class V>
void describe(V& v, typename V::template Ref<Capabilities> capabilities) {
  v.field("add", capabilities.add);
}

template <class V>
void describe(V& v, typename V::template Ref<SecurityContext> context) {
  v.field("privileged", context.privileged);
  v.field("capabilities", context.capabilities);
}

template <class V>
void describe(V& v, typename V::template Ref<Container> container) {
  v.field("name", container.name);
  v.field("ports", container.ports);
  v.field("restartPolicy", container.restartPolicy);
  v.field("securityContext", container.securityContext);
}

template <class V>
void describe(V& v, typename V::template Ref<PodSpec> spec) {
  v.field("nodeName", spec.nodeName);
  v.field("hostNetwork", spec.hostNetwork);
  v.field("serviceAccountName", spec.serviceAccountName);
  v.field("readinessGates", spec.readinessGates);
  v.field("hostname", spec.hostname);
  v.field("containers", spec.containers);
  v.field("initContainers", spec.initContainers);
  v.field("ephemeralContainers", spec.ephemeralContainers);
}

template <class V>
void describe(V& v, typename V::template Ref<PodIp> ip) {
  v.field("ip", ip.ip);
}

template <class V>
void describe(V& v, typename V::template Ref<PodStatus> status) {
  v.field("phase", status.phase);
  v.field("podIP", status.podIP);
  v.field("podIPs", status.podIPs);
  v.field("conditions", status.conditions.items);
}

template <class V>
void describe(V& v, typename V::template Ref<Pod> pod) {
  v.field("metadata", pod.metadata);
  v.field("spec", pod.spec);
  v.field("status", pod.status);
}

template <class V>
void describe(V& v, typename V::template Ref<NodeAddress> address) {
  v.field("type", address.type);
  v.field("address", address.address);
}

template <class V>
void describe(V& v, typename V::template Ref<Taint> taint) {
  v.field("key", taint.key);
  v.field("value", taint.value);
  v.field("effect", taint.effect);
}

template <class V>
void describe(V& v, typename V::template Ref<NodeSpec> spec) {
  v.field("unschedulable", spec.unschedulable);
  v.field("podCIDRs", spec.podCIDRs);
  v.field("taints", spec.taints);
}

template <class V>
void describe(V& v, typename V::template Ref<NodeStatus> status) {
  v.field("addresses", status.addresses);
  v.field("conditions", status.conditions.items);
}

template <class V>
void describe(V& v, typename V::template Ref<Node> node) {
  v.field("metadata", node.metadata);
  v.field("spec", node.spec);
  v.field("status", node.status);
}

template <class V>
void describe(V& v, typename V::template Ref<NamespaceStatus> status) {
  v.field("phase", status.phase);
}

template <class V>
void describe(V& v, typename V::template Ref<Namespace> object) {
  v.field("metadata", object.metadata);
  v.field("status", object.status);
}

template <class V>
void describe(V& v, typename V::template Ref<ServicePort> port) {
  v.field("name", port.name);
  v.field("protocol", port.protocol);
  v.field("port", port.port);
  v.field("targetPort", port.targetPort);
  v.field("appProtocol", port.appProtocol);
  v.field("nodePort", port.nodePort);
}

template <class V>
void describe(V& v, typename V::template Ref<ClientIpConfig> config) {
  v.field("timeoutSeconds", config.timeoutSeconds);
}

template <class V>
void describe(V& v, typename V::template Ref<SessionAffinityConfig> config) {
  v.field("clientIP", config.clientIP);
}

template <class V>
void describe(V& v, typename V::template Ref<ServiceSpec> spec) {
  v.field("type", spec.type);
  v.field("clusterIP", spec.clusterIP);
  v.field("clusterIPs", spec.clusterIPs);
  v.field("ipFamilies", spec.ipFamilies);
  v.field("ipFamilyPolicy", spec.ipFamilyPolicy);
  v.field("selector", spec.selector);
  v.field("ports", spec.ports);
  v.field("publishNotReadyAddresses", spec.publishNotReadyAddresses);
  v.field("sessionAffinity", spec.sessionAffinity);
  v.field("sessionAffinityConfig", spec.sessionAffinityConfig);
  v.field("internalTrafficPolicy", spec.internalTrafficPolicy);
  v.field("trafficDistribution", spec.trafficDistribution);
  v.field("externalName", spec.externalName);
  v.field("externalTrafficPolicy", spec.externalTrafficPolicy);
  v.field("healthCheckNodePort", spec.healthCheckNodePort);
  v.field("loadBalancerClass", spec.loadBalancerClass);
  v.field("loadBalancerSourceRanges", spec.loadBalancerSourceRanges);
  v.field("allocateLoadBalancerNodePorts", spec.allocateLoadBalancerNodePorts);
}

template <class V>
void describe(V& v, typename V::template Ref<LoadBalancerPort> port) {
  v.required("port", port.port);
  v.required("protocol", port.protocol);
  v.field("error", port.error);
}

template <class V>
void describe(V& v, typename V::template Ref<LoadBalancerIngress> ingress) {
  v.field("ip", ingress.ip);
  v.field("hostname", ingress.hostname);
  v.field("ipMode", ingress.ipMode);
  v.field("ports", ingress.ports);
}

template <class V>
void describe(V& v, typename V::template Ref<LoadBalancerStatus> status) {
  v.field("ingress", status.ingress);
}

template <class V>
void describe(V& v, typename V::template Ref<ServiceStatus> status) {
  v.field("loadBalancer", status.loadBalancer);
}

template <class V>
void describe(V& v, typename V::template Ref<Service> object) {
  v.field("metadata", object.metadata);
  v.field("spec", object.spec);
  v.field("status", object.status);
}

template <class V>
void describe(V& v, typename V::template Ref<EndpointConditions> conditions) {
  v.field("ready", conditions.ready);
  v.field("serving", conditions.serving);
  v.field("terminating", conditions.terminating);
}

template <class V>
void describe(V& v, typename V::template Ref<ObjectReference> reference) {
  v.field("kind", reference.kind);
  v.field("namespace", reference.nameSpace);
  v.field("name", reference.name);
  v.field("uid", reference.uid);
}

template <class V>
void describe(V& v, typename V::template Ref<HintedFor> hinted) {
  v.required("name", hinted.name);
}

template <class V>
void describe(V& v, typename V::template Ref<EndpointHints> hints) {
  v.field("forZones", hints.forZones);
  v.field("forNodes", hints.forNodes);
}

template <class V>
void describe(V& v, typename V::template Ref<Endpoint> endpoint) {
  v.required("addresses", endpoint.addresses);
  v.field("conditions", endpoint.conditions);
  v.field("hostname", endpoint.hostname);
  v.field("nodeName", endpoint.nodeName);
  v.field("zone", endpoint.zone);
  v.field("hints", endpoint.hints);
  v.field("targetRef", endpoint.targetRef);
}

template <class V>
void describe(V& v, typename V::template Ref<EndpointPort> port) {
  v.field("name", port.name);
  v.field("protocol", port.protocol);
  v.field("port", port.port);
  v.field("appProtocol", port.appProtocol);
}

template <class V>
void describe(V& v, typename V::template Ref<EndpointSlice> slice) {
  v.field("metadata", slice.metadata);
  v.required("addressType", slice.addressType);
  v.field("endpoints", slice.endpoints);
  v.field("ports", slice.ports);
}

template <class V>
void describe(V& v, typename V::template Ref<ServiceCidrSpec> spec) {
  v.field("cidrs", spec.cidrs);
}

template <class V>
void describe(V& v, typename V::template Ref<ServiceCidr> object) {
  v.field("metadata", object.metadata);
  v.field("spec", object.spec);
}

}  // namespace multinet::k8s
