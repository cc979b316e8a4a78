// Which endpoints of a service get connections from a node.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/api/pod_network_service.h"
#include "lib/base/ip.h"
#include "lib/k8s/core.h"

namespace multinet::endpoints {

/// Where a connection goes.
struct Target {
  IpAddress address;
  std::uint16_t port = 0;
  auto operator<=>(const Target&) const = default;
};

/// For whom an endpoint is hinted: for nobody, for others, or for the client's node (or its zone).
enum class Hint : std::uint8_t { None, Others, Ours };

/// One endpoint in one port. What a slice leaves out is ready, serving and not terminating, as the
/// API defines it.
struct EndpointView {
  Target target;  ///< port 0: its pod has none of that name
  bool ready = true;
  bool serving = true;
  bool terminating = false;
  bool here = false;  ///< on this node
  Hint forNode = Hint::None;
  Hint forZone = Hint::None;
  const k8s::Endpoint* told = nullptr;  ///< as the slice has it, which outlives the view
};

/// Whether an endpoint gets connections, or why it doesn't.
enum class Use : std::uint8_t {
  Used,
  NoPort,       ///< its pod has no port of the name that `targetPort` says
  NotReady,     ///< and not one that ends and still serves
  Terminating,  ///< others are ready
  Elsewhere,    ///< on another node, and the policy is Local
  NotHinted     ///< ready, as are others that are hinted for the client's node or zone
};

/// As kube-proxy means it (1.34, pkg/proxy/topology.go): those that are ready; where none is, those
/// that end and still serve, since a connection to one of them is better than none. With `Local` of
/// this node's alone. Otherwise, of those that are ready, the ones hinted for this node, where all
/// have a hint for a node and one is for this; else those for its zone, likewise; else all. One for
/// each endpoint, in their order. Pure.
[[nodiscard]] std::vector<Use> useOf(const std::vector<EndpointView>& endpoints,
                                     api::TrafficPolicy policy);

/// The targets of those that are used, each once, in order. Pure.
[[nodiscard]] std::vector<Target> usable(const std::vector<EndpointView>& endpoints,
                                         api::TrafficPolicy policy);

}  // namespace multinet::endpoints
