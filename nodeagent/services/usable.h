// Which endpoints of a service get connections from this node.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/api/pod_network_service.h"
#include "lib/base/ip.h"

namespace multinet::agent::services {

/// Where a connection goes.
struct Target {
  IpAddress address;
  std::uint16_t port = 0;
  auto operator<=>(const Target&) const = default;
};

/// One endpoint in one port. What a slice leaves out is ready, serving and not terminating, as the
/// API defines it.
struct EndpointView {
  Target target;
  bool ready = true;
  bool serving = true;
  bool terminating = false;
  bool here = false;  ///< on this node
};

/// As kube-proxy means it: those that are ready; where none is, those that end and still serve,
/// since a connection to one of them is better than none. With `Local` of this node's alone. Each
/// once, in order. Pure.
[[nodiscard]] std::vector<Target> usable(const std::vector<EndpointView>& endpoints,
                                         api::TrafficPolicy policy);

}  // namespace multinet::agent::services
