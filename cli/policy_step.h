// What policies say of a connection from a pod to a service's endpoints, as one step of its way.
// By the evaluator that nodes are held against; what nodes hold interfaces to is another matter,
// which their PodInterfaceSets say. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/service_trace.h"

namespace multinet::cli {

/// Who connects.
struct Caller {
  std::string pod;                   ///< `shop/client`
  std::vector<IpAddress> addresses;  ///< on the network
  bool throughNode = false;          ///< by its node's gateway, whose address is no pod's
};

/// An endpoint that it may come to.
struct Arrival {
  std::size_t endpoint = 0;  ///< its place in ServiceWay::endpoints
  IpAddress address;
  std::optional<api::Protocol> protocol;
  std::uint16_t port = 0;
};

/// Refuses where none of the endpoints may be reached, warns where some may not or where it can't
/// be said. `endpoints`: `denied` of those that may not is set.
[[nodiscard]] WayStep judge(const PolicyView& view, const Caller& caller,
                            const std::vector<Arrival>& arrivals,
                            std::vector<WayEndpoint>& endpoints);

}  // namespace multinet::cli
