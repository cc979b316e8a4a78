#include "nodeagent/attach/plan.h"

#include <linux/ip.h>
#include <linux/ipv6.h>

#include <algorithm>
#include <optional>

#include "nodeagent/attach/default_route.h"
#include "nodeagent/attach/source_route.h"

namespace multinet::agent::attach {
namespace {

using drivers::Op;
using netlink::LinkInfo;

constexpr std::uint32_t kMetricOfConnectedV6 = 256;  // IP6_RT_PRIO_ADDRCONF
/// Steps of one interface with both families, seldom more.
constexpr std::size_t kUsual = 24;

const LinkInfo* byName(const std::vector<LinkInfo>& links, const std::string& name) {
  const auto found = std::find_if(links.begin(), links.end(),
                                  [&](const LinkInfo& link) { return link.name == name; });
  return found == links.end() ? nullptr : &*found;
}

bool hasIpv6(const InterfacePlan& interface) {
  return std::any_of(interface.addresses.begin(), interface.addresses.end(),
                     [](const AddressPlan& address) { return !address.address.address.isV4(); });
}

/// Whether a value that was found does what the wanted one is for. Programs in the pod may have
/// reasons to be stricter with ARP, or to have no reverse path filter at all; they are left alone.
bool serves(const drivers::WriteSysctl& wanted, const std::string& value) {
  if (value == wanted.value) return true;
  if (wanted.key == "rp_filter") return value == "0";
  return wanted.key.starts_with("arp_") && value > wanted.value;  // one digit each
}

/// One interface's steps.
class Planner {
 public:
  Planner(const Desired& desired, const Observed& observed, std::size_t position)
      : desired_(desired),
        observed_(observed),
        interface_(desired.interfaces[position]),
        position_(position),
        traits_(traitsOf(interface_.link)),
        alias_(drivers::aliasOf(desired.intent, interface_.name.str())) {
    ops_.reserve(kUsual);
  }

  Result<std::vector<Op>> run() {
    MULTINET_TRY(const LinkInfo* parent, findParent());
    if (interface_.mtu == 0) interface_.mtu = parent->mtu;
    link_ = findOurs(observed_, desired_.intent, interface_);
    MULTINET_CHECK(checked(
        std::visit([&](const auto& link) { return link.checkParent(askedMtu(*parent), *parent); },
                   interface_.link)));
    if (link_ != nullptr && traits_.hasHostEnd) rejoin(*parent);
    if (link_ != nullptr && !traits_.hasHostEnd && link_->lower != parent->index) giveUpLink();
    if (link_ == nullptr) MULTINET_CHECK(createLink(*parent));
    MULTINET_CHECK(rename());
    quieten();
    finish();
    addAddresses();
    if (link_ == nullptr || !link_->up || renames_) add(drivers::BringUp{});
    addRoutes();
    return std::move(ops_);
  }

 private:
  [[nodiscard]] std::string text() const { return "attach interface " + interface_.name.str(); }
  [[nodiscard]] Status checked(Status status) const {
    if (status) return status;
    return fail(status.error().within(text()));
  }

  /// What the parent must carry. A bridge takes the least MTU of its ports as its own and forwards
  /// between ports that carry more: a link that is in it already isn't broken by that.
  [[nodiscard]] unsigned askedMtu(const LinkInfo& parent) const {
    const bool isPort = link_ != nullptr && traits_.hasHostEnd;
    return isPort ? std::min(interface_.mtu, parent.mtu) : interface_.mtu;
  }

  Result<const LinkInfo*> findParent() {
    const auto found = observed_.parents.find(parentOf(interface_.link));
    if (found != observed_.parents.end()) return &found->second;
    return fail(Code::FailedPrecondition, "ParentMissing",
                text() + ": the node has no device \"" + parentOf(interface_.link) + "\"");
  }

