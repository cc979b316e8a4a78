#include "nodeagent/attach/default_route.h"

#include <algorithm>

namespace multinet::agent::attach {
namespace {

using drivers::Op;
using netlink::RouteInfo;
using netlink::RuleInfo;

// The kernel writes IPv6 routes without a metric as 1024 (IP6_RT_PRIO_USER), IPv4 ones as 0.
std::uint32_t ownMetric(IpFamily family) {
  return family == IpFamily::V4 ? 0 : 1;
}

IpPrefix everything(IpFamily family) {
  return IpPrefix(IpAddress(family, 0), 0);
}

bool has(const Observed& observed, const RouteInfo& wanted) {
  return std::any_of(observed.podRoutes.begin(), observed.podRoutes.end(),
                     [&](const RouteInfo& route) {
                       return route.to == wanted.to && route.via == wanted.via &&
                              route.linkIndex == wanted.linkIndex && route.table == wanted.table &&
                              route.metric == wanted.metric;
                     });
}

std::optional<IpAddress> gatewayOf(const InterfacePlan& interface, IpFamily family) {
  for (const AddressPlan& address : interface.addresses) {
    if (address.address.address.family() == family && address.gateway) return address.gateway;
  }
  return std::nullopt;
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
    for (const IpPrefix& prefix : interface_.clusterPrefixes) {
      if (prefix.family() != family_ || prefix.length() == 0) continue;
      RouteInfo kept = old;
      kept.to = prefix;
      kept.metric = 0;
      // IPv6 reads back 1024 for 0; write what will be read.
      if (family_ == IpFamily::V6) kept.metric = 1024;
      addRoute(kept);
    }
    answerThrough(old);
    if (old.metric > ownMetric(family_)) return;  // already worse than ours will be
    RouteInfo backup = old;
    backup.metric = old.metric + kBackupMetric;
    addRoute(backup);
    add(drivers::RemoveRoute{old});
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
    if (!has(observed_, route)) add(drivers::AddRoute{route});
  }
  void addRule(const RuleInfo& rule) {
    const auto& rules = observed_.podRules;
    if (std::find(rules.begin(), rules.end(), rule) == rules.end()) add(drivers::AddRule{rule});
  }
  void add(drivers::Action action) { ops_.push_back(Op{interface_.name.str(), std::move(action)}); }

  const Observed& observed_;
  const InterfacePlan& interface_;
  int linkIndex_;
  IpFamily family_;
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
