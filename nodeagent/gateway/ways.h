// What of a Service goes through its network's gateway on a node: where clients come in who aren't
// on the network, and to which endpoints they are led. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/endpoints/frontends.h"
#include "lib/policy/ranges.h"
#include "nodeagent/policy/clients.h"

namespace multinet::agent::gateway {

using endpoints::Place;
using endpoints::Slices;
using endpoints::Target;
using endpoints::Transport;

/// Where clients come in.
struct Entrance {
  std::optional<IpAddress> address;  ///< nothing: any of the node's own, a NodePort
  std::uint16_t port = 0;
  std::vector<IpPrefix> sources{};  ///< who may; empty: anybody. None is in another
  bool operator==(const Entrance&) const = default;
};

/// One port of a Service in one family, as clients of one kind see it.
struct Way {
  /// `shop/web/http IPv4 external`: tells it from all others, and is the same in each agent.
  std::string name;
  IpFamily family = IpFamily::V4;
  Transport transport = Transport::Tcp;
  std::vector<Entrance> entrances{};
  std::vector<Target> targets{};  ///< at most kMostTargets; empty: whoever comes is refused
  /// For how many seconds a client keeps the target that it was given; 0: not at all.
  std::uint32_t affinity = 0;
  /// Where it leads to this node's endpoints alone, by its Service's policy: all that there are,
  /// also those that nobody is led to. Their policies say who is let in.
  std::vector<Target> here{};
  /// Those are let in by their own addresses; in order, disjoint.
  policy::Ranges clients{};
  bool operator==(const Way&) const = default;
};

/// Of a Service with more endpoints each node takes so many, chosen by a hash of both.
inline constexpr std::size_t kMostTargets = 128;

/// Whether clients who aren't on its network are to reach it by what the Service says: type
/// NodePort or LoadBalancer, or `reach: Cluster`.
[[nodiscard]] bool isOpen(const k8s::Service& service);
/// Whether nodes without an endpoint of it have to do with it: it is open, and not only by
/// `externalTrafficPolicy: Local`.
[[nodiscard]] bool isOpenEverywhere(const k8s::Service& service);

/// External: NodePorts and addresses of load balancers, with endpoints by externalTrafficPolicy.
/// Internal: ClusterIPs with `reach: Cluster`, by internalTrafficPolicy. A way without an entrance
/// is none. SCTP has none.
[[nodiscard]] std::vector<Way> waysOf(const k8s::Service& service, const Slices& slices,
                                      const Place& place);

/// How many pods of `place.node` are ready for clients who come in from outside: what its
/// healthCheckNodePort tells a load balancer. Those that end aren't, though they serve while no
/// other does: new connections are to go to other nodes (KEP-1669; kube-proxy 1.34,
/// LocalReadyEndpoints). Whether there is a way in already doesn't matter: a load balancer may ask
/// before it gives an address.
[[nodiscard]] std::size_t readyHere(const k8s::Service& service, const Slices& slices,
                                    const Place& place);

/// Whom all endpoints of a way admit that are isolated and here; none where none is isolated, since
/// then everybody is let in anyhow.
[[nodiscard]] policy::Ranges clientsOf(const Way& way, const policing::Admissions& admissions);
/// More ranges than that aren't told to the kernel: its clients are let in as the gateway is.
inline constexpr std::size_t kMostClientRanges = 4096;

/// Its ClusterIPs; none of a headless one or of type ExternalName.
[[nodiscard]] std::vector<IpAddress> addressesOf(const k8s::Service& service);

}  // namespace multinet::agent::gateway