  Status createLink(const LinkInfo& parent) {
    const LinkInfo* named = byName(observed_.podLinks, interface_.name.str());
    if (named != nullptr && named->index != lost_) return fail(nameTaken(interface_.name.str()));
    // Ends of ours that stand on the host: the pod's end is gone or was moved here.
    for (const auto& [name, link] : observed_.hostLinks) {
      if (link.alias == alias_) add(drivers::DeleteHostLink{name});
    }
    for (const LinkInfo& link : observed_.strays) {
      if (!traits_.hasHostEnd && link.alias == alias_) add(drivers::DeleteStray{link.name});
    }
    for (unsigned salt = 0; salt < kHostNameSalts; ++salt) {
      const std::string name = drivers::hostLinkName(desired_.intent, interface_.name.str(), salt);
      const auto taken = observed_.hostLinks.find(name);
      if (taken != observed_.hostLinks.end() && taken->second.alias != alias_) continue;
      const drivers::NewLink made{desired_.intent, interface_.name, interface_.mac, interface_.mtu,
                                  name};
      add(std::visit([&](const auto& link) { return link.create(made, parent); }, interface_.link));
      return {};
    }
    return fail(Code::AlreadyExists, "NameTaken",
                text() + ": " + std::to_string(kHostNameSalts) +
                    " host-side names in a row belong to others");
  }

  /// The host end of a link that is there belongs in the bridge, up and with our mark. Where it is
  /// out of reach the link is made anew.
  void rejoin(const LinkInfo& parent) {
    const auto found = std::find_if(observed_.hostLinks.begin(), observed_.hostLinks.end(),
                                    [&](const auto& entry) { return isOtherEnd(entry.second); });
    if (found == observed_.hostLinks.end()) return giveUpLink();
    const auto& [name, link] = *found;
    if (link.alias != alias_) add(drivers::MarkHostLink{name, alias_});
    if (link.master != parent.index) {
      add(drivers::SetHostBridge{name, parent.name, parent.index});
    }
    if (link.mtu < interface_.mtu) add(drivers::SetHostMtu{name, interface_.mtu});
    if (!link.up) add(drivers::SetHostUp{name});
  }

  /// It is made anew. Also where it stands on another device than the one that has the parent's
  /// name now: somebody renamed devices, and new interfaces go onto that one.
  void giveUpLink() {
    add(drivers::DeletePodLink{link_->index, link_->name});
    lost_ = link_->index;
    link_ = nullptr;
  }

  [[nodiscard]] bool isOtherEnd(const LinkInfo& host) const {
    if (host.alias == alias_) return true;
    return host.kind == "veth" && host.index == link_->lower && host.lower == link_->index;
  }

  /// Somebody gave the link another name: it is put back, for which it goes down.
  Status rename() {
    if (link_ == nullptr || link_->name == interface_.name.str()) return {};
    if (byName(observed_.podLinks, interface_.name.str()) != nullptr) {
      return fail(nameTaken(interface_.name.str()));
    }
    if (!link_->up) return {};
    renames_ = true;
    add(drivers::BringDown{});
    return {};
  }

  /// Before the link is up, so that not one packet leaves by itself.
  void quieten() {
    const Sysctls* there = nullptr;
    if (link_ != nullptr) {
      const auto found = observed_.podSysctls.find(link_->name);
      if (found != observed_.podSysctls.end()) there = &found->second;
      if (there == nullptr && link_->up) return;
    }
    for (const drivers::WriteSysctl& wanted : sysctlsOf(interface_)) {
      if (there != nullptr) {
        const auto value = there->find(wanted.family + "/" + wanted.key);
        const bool missing = value == there->end();
        if (missing ? wanted.optional : serves(wanted, value->second)) continue;
      }
      add(wanted);
    }
  }

  void finish() {
    const bool named = link_ != nullptr && link_->name == interface_.name.str();
    if (!named || link_->alias != alias_ || link_->mtu != interface_.mtu) {
      add(drivers::FinishLink{named ? "" : interface_.name.str(), alias_, interface_.mtu});
    }
    if (link_ != nullptr && traits_.hasOwnMac && link_->mac != interface_.mac) {
      add(drivers::SetMac{interface_.mac});
    }
    if (link_ == nullptr) return;
    if (traits_.mode && link_->mode && *link_->mode != *traits_.mode) {
      add(drivers::SetMode{link_->kind, *traits_.mode});
    }
    // An ipvlan of layer 3 has no neighbours.
    if (traits_.isAnnounced && !link_->speaks) add(drivers::LetSpeak{});
  }

