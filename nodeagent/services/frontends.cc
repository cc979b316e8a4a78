#include "nodeagent/services/frontends.h"

#include <algorithm>
#include <optional>

#include "nodeagent/watch/caches.h"

namespace multinet::agent::services {
namespace {

std::optional<Transport> transportOf(const std::string& protocol) {
  if (protocol.empty() || protocol == "TCP") return Transport::Tcp;
  if (protocol == "UDP") return Transport::Udp;
  return std::nullopt;
}

std::optional<std::uint16_t> portOf(std::optional<std::int32_t> port) {
  if (!port || *port < 1 || *port > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(*port);
}

/// Which port of the endpoints one of the Service is: by its name, and protocol.
std::optional<std::uint16_t> targetPort(const k8s::EndpointSlice& slice,
                                        const k8s::ServicePort& port) {
  for (const k8s::EndpointPort& one : slice.ports) {
    if (one.name == port.name && transportOf(one.protocol) == transportOf(port.protocol)) {
      return portOf(one.port);
    }
  }
  return std::nullopt;
}

void addEndpoints(const k8s::EndpointSlice& slice, std::uint16_t port, const NodeName& node,
                  std::vector<EndpointView>& views) {
  for (const k8s::Endpoint& one : slice.endpoints) {
    // More than one would be the same endpoint once more (API: fungible); readers take the first.
    const auto address = one.addresses.empty() ? Result<IpAddress>(fail(Error{}))
                                               : IpAddress::parse(one.addresses.front());
    if (!address) continue;
    const bool ready = one.conditions.ready.value_or(true);
    views.push_back({{*address, port},
                     ready,
                     one.conditions.serving.value_or(ready),
                     one.conditions.terminating.value_or(false),
                     one.nodeName == node.str()});
  }
}

}  // namespace

std::string str(const Frontend& frontend) {
  const bool v4 = frontend.address.isV4();
  return std::string(frontend.transport == Transport::Tcp ? "TCP " : "UDP ") + (v4 ? "" : "[") +
         frontend.address.str() + (v4 ? ":" : "]:") + std::to_string(frontend.port);
}

std::map<Frontend, std::vector<Target>> frontendsOf(
    const k8s::Service& service,
    const std::vector<std::shared_ptr<const k8s::EndpointSlice>>& slices, const NodeName& node) {
  std::map<Frontend, std::vector<Target>> frontends;
  const auto policy = service.spec.internalTrafficPolicy == "Local" ? api::TrafficPolicy::Local
                                                                    : api::TrafficPolicy::Cluster;
  for (const std::string& text : service.spec.clusterIPs) {
    const auto address = IpAddress::parse(text);
    if (!address) continue;  // None
    for (const k8s::ServicePort& port : service.spec.ports) {
      const auto transport = transportOf(port.protocol);
      const auto number = portOf(port.port);
      if (!transport || !number) continue;
      std::vector<EndpointView> views;
      for (const auto& slice : slices) {
        if (!watch::isControllers(*slice)) continue;
        if (slice->addressType != name(address->family())) continue;
        if (const auto target = targetPort(*slice, port)) {
          addEndpoints(*slice, *target, node, views);
        }
      }
      frontends[{*address, *number, *transport}] = usable(views, policy);
    }
  }
  return frontends;
}

}  // namespace multinet::agent::services
