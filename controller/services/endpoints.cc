#include "controller/services/endpoints.h"

#include <algorithm>
#include <optional>

#include "lib/api/service.h"
#include "lib/api/spelling.h"
#include "lib/k8s/zone.h"

namespace multinet::controller {
namespace {

std::optional<std::int32_t> portOf(const std::vector<k8s::Container>& containers,
                                   const api::PodNetworkServicePort& port) {
  const auto protocol = k8s::spell(port.protocol);
  for (const auto& container : containers) {
    for (const auto& one : container.ports) {
      const bool sameProtocol =
          one.protocol == protocol || (one.protocol.empty() && port.protocol == api::Protocol::TCP);
      if (one.name == port.targetPort.name && sameProtocol) return one.containerPort;
    }
  }
  return std::nullopt;
}

/// Init containers that go on beside the others.
std::vector<k8s::Container> sidecarsOf(const k8s::PodSpec& spec) {
  std::vector<k8s::Container> sidecars;
  std::ranges::copy_if(spec.initContainers, std::back_inserter(sidecars),
                       [](const auto& one) { return one.restartPolicy == "Always"; });
  return sidecars;
}

std::optional<std::int32_t> numberOf(const k8s::PodSpec& spec,
                                     const api::PodNetworkServicePort& port) {
  if (port.targetPort.name.empty()) return port.targetPort.number;
  if (const auto found = portOf(spec.containers, port)) return found;
  return portOf(sidecarsOf(spec), port);
}

std::vector<k8s::EndpointPort> portsOf(const api::PodNetworkServiceSpec& service,
                                       const k8s::PodSpec& pod) {
  std::vector<k8s::EndpointPort> ports;
  for (const auto& one : service.ports) {
    const auto port = api::withDefaults(one);
    if (const auto number = numberOf(pod, port)) {
      ports.push_back(
          {port.name, std::string(k8s::spell(port.protocol)), number, port.appProtocol});
    }
  }
  return ports;
}

/// Said of this Service, not of one that had its name before.
bool isHealthy(const api::PodInterface& interface, const k8s::ObjectMeta& service) {
  return std::ranges::any_of(*interface.health, [&](const api::InterfaceHealth& one) {
    return one.healthy && one.service == service.name && one.serviceUID == service.uid;
  });
}

k8s::EndpointConditions conditionsOf(const PodOnNetwork& on,
                                     const api::PodNetworkServiceSpec& service,
                                     const k8s::ObjectMeta& standing) {
  const bool serving = on.pod->status.conditions.isTrue("Ready") &&
                       on.interface->conditions.isTrue("Ready") &&
                       (!service.healthCheck || isHealthy(*on.interface, standing));
  const bool terminating =
      on.pod->metadata.deleting() || on.interface->conditions.isTrue(api::kDraining);
  return {service.publishNotReadyAddresses || (serving && !terminating), serving, terminating};
}

k8s::EndpointHints hintsFor(const k8s::Endpoint& endpoint, const std::string& distribution) {
  k8s::EndpointHints hints;
  const bool sameNode = distribution == "PreferSameNode";
  const bool sameZone = distribution == "PreferSameZone" || distribution == "PreferClose";
  if ((!sameNode && !sameZone) || endpoint.conditions.ready != true) return hints;
  if (!endpoint.zone->empty()) hints.forZones = {{endpoint.zone}};
  if (sameNode && !endpoint.nodeName.empty()) hints.forNodes = {{endpoint.nodeName}};
  return hints;
}

}  // namespace

std::vector<WantedEndpoint> endpointsOf(const api::PodNetworkServiceSpec& service,
                                        const std::vector<api::AddressFamily>& families,
                                        const std::vector<PodOnNetwork>& pods,
                                        const k8s::Service& standing) {
  std::vector<WantedEndpoint> endpoints;
  for (const auto& on : pods) {
    const k8s::Pod& pod = *on.pod;
    if (pod.finished()) continue;
    const auto ports = portsOf(service, pod.spec);
    for (const auto family : families) {
      const auto& ips = on.interface->ips;
      const auto ip = std::ranges::find(ips, family, &api::PodInterfaceAddress::family);
      if (ip == ips.end()) continue;
      auto& made = endpoints.emplace_back();
      made.addressType = k8s::spell(family);
      made.ports = ports;
      made.endpoint.addresses = {ip->address.substr(0, ip->address.find('/'))};
      made.endpoint.conditions = conditionsOf(on, service, standing.metadata);
      // Whatever the pod's subdomain is: a StatefulSet's is its own Service, and its pods' names
      // hold on the network, too.
      made.endpoint.hostname = pod.spec.hostname;
      made.endpoint.nodeName = pod.spec.nodeName;
      if (on.node != nullptr) made.endpoint.zone = k8s::zoneOf(*on.node);
      made.endpoint.hints = hintsFor(made.endpoint, standing.spec.trafficDistribution);
      made.endpoint.targetRef =
          k8s::ObjectReference{"Pod", pod.metadata.nameSpace, pod.metadata.name, pod.metadata.uid};
    }
  }
  return endpoints;
}

}  // namespace multinet::controller
