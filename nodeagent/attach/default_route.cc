#include "nodeagent/attach/default_route.h"

#include <set>

#include "nodeagent/attach/routes.h"

namespace multinet::agent::attach {
namespace {

using drivers::Op;
using netlink::RouteInfo;
using netlink::RuleInfo;

// The kernel writes IPv6 routes without a metric as 1024 (IP6_RT_PRIO_USER), IPv4 ones as 0.
std::uint32_t ownMetric(IpFamily family) {
  return family == IpFamily::V4 ? 0 : 1;
}

/// What only this node answers, on every node: the link-local range, in which DNS caches of the
/// node and the metadata of clouds have their addresses (RFC 3927 keeps it from being routed on),
/// and the range that one cloud has for the same with IPv6. IPv6's own link-local range has a route
/// on each link and never follows a default one.
std::vector<IpPrefix> nodeLocal(IpFamily family) {
  const char* const text = family == IpFamily::V4 ? "169.254.0.0/16" : "fd00:ec2::/32";
  return {IpPrefix::parse(text).value()};
}

class Takeover {
 public:
  Takeover(const Observed& observed, const InterfacePlan& interface, int linkIndex, IpFamily family)
      : observed_(observed), interface_(interface), linkIndex_(linkIndex), family_(family) {}

  std::vector<Op> run(const IpAddress& gateway) {
    for (const RouteInfo& route : observed_.podRoutes) {
      if (route.to == everything(family_) && route.table == netlink::kMainTable &&
          (linkIndex_ == 0 || route.linkIndex != linkIndex_)) {
        keepReachable(route);
      }
    }
    RouteInfo own;
    own.to = everything(family_);
    own.via = gateway;
    own.linkIndex = linkIndex_;
    own.metric = ownMetric(family_);
    addRoute(own);
    return std::move(ops_);
  }

 private:
  /// `old` is the default route of another interface: the cluster's own.
  void keepReachable(const RouteInfo& old) {
    for (const IpPrefix& prefix : interface_.clusterPrefixes) keep(prefix, old);
    for (const IpPrefix& prefix : nodeLocal(family_)) keep(prefix, old);
    answerThrough(old);
    if (old.metric > ownMetric(family_)) return;  // already worse than ours will be
    RouteInfo backup = old;
    backup.metric = old.metric + kBackupMetric;
    addRoute(backup);
    add(drivers::RemoveRoute{old});
  }

  void keep(const IpPrefix& prefix, const RouteInfo& old) {
    if (prefix.family() != family_ || prefix.length() == 0 || hasItsOwnWay(prefix)) return;
    if (!kept_.insert(prefix).second) return;
    RouteInfo kept = old;
    kept.to = prefix;
    kept.metric = plainMetric(family_);
    addRoute(kept);
  }

  /// A route of the cluster's own interface, the kernel's for this one's subnet, or one that this
  /// one was given: none of them follows the default route.
  [[nodiscard]] bool hasItsOwnWay(const IpPrefix& prefix) const {
    const auto& there = observed_.podRoutes;
    const auto& subnets = interface_.addresses;
    const auto& given = interface_.routes;
    return std::any_of(there.begin(), there.end(),
                       [&](const RouteInfo& route) {
                         return route.to == prefix && route.table == netlink::kMainTable;
                       }) ||
           std::any_of(subnets.begin(), subnets.end(),
                       [&](const AddressPlan& subnet) {
                         return IpPrefix(subnet.address.address, subnet.address.length) == prefix;
                       }) ||
           std::any_of(given.begin(), given.end(),
                       [&](const RoutePlan& route) { return route.to == prefix; });
  }

  /// What another asks the pod at its first address is answered from there, by that interface's
  /// gateway; routes longer than the default one count first.
  void answerThrough(const RouteInfo& old) {
    RouteInfo route = old;
    route.table = kClusterTable;
    if (family_ == IpFamily::V6 && route.metric == 0) route.metric = 1024;
    if (route.metric >= kBackupMetric) route.metric -= kBackupMetric;  // seen after the move
    addRoute(route);
    for (const netlink::AddressInfo& address : observed_.podAddresses) {
      if (address.linkIndex != old.linkIndex || address.linkLocal ||
          address.address.address.family() != family_) {
        continue;
      }
      addRule({address.address.address, netlink::kMainTable, kMainRulePriority, true});
      addRule({address.address.address, kClusterTable, kClusterRulePriority, false});
    }
  }

  void addRoute(const RouteInfo& route) {
    if (!hasRoute(observed_, route)) add(drivers::AddRoute{route});
  }
  void addRule(const RuleInfo& rule) {
    if (!hasRule(observed_, rule)) add(drivers::AddRule{rule});
  }
  void add(drivers::Action action) { ops_.push_back(Op{interface_.name.str(), std::move(action)}); }

  const Observed& observed_;
  const InterfacePlan& interface_;
  int linkIndex_;
  IpFamily family_;
  std::set<IpPrefix> kept_;
  std::vector<Op> ops_;
};

}  // namespace

std::vector<Op> planDefaultRoutes(const Observed& observed, const InterfacePlan& interface,
                                  int linkIndex) {
  std::vector<Op> ops;
  for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) {
    const bool wanted =
        family == IpFamily::V4 ? interface.defaultGatewayV4 : interface.defaultGatewayV6;
    const auto gateway = gatewayOf(interface, family);
    if (!wanted || !gateway) continue;
    auto steps = Takeover(observed, interface, linkIndex, family).run(*gateway);
    ops.insert(ops.end(), std::make_move_iterator(steps.begin()),
               std::make_move_iterator(steps.end()));
  }
  return ops;
}

}  // namespace multinet::agent::attach
