// What the planners of routes have in common. Pure.
#pragma once

#include <algorithm>
#include <optional>

#include "nodeagent/attach/plan.h"

namespace multinet::agent::attach {

/// `0.0.0.0/0`, `::/0`.
[[nodiscard]] inline IpPrefix everything(IpFamily family) {
  return IpPrefix(IpAddress(family, 0), 0);
}

/// What the kernel reads back where no metric was given: 0, IPv6 1024 (IP6_RT_PRIO_USER).
[[nodiscard]] inline std::uint32_t plainMetric(IpFamily family) {
  return family == IpFamily::V4 ? 0 : 1024;
}

/// Whether that very route is there.
[[nodiscard]] inline bool hasRoute(const Observed& observed, const netlink::RouteInfo& wanted) {
  return std::any_of(observed.podRoutes.begin(), observed.podRoutes.end(),
                     [&](const netlink::RouteInfo& route) {
                       return route.to == wanted.to && route.via == wanted.via &&
                              route.linkIndex == wanted.linkIndex && route.table == wanted.table &&
                              route.metric == wanted.metric;
                     });
}

[[nodiscard]] inline bool hasRule(const Observed& observed, const netlink::RuleInfo& wanted) {
  return std::find(observed.podRules.begin(), observed.podRules.end(), wanted) !=
         observed.podRules.end();
}

/// The first that the interface's addresses of that family know.
[[nodiscard]] inline std::optional<IpAddress> gatewayOf(const InterfacePlan& interface,
                                                        IpFamily family) {
  for (const AddressPlan& address : interface.addresses) {
    if (address.address.address.family() == family && address.gateway) return address.gateway;
  }
  return std::nullopt;
}

}  // namespace multinet::agent::attach
