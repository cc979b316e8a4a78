// What a Service and its slices mean for the node: which address and port leads to which endpoints.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "lib/base/ids.h"
#include "lib/k8s/core.h"
#include "nodeagent/services/usable.h"

namespace multinet::agent::services {

enum class Transport : std::uint8_t { Tcp = 6, Udp = 17 };  ///< numbers of the protocol (IANA)

/// What a client connects to.
struct Frontend {
  IpAddress address;
  std::uint16_t port = 0;
  Transport transport = Transport::Tcp;
  auto operator<=>(const Frontend&) const = default;
};
/// `TCP 10.96.3.7:80`
[[nodiscard]] std::string str(const Frontend& frontend);

/// Of a ClusterIP each port in each family with the endpoints that clients of this node get, none
/// where none is usable. A headless service has none; SCTP isn't translated. Slices that aren't
/// the controller's are passed over. Pure.
[[nodiscard]] std::map<Frontend, std::vector<Target>> frontendsOf(
    const k8s::Service& service,
    const std::vector<std::shared_ptr<const k8s::EndpointSlice>>& slices, const NodeName& node);

}  // namespace multinet::agent::services