  void addAddresses() {
    for (const AddressPlan& wanted : interface_.addresses) {
      // The kernel drops IPv6 addresses of a link that goes down.
      const bool dropped = renames_ && !wanted.address.address.isV4();
      const bool there = link_ != nullptr && !dropped && hasAddress(wanted.address);
      if (!there) add(drivers::AddAddress{wanted.address});
    }
  }

  /// Those of the main table, then those that other files plan.
  void addRoutes() {
    // Routes of a link that goes down or is made anew are gone by then.
    const int gone = renames_ ? link_->index : lost_;
    if (gone != 0) {
      without_ = observed_;
      std::erase_if(without_->podRoutes,
                    [gone](const netlink::RouteInfo& route) { return route.linkIndex == gone; });
    }
    const Observed& seen = without_ ? *without_ : observed_;
    const int index = link_ == nullptr ? 0 : link_->index;
    addConnected(seen);
    // Those on link first: gateways of the others may lie behind them.
    for (const bool onLink : {true, false}) {
      for (const RoutePlan& wanted : interface_.routes) {
        if (wanted.via.has_value() == onLink || hasRoute(seen, wanted)) continue;
        netlink::RouteInfo route;
        route.to = wanted.to;
        route.via = wanted.via;
        add(drivers::AddRoute{route});
      }
    }
    append(planDefaultRoutes(seen, interface_, index));
    append(planSourceRoutes(seen, interface_, index, position_));
  }

  /// The kernel makes an address's subnet reachable when the address comes or its link goes up, and
  /// never again. Somebody removed that route alone.
  void addConnected(const Observed& seen) {
    if (link_ == nullptr || !link_->up || renames_) return;
    for (const AddressPlan& wanted : interface_.addresses) {
      const IpPrefix subnet(wanted.address.address, wanted.address.length);
      if (!hasAddress(wanted.address) || hasRoute(seen, {subnet, std::nullopt})) continue;
      // As the kernel writes it (fib_add_ifaddr, addrconf_prefix_route).
      netlink::RouteInfo route;
      route.to = subnet;
      route.protocol = netlink::kKernelsRoute;
      if (subnet.isV4()) route.source = wanted.address.address;
      if (!subnet.isV4()) route.metric = kMetricOfConnectedV6;
      add(drivers::AddRoute{route});
    }
  }

  [[nodiscard]] bool hasAddress(const InterfaceAddress& wanted) const {
    return std::any_of(observed_.podAddresses.begin(), observed_.podAddresses.end(),
                       [&](const netlink::AddressInfo& address) {
                         return address.linkIndex == link_->index && address.address == wanted;
                       });
  }

  [[nodiscard]] bool hasRoute(const Observed& seen, const RoutePlan& wanted) const {
    return link_ != nullptr &&
           std::any_of(seen.podRoutes.begin(), seen.podRoutes.end(),
                       [&](const netlink::RouteInfo& route) {
                         return route.linkIndex == link_->index && route.to == wanted.to &&
                                route.via == wanted.via && route.table == netlink::kMainTable;
                       });
  }

  void add(drivers::Action action) { ops_.push_back(Op{interface_.name.str(), std::move(action)}); }
  void append(std::vector<Op> steps) {
    ops_.insert(ops_.end(), std::make_move_iterator(steps.begin()),
                std::make_move_iterator(steps.end()));
  }

