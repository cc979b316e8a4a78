#include "nodeagent/attach/plan.h"

#include <algorithm>

#include "nodeagent/attach/default_route.h"
#include "nodeagent/drivers/driver.h"

namespace multinet::agent::attach {
namespace {

using drivers::Op;
using netlink::LinkInfo;

const LinkInfo* byName(const std::vector<LinkInfo>& links, const std::string& name) {
  const auto found = std::find_if(links.begin(), links.end(),
                                  [&](const LinkInfo& link) { return link.name == name; });
  return found == links.end() ? nullptr : &*found;
}

/// One interface's steps.
class Planner {
 public:
  Planner(const Desired& desired, const Observed& observed, const InterfacePlan& interface)
      : desired_(desired),
        observed_(observed),
        interface_(interface),
        driver_(drivers::driverOf(interface.type)),
        alias_(drivers::aliasOf(desired.intent, interface.name.str())) {}

  Result<std::vector<Op>> run() {
    MULTINET_TRY(const LinkInfo* parent, findParent());
    if (interface_.mtu == 0) interface_.mtu = parent->mtu;
    MULTINET_CHECK(checked(driver_.checkParent(interface_, *parent)));
    link_ = findOurs(observed_, desired_.intent, interface_);
    if (link_ == nullptr) {
      MULTINET_CHECK(createLink(*parent));
    } else if (driver_.hasHostEnd()) {
      rejoin(*parent);
    }
    quieten();
    finish();
    addAddresses();
    if (link_ == nullptr || !link_->up) add(drivers::BringUp{});
    addRoutes();
    const auto steps =
        planDefaultRoutes(observed_, interface_, link_ == nullptr ? 0 : link_->index);
    ops_.insert(ops_.end(), steps.begin(), steps.end());
    return std::move(ops_);
  }

 private:
  [[nodiscard]] std::string text() const { return "attach interface " + interface_.name.str(); }
  [[nodiscard]] Status checked(Status status) const {
    if (status) return status;
    return fail(status.error().within(text()));
  }

  Result<const LinkInfo*> findParent() {
    const auto found = observed_.parents.find(interface_.parent);
    if (found != observed_.parents.end()) return &found->second;
    return fail(Code::FailedPrecondition, "ParentMissing",
                text() + ": the node has no device \"" + interface_.parent + "\"");
  }

  Status createLink(const LinkInfo& parent) {
    if (byName(observed_.podLinks, interface_.name.str()) != nullptr) {
      return fail(Code::AlreadyExists, "NameTaken",
                  text() + ": the pod already has a link of that name, and it isn't ours");
    }
    for (unsigned salt = 0; salt < kHostNameSalts; ++salt) {
      const std::string name = drivers::hostLinkName(desired_.intent, interface_.name.str(), salt);
      const auto taken = observed_.hostLinks.find(name);
      if (taken != observed_.hostLinks.end() && taken->second.alias != alias_) continue;
      if (taken != observed_.hostLinks.end()) add(drivers::DeleteHostLink{name});
      add(driver_.create(desired_.intent, interface_, parent, name));
      return {};
    }
    return fail(Code::AlreadyExists, "NameTaken",
                text() + ": " + std::to_string(kHostNameSalts) +
                    " host-side names in a row belong to others");
  }

  /// The host end of a link that is there belongs in the bridge.
  void rejoin(const LinkInfo& parent) {
    for (const auto& [name, link] : observed_.hostLinks) {
      if (link.alias == alias_ && link.master != parent.index) {
        add(drivers::SetHostBridge{name, parent.name, parent.index});
      }
    }
  }

