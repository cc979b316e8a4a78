#include "lib/endpoints/frontends.h"

#include <algorithm>

#include "lib/api/service.h"

namespace multinet::endpoints {
namespace {

std::optional<std::uint16_t> portOf(std::optional<std::int32_t> port) {
  if (!port || *port < 1 || *port > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(*port);
}

/// An absent one is TCP.
bool sameProtocol(const std::string& left, const std::string& right) {
  return (left.empty() ? "TCP" : left) == (right.empty() ? "TCP" : right);
}

/// Which port of the endpoints one of the Service is: by its name, and protocol. 0: none.
std::uint16_t targetPort(const k8s::EndpointSlice& slice, const k8s::ServicePort& port) {
  for (const k8s::EndpointPort& one : slice.ports) {
    if (one.name == port.name && sameProtocol(one.protocol, port.protocol)) {
      return portOf(one.port).value_or(0);
    }
  }
  return 0;
}

Hint hintFor(const std::vector<k8s::HintedFor>& hinted, const std::string& name) {
  if (hinted.empty()) return Hint::None;
  const bool ours = std::ranges::find(hinted, name, &k8s::HintedFor::name) != hinted.end();
  return ours ? Hint::Ours : Hint::Others;
}

}  // namespace

std::optional<Transport> transportOf(const std::string& protocol) {
  if (protocol.empty() || protocol == "TCP") return Transport::Tcp;
  if (protocol == "UDP") return Transport::Udp;
  return std::nullopt;
}

bool isControllers(const k8s::EndpointSlice& slice) {
  const k8s::StringMap& labels = *slice.metadata.labels;
  const auto manager = labels.find(api::kManagedByLabel);
  return manager != labels.end() && manager->second == api::kServiceManager;
}

std::string str(const Frontend& frontend) {
  const bool v4 = frontend.address.isV4();
  return std::string(frontend.transport == Transport::Tcp ? "TCP " : "UDP ") + (v4 ? "" : "[") +
         frontend.address.str() + (v4 ? ":" : "]:") + std::to_string(frontend.port);
}

api::TrafficPolicy policyOf(const k8s::Service& service) {
  return service.spec.internalTrafficPolicy == "Local" ? api::TrafficPolicy::Local
                                                       : api::TrafficPolicy::Cluster;
}

bool reachesCluster(const k8s::Service& service) {
  const k8s::StringMap& labels = *service.metadata.labels;
  const auto reach = labels.find(api::kReachLabel);
  return reach != labels.end() && reach->second == "Cluster";
}

std::uint32_t affinityOf(const k8s::Service& service) {
  if (*service.spec.sessionAffinity != "ClientIP") return 0;
  const auto& config = service.spec.sessionAffinityConfig;
  const std::int32_t seconds =
      config && config->clientIP ? config->clientIP->timeoutSeconds.value_or(api::kAffinitySeconds)
                                 : api::kAffinitySeconds;
  return static_cast<std::uint32_t>(std::clamp(seconds, 1, api::kMostAffinitySeconds));
}

std::vector<EndpointView> endpointsOf(const k8s::ServicePort& port, IpFamily family,
                                      const Slices& slices, const Place& place) {
  std::vector<EndpointView> views;
  for (const auto& slice : slices) {
    if (!isControllers(*slice) || slice->addressType != name(family)) continue;
    const std::uint16_t target = targetPort(*slice, port);
    for (const k8s::Endpoint& one : slice->endpoints) {
      // More than one would be the same endpoint once more (API: fungible); readers take the first.
      if (one.addresses.empty()) continue;
      const auto address = IpAddress::parse(one.addresses.front());
      if (!address) continue;
      const bool ready = one.conditions.ready.value_or(true);
      views.push_back({{*address, target},
                       ready,
                       one.conditions.serving.value_or(ready),
                       one.conditions.terminating.value_or(false),
                       one.nodeName == place.node.str(),
                       hintFor(one.hints->forNodes, place.node.str()),
                       hintFor(one.hints->forZones, place.zone),
                       &one});
    }
  }
  return views;
}

std::map<Frontend, std::vector<Target>> frontendsOf(const k8s::Service& service,
                                                    const Slices& slices, const Place& place) {
  std::map<Frontend, std::vector<Target>> frontends;
  for (const std::string& text : service.spec.clusterIPs) {
    const auto address = IpAddress::parse(text);
    if (!address) continue;  // None
    for (const k8s::ServicePort& port : service.spec.ports) {
      const auto transport = transportOf(port.protocol);
      const auto number = portOf(port.port);
      if (!transport || !number) continue;
      frontends[{*address, *number, *transport}] =
          usable(endpointsOf(port, address->family(), slices, place), policyOf(service));
    }
  }
  return frontends;
}

}  // namespace multinet::endpoints
