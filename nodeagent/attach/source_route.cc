#include "nodeagent/attach/source_route.h"

#include "nodeagent/attach/routes.h"

namespace multinet::agent::attach {
namespace {

using drivers::Op;
using netlink::RouteInfo;
using netlink::RuleInfo;

/// The table of one interface for one family.
class SourceTable {
 public:
  SourceTable(const Observed& observed, const InterfacePlan& interface, int linkIndex,
              std::uint32_t table)
      : observed_(observed), interface_(interface), linkIndex_(linkIndex), table_(table) {}

  std::vector<Op> run(IpFamily family, const IpAddress& gateway) {
    for (const AddressPlan& address : interface_.addresses) {
      const IpPrefix subnet(address.address.address, address.address.length);
      if (subnet.family() == family) addRoute(subnet, std::nullopt);
    }
    for (const bool onLink : {true, false}) {
      for (const RoutePlan& route : interface_.routes) {
        if (route.to.family() != family || route.via.has_value() == onLink) continue;
        addRoute(route.to, route.via);
      }
    }
    addRoute(everything(family), gateway);
    for (const AddressPlan& address : interface_.addresses) {
      const IpAddress& from = address.address.address;
      const RuleInfo rule{from, table_, kSourceRulePriority, false};
      if (from.family() == family && !hasRule(observed_, rule)) add(drivers::AddRule{rule});
    }
    return std::move(ops_);
  }

 private:
  void addRoute(const IpPrefix& to, const std::optional<IpAddress>& via) {
    RouteInfo route;
    route.to = to;
    route.via = via;
    route.linkIndex = linkIndex_;
    route.metric = plainMetric(to.family());
    route.table = table_;
    if (std::find(planned_.begin(), planned_.end(), to) != planned_.end()) return;
    planned_.push_back(to);
    if (hasRoute(observed_, route)) return;
    removeOther(route);
    add(drivers::AddRoute{route});
  }

  /// The table is ours alone: what else stands there for that destination is in the way.
  void removeOther(const RouteInfo& wanted) {
    for (const RouteInfo& route : observed_.podRoutes) {
      if (route.table == table_ && route.to == wanted.to) add(drivers::RemoveRoute{route});
    }
  }

  void add(drivers::Action action) { ops_.push_back(Op{interface_.name.str(), std::move(action)}); }

  const Observed& observed_;
  const InterfacePlan& interface_;
  int linkIndex_;
  std::uint32_t table_;
  std::vector<IpPrefix> planned_;
  std::vector<Op> ops_;
};

}  // namespace

std::vector<Op> planSourceRoutes(const Observed& observed, const InterfacePlan& interface,
                                 int linkIndex, std::size_t position) {
  const std::uint32_t table = kSourceTableBase + static_cast<std::uint32_t>(position);
  std::vector<Op> ops;
  for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) {
    const auto gateway = gatewayOf(interface, family);
    if (!gateway) continue;
    auto steps = SourceTable(observed, interface, linkIndex, table).run(family, *gateway);
    ops.insert(ops.end(), std::make_move_iterator(steps.begin()),
               std::make_move_iterator(steps.end()));
  }
  return ops;
}

}  // namespace multinet::agent::attach
