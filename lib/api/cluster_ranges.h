// Ranges that the cluster itself uses, and networks that would hide them from their pods.
#pragma once

#include <string>
#include <vector>

#include "lib/api/pod_network.h"
#include "lib/api/violation.h"
#include "lib/base/ip.h"

namespace multinet::api {

/// Who has the addresses of a range.
enum class RangeUse : std::uint8_t { Services, Pods, Node };

struct ClusterRange {
  IpPrefix prefix;
  RangeUse use = RangeUse::Services;
  std::string owner;  ///< ServiceCIDR's or Node's name; empty: not told, nor a node's addresses
  bool operator==(const ClusterRange&) const = default;
};

/// A pod's interface has a route to each subnet of its network, which goes before eth0's default
/// route: whoever has these addresses in the cluster is out of the pod's reach. Refused for
/// Services and pods (the pod would be without DNS); for a node's own address a warning, since a
/// network may well be the nodes' own wire. `network` is looked at where `before` (nullptr: a new
/// network) doesn't have the same subnet: what was accepted once stays repairable. Pure.
[[nodiscard]] Report checkClusterRanges(const PodNetwork& network, const PodNetwork* before,
                                        const std::vector<ClusterRange>& ranges);

}  // namespace multinet::api