  const Desired& desired_;
  const Observed& observed_;
  InterfacePlan interface_;
  std::size_t position_;
  drivers::LinkTraits traits_;
  std::string alias_;
  const LinkInfo* link_ = nullptr;
  int lost_ = 0;          ///< index of the link that is to be removed; 0: none
  bool renames_ = false;  ///< it goes down on the way
  std::optional<Observed> without_;
  std::vector<Op> ops_;
};

}  // namespace

Error nameTaken(const std::string& interface) {
  return {Code::AlreadyExists, "NameTaken",
          "attach interface " + interface +
              ": the pod already has a link of that name, and it isn't ours"};
}

std::vector<drivers::WriteSysctl> sysctlsOf(const InterfacePlan& interface) {
  // A host answers ARP for any of its addresses on any link, and prefers its first address as the
  // sender's (ip-sysctl.rst). Two interfaces on one wire would answer for each other. Loose reverse
  // path filtering: what comes in by this interface may be answered by its own table alone.
  std::vector<drivers::WriteSysctl> all = {
      {"ipv4", "arp_ignore", "1", false, IPV4_DEVCONF_ARP_IGNORE},
      {"ipv4", "arp_announce", "2", false, IPV4_DEVCONF_ARP_ANNOUNCE},
      {"ipv4", "rp_filter", "2", false, IPV4_DEVCONF_RP_FILTER}};
  if (!hasIpv6(interface)) {
    all.push_back({"ipv6", "disable_ipv6", "1", true, DEVCONF_DISABLE_IPV6});
    return all;
  }
  all.push_back({"ipv6", "disable_ipv6", "0", false, DEVCONF_DISABLE_IPV6});
  all.push_back({"ipv6", "accept_ra", "0", false, DEVCONF_ACCEPT_RA});
  all.push_back({"ipv6", "autoconf", "0", false, DEVCONF_AUTOCONF});
  return all;
}

const LinkInfo* findOurs(const Observed& observed, const IntentId& intent,
                         const InterfacePlan& interface) {
  const drivers::LinkTraits traits = traitsOf(interface.link);
  const std::string alias = drivers::aliasOf(intent, interface.name.str());
  // A link without a mark of ours is known by kind and MAC: both are from the plan.
  const auto ours = [&](const LinkInfo* link) {
    return link != nullptr && link->kind == traits.kind &&
           (link->alias == alias ||
            (!drivers::parseAlias(link->alias) && link->mac == interface.mac));
  };
  // A name that a link was born with is from the intent, so it says as much as a MAC.
  const auto bornOurs = [&](const LinkInfo* link) {
    return ours(link) || (link != nullptr && link->kind == traits.kind && !traits.hasOwnMac &&
                          link->alias.empty());
  };
  if (std::none_of(observed.podLinks.begin(), observed.podLinks.end(),
                   [&](const LinkInfo& link) { return link.kind == traits.kind; })) {
    return nullptr;
  }
  const LinkInfo* named = byName(observed.podLinks, interface.name.str());
  if (ours(named)) return named;
  for (unsigned salt = 0; salt < kHostNameSalts; ++salt) {
    const LinkInfo* born =
        byName(observed.podLinks, drivers::hostLinkName(intent, interface.name.str(), salt));
    if (bornOurs(born)) return born;
  }
  const auto marked = std::find_if(
      observed.podLinks.begin(), observed.podLinks.end(),
      [&](const LinkInfo& link) { return link.alias == alias && link.kind == traits.kind; });
  return marked == observed.podLinks.end() ? nullptr : &*marked;
}

Result<std::vector<Op>> planInterface(const Desired& desired, const Observed& observed,
                                      std::size_t position) {
  return Planner(desired, observed, position).run();
}

Result<std::vector<Op>> plan(const Desired& desired, const Observed& observed) {
  std::vector<std::vector<Op>> interfaces;
  std::size_t count = 0;
  for (std::size_t i = 0; i < desired.interfaces.size(); ++i) {
    MULTINET_TRY(auto steps, planInterface(desired, observed, i));
    count += steps.size();
    interfaces.push_back(std::move(steps));
  }
  std::vector<Op> ops;
  ops.reserve(count);
  using drivers::Stage;
  for (const Stage stage : {Stage::Clear, Stage::Host, Stage::Sysctl, Stage::Configure}) {
    for (auto& steps : interfaces) {
      for (Op& op : steps) {
        if (drivers::stageOf(op) == stage) ops.push_back(std::move(op));
      }
    }
  }
  return ops;
}

}  // namespace multinet::agent::attach
