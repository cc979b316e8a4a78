// What a Service and its slices mean for a node: which address and port leads to which endpoints.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/ids.h"
#include "lib/endpoints/usable.h"
#include "lib/k8s/core.h"

namespace multinet::endpoints {

using Slices = std::vector<std::shared_ptr<const k8s::EndpointSlice>>;

/// Whether our controller made it. Anybody's may name one of our Services; those count for nothing.
[[nodiscard]] bool isControllers(const k8s::EndpointSlice& slice);

enum class Transport : std::uint8_t { Tcp = 6, Udp = 17 };  ///< numbers of the protocol (IANA)

/// Of a port's `protocol`; absent is TCP. Nothing for those that aren't translated.
[[nodiscard]] std::optional<Transport> transportOf(const std::string& protocol);

/// Where clients of a node are.
struct Place {
  NodeName node;
  std::string zone;  ///< empty: it is in none
};

/// What a client connects to.
struct Frontend {
  IpAddress address;
  std::uint16_t port = 0;
  Transport transport = Transport::Tcp;
  auto operator<=>(const Frontend&) const = default;
};
/// `TCP 10.96.3.7:80`
[[nodiscard]] std::string str(const Frontend& frontend);

/// Whose endpoints the Service gives a client by its ClusterIP.
[[nodiscard]] api::TrafficPolicy policyOf(const k8s::Service& service);

/// Whether its ClusterIP is for clients who aren't on its network too (`reach: Cluster`). Pure.
[[nodiscard]] bool reachesCluster(const k8s::Service& service);

/// For how many seconds a client of its ClusterIP keeps the endpoint that it was given; 0: not at
/// all. Pure.
[[nodiscard]] std::uint32_t affinityOf(const k8s::Service& service);

/// All endpoints that the slices have for one port of a Service in one family, as clients at
/// `place` see them.
/// Slices that aren't the controller's are passed over. Pure; views point into the slices.
[[nodiscard]] std::vector<EndpointView> endpointsOf(const k8s::ServicePort& port, IpFamily family,
                                                    const Slices& slices, const Place& place);

/// Of a ClusterIP each port in each family with the endpoints that clients at `place` get, none
/// where none is usable. A headless service has none; SCTP isn't translated. Slices that aren't
/// the controller's are passed over. Pure.
[[nodiscard]] std::map<Frontend, std::vector<Target>> frontendsOf(const k8s::Service& service,
                                                                  const Slices& slices,
                                                                  const Place& place);

}  // namespace multinet::endpoints
