// What a network must never take from the node: the devices, ports and addresses that the node and
// its pods live on. Asked before each step, whatever the API says: an admission that was passed,
// was away or was wrong doesn't cost a node. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nodeagent/networks/host.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// Why `device` can't be given to the network as a whole (a bridge's uplink, the parent of a
/// Passthru macvlan): it has addresses, carries routes, is the underlay of tunnels, is a port of
/// another device or stands below one, or is of Multinet's own making. `host` with routes.
[[nodiscard]] std::optional<Refusal> refuseDevice(const DesiredNetwork& network,
                                                  const netlink::LinkInfo& device, const Host& host,
                                                  const std::string& defaultUnderlay);

/// Why pods must not get routes to the network's subnets: they would hide the cluster's Services,
/// pods or nodes. A network with a wire of its own may lie in the nodes' range: that wire may well
/// be the nodes'.
[[nodiscard]] std::optional<Refusal> refuseRange(const DesiredNetwork& network, const Host& host,
                                                 const std::string& defaultUnderlay);

/// What judge() needs besides: nothing, where all tunnels that somebody wants are made and no
/// device is to be taken.
[[nodiscard]] HostDetail detailFor(const std::vector<DesiredNetwork>& desired, const Host& host);

/// The networks that are to be served on this host, and those that could be and that nobody wants:
/// of these nothing is expected here, and they take nothing from others. What is to be kept and has
/// no links here is left out. Demand is settled: Wanted or None; interfaces of pods in a network's
/// bridge count as Wanted, whoever forgot them. Each with its refusal; what its type has to say of
/// that is settled (for a tunnel, addresses of peers to which it may not send are left out).
[[nodiscard]] std::vector<DesiredNetwork> judge(const std::vector<DesiredNetwork>& desired,
                                                const Host& host,
                                                const std::string& defaultUnderlay);

}  // namespace multinet::agent::networks