  /// Before the link is up, so that not one packet leaves by itself.
  void quieten() {
    if (link_ != nullptr && link_->up) return;
    const bool v6 =
        std::any_of(interface_.addresses.begin(), interface_.addresses.end(),
                    [](const AddressPlan& address) { return !address.address.address.isV4(); });
    if (!v6) {
      add(drivers::WriteSysctl{"ipv6", "disable_ipv6", "1", true});
      return;
    }
    add(drivers::WriteSysctl{"ipv6", "disable_ipv6", "0", false});
    add(drivers::WriteSysctl{"ipv6", "accept_ra", "0", false});
    add(drivers::WriteSysctl{"ipv6", "autoconf", "0", false});
  }

  void finish() {
    if (link_ != nullptr && link_->name == interface_.name.str() && link_->alias == alias_ &&
        link_->mtu == interface_.mtu) {
      return;
    }
    add(drivers::FinishLink{interface_.name.str(), alias_, interface_.mtu});
  }

  void addAddresses() {
    for (const AddressPlan& wanted : interface_.addresses) {
      const bool there = link_ != nullptr &&
                         std::any_of(observed_.podAddresses.begin(), observed_.podAddresses.end(),
                                     [&](const netlink::AddressInfo& address) {
                                       return address.linkIndex == link_->index &&
                                              address.address == wanted.address;
                                     });
      if (!there) add(drivers::AddAddress{wanted.address});
    }
  }

  /// Those on link first: gateways of the others may lie behind them.
  void addRoutes() {
    for (const bool onLink : {true, false}) {
      for (const RoutePlan& wanted : interface_.routes) {
        if (wanted.via.has_value() == onLink || hasRoute(wanted)) continue;
        netlink::RouteInfo route;
        route.to = wanted.to;
        route.via = wanted.via;
        add(drivers::AddRoute{route});
      }
    }
  }

  [[nodiscard]] bool hasRoute(const RoutePlan& wanted) const {
    return link_ != nullptr &&
           std::any_of(observed_.podRoutes.begin(), observed_.podRoutes.end(),
                       [&](const netlink::RouteInfo& route) {
                         return route.linkIndex == link_->index && route.to == wanted.to &&
                                route.via == wanted.via && route.table == netlink::kMainTable;
                       });
  }

  void add(drivers::Action action) { ops_.push_back(Op{interface_.name.str(), std::move(action)}); }

  const Desired& desired_;
  const Observed& observed_;
  InterfacePlan interface_;
  const drivers::Driver& driver_;
  std::string alias_;
  const LinkInfo* link_ = nullptr;
  std::vector<Op> ops_;
};

}  // namespace

const LinkInfo* findOurs(const Observed& observed, const IntentId& intent,
                         const InterfacePlan& interface) {
  const drivers::Driver& driver = drivers::driverOf(interface.type);
  const std::string alias = drivers::aliasOf(intent, interface.name.str());
  const auto ours = [&](const LinkInfo* link) {
    // A link that was made but not marked yet is known by kind and MAC: both are from the plan.
    return link != nullptr && link->kind == driver.kind() &&
           (link->alias == alias || (link->alias.empty() && link->mac == interface.mac));
  };
  const LinkInfo* named = byName(observed.podLinks, interface.name.str());
  if (ours(named)) return named;
  for (unsigned salt = 0; salt < kHostNameSalts; ++salt) {
    const LinkInfo* born =
        byName(observed.podLinks, drivers::hostLinkName(intent, interface.name.str(), salt));
    if (ours(born)) return born;
  }
  return nullptr;
}

Result<std::vector<Op>> plan(const Desired& desired, const Observed& observed) {
  // Within a stage in the order of the interfaces.
  std::map<drivers::Stage, std::vector<Op>> stages;
  for (const InterfacePlan& interface : desired.interfaces) {
    MULTINET_TRY(auto steps, Planner(desired, observed, interface).run());
    for (Op& op : steps) stages[drivers::stageOf(op)].push_back(std::move(op));
  }
  std::vector<Op> ops;
  for (auto& [stage, steps] : stages) {
    ops.insert(ops.end(), std::make_move_iterator(steps.begin()),
               std::make_move_iterator(steps.end()));
  }
  return ops;
}

}  // namespace multinet::agent::attach
