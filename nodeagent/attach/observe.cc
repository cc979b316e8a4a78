#include "nodeagent/attach/observe.h"

#include <algorithm>

#include "lib/netns/netns.h"
#include "nodeagent/drivers/op.h"

namespace multinet::agent::attach {
namespace {

using netlink::LinkInfo;

/// A link by name, or none.
Result<std::optional<LinkInfo>> look(netlink::Socket& socket, const std::string& name) {
  auto link = netlink::findLink(socket, {0, name});
  if (link) return std::optional<LinkInfo>(std::move(*link));
  if (link.error().code == Code::NotFound) return std::optional<LinkInfo>{};
  return fail(link.error());
}

Status observeHost(HostSide host, Parents& parents, const Desired& desired, Observed& observed) {
  for (const InterfacePlan& interface : desired.interfaces) {
    const drivers::LinkTraits traits = traitsOf(interface.link);
    const std::string& name = parentOf(interface.link);
    if (!name.empty() && !observed.parents.contains(name)) {
      const bool inside = traits.parentAt == drivers::Place::Switch;
      MULTINET_TRY(auto parent,
                   parents.find(inside ? host.ends : host.parents, traits.parentAt, name));
      if (parent) observed.parents.emplace(name, std::move(*parent));
    }
    if (!traits.hasHostEnd) continue;
    for (unsigned salt = 0; salt < kHostNameSalts; ++salt) {
      const std::string end = drivers::hostLinkName(desired.intent, interface.name.str(), salt);
      MULTINET_TRY(auto link, look(host.ends, end));
      if (!link) break;
      observed.hostLinks.emplace(end, std::move(*link));
    }
  }
  return {};
}

Status observeDetail(Pod& pod, Observed& observed) {
  MULTINET_TRY(observed.podAddresses, netlink::findAddresses(pod.socket(), 0));
  MULTINET_TRY(observed.podRoutes, netlink::findRoutes(pod.socket(), 0, netlink::kAllTables));
  MULTINET_TRY(observed.podRules, netlink::findRules(pod.socket()));
  return {};
}

/// A key that isn't there (a kernel without IPv6) is left out.
Status observeSysctls(const Pod& pod, const Desired& desired, Observed& observed) {
  MULTINET_TRY(const auto scope, pod.enter());
  for (const InterfacePlan& interface : desired.interfaces) {
    const LinkInfo* link = findOurs(observed, desired.intent, interface);
    if (link == nullptr) continue;
    Sysctls& there = observed.podSysctls[link->name];
    for (const drivers::WriteSysctl& wanted : sysctlsOf(interface)) {
      auto value = netns::readSysctl(wanted.family + "/conf/" + link->name + "/" + wanted.key);
      if (value) there.emplace(wanted.family + "/" + wanted.key, std::move(*value));
    }
  }
  return {};
}

/// Links of the socket's namespace that bear a mark of the intent.
Result<std::vector<LinkInfo>> markedOf(netlink::Socket& socket, const IntentId& intent) {
  MULTINET_TRY(auto links, netlink::findLinks(socket));
  std::erase_if(links, [&](const LinkInfo& link) {
    const auto mark = drivers::parseAlias(link.alias);
    return !mark || mark->intent != intent;
  });
  return links;
}

/// Host ends under another name, by the pod end's idea of its peer; and where the pod has no link,
/// whatever on the host bears the interface's mark.
Status observeOtherEnds(HostSide host, const Desired& desired, Observed& observed) {
  bool missingVeth = false;
  bool missingMacvlan = false;
  for (const InterfacePlan& interface : desired.interfaces) {
    const LinkInfo* link = findOurs(observed, desired.intent, interface);
    const bool hasHostEnd = traitsOf(interface.link).hasHostEnd;
    if (link == nullptr) (hasHostEnd ? missingVeth : missingMacvlan) = true;
    if (link == nullptr || !hasHostEnd) continue;
    auto end = netlink::findLink(host.ends, {link->lower, ""});
    if (!end && end.error().code != Code::NotFound) return fail(end.error());
    // The index may be another namespace's and mean another link here.
    const auto mark = end ? drivers::parseAlias(end->alias) : std::nullopt;
    const bool others = mark && mark->intent != desired.intent;
    if (end && end->kind == "veth" && end->lower == link->index && !others) {
      observed.hostLinks.insert_or_assign(end->name, std::move(*end));
    }
  }
  if (missingVeth) {
    MULTINET_TRY(const auto marked, markedOf(host.ends, desired.intent));
    for (const LinkInfo& link : marked) observed.hostLinks.insert_or_assign(link.name, link);
  }
  if (missingMacvlan) {
    MULTINET_TRY(observed.strays, markedOf(host.parents, desired.intent));
  }
  return {};
}

/// A pod's end that an earlier version put onto a bridge of somebody else's stays on the host until
/// it ends. It is found there as long as it is as planned; nothing is repaired there, for an index
/// of the host means another link in the switch.
Status observeOldEnds(netlink::Socket& node, const Desired& desired, Observed& observed) {
  for (const InterfacePlan& interface : desired.interfaces) {
    const std::string& name = parentOf(interface.link);
    if (!traitsOf(interface.link).hasHostEnd || name.empty() || observed.parents.contains(name) ||
        findOurs(observed, desired.intent, interface) == nullptr) {
      continue;
    }
    MULTINET_TRY(auto parent, look(node, name));
    if (!parent) continue;
    const std::string alias = drivers::aliasOf(desired.intent, interface.name.str());
    MULTINET_TRY(const auto ports, netlink::findLinks(node, {"", parent->index}));
    const auto end = std::find_if(ports.begin(), ports.end(), [&](const LinkInfo& port) {
      return port.alias == alias && port.up;
    });
    if (end == ports.end()) continue;
    observed.hostLinks.insert_or_assign(end->name, *end);
    observed.parents.emplace(name, std::move(*parent));
  }
  return {};
}

/// Of links that may be ours: then the kernel needn't describe the others. All where kinds differ.
netlink::LinkFilter ours(const Desired& desired) {
  netlink::LinkFilter filter;
  for (const InterfacePlan& interface : desired.interfaces) {
    const std::string_view kind = traitsOf(interface.link).kind;
    if (!filter.kind.empty() && filter.kind != kind) return {};
    filter.kind = kind;
  }
  return filter;
}

std::string difference(const LinkInfo& link, const InterfaceStatus& status) {
  const InterfacePlan& plan = status.plan;
  if (!link.up) return "it is down";
  if (link.mac != plan.mac) return "its MAC is " + link.mac.str() + " instead of " + plan.mac.str();
  if (link.mtu != plan.mtu) {
    return "its MTU is " + std::to_string(link.mtu) + " instead of " + std::to_string(plan.mtu);
  }
  return "";
}

}  // namespace

Result<Observed> observePod(HostSide host, Parents& parents, Pod& pod, const Desired& desired) {
  Observed observed;
  MULTINET_CHECK(observeHost(host, parents, desired, observed));
  MULTINET_TRY(observed.podLinks, netlink::findLinks(pod.socket(), ours(desired)));
  const bool detailed = std::any_of(
      desired.interfaces.begin(), desired.interfaces.end(), [&](const InterfacePlan& interface) {
        return interface.defaultGatewayV4 || interface.defaultGatewayV6 ||
               findOurs(observed, desired.intent, interface) != nullptr;
      });
  if (detailed) MULTINET_CHECK(observeDetail(pod, observed));
  return observed;
}

Result<Observed> observeAttached(HostSide host, Pod& pod, const Desired& desired) {
  Observed observed;
  Parents parents;
  MULTINET_CHECK(observeHost(host, parents, desired, observed));
  MULTINET_TRY(observed.podLinks, netlink::findLinks(pod.socket()));
  MULTINET_CHECK(observeDetail(pod, observed));
  MULTINET_CHECK(observeOtherEnds(host, desired, observed));
  MULTINET_CHECK(observeOldEnds(host.parents, desired, observed));
  MULTINET_CHECK(observeSysctls(pod, desired, observed));
  return observed;
}

Result<std::vector<InterfaceStatus>> readBack(Pod& pod, const Desired& desired,
                                              const Applier& applied, WallTime now) {
  std::vector<InterfaceStatus> statuses;
  statuses.reserve(desired.interfaces.size());
  for (const InterfacePlan& interface : desired.interfaces) {
    const auto notAsPlanned = [&](Code code, const std::string& why) {
      return fail(code, "NotAsPlanned", "attach interface " + interface.name.str() + ": " + why);
    };
    std::optional<LinkInfo> link;
    const auto seen = applied.seen().find(interface.name.str());
    if (seen != applied.seen().end()) {
      link = seen->second;
    } else {
      MULTINET_TRY(link, look(pod.socket(), interface.name.str()));
    }
    if (!link) return notAsPlanned(Code::Aborted, "it vanished while it was made");
    // A carrier that isn't there yet is the first look's to tell: it may be just coming.
    InterfaceStatus status{interface,
                           InterfaceState::Attached,
                           link->index,
                           "",
                           "",
                           now,
                           link->carrier ? LinkState::Up : LinkState::Unknown};
    const auto other = applied.replacedMacs().find(interface.name.str());
    if (other != applied.replacedMacs().end()) status.plan.mac = other->second;
    if (status.plan.mtu == 0) status.plan.mtu = link->mtu;
    if (!traitsOf(interface.link).hasOwnMac) status.plan.mac = link->mac;
    if (const std::string wrong = difference(*link, status); !wrong.empty()) {
      return notAsPlanned(Code::Internal, wrong);
    }
    statuses.push_back(std::move(status));
  }
  return statuses;
}

Result<std::vector<ObservedInterface>> findMarked(netlink::Socket& socket) {
  MULTINET_TRY(const auto links, netlink::findLinks(socket));
  std::vector<ObservedInterface> found;
  std::map<int, std::size_t> byIndex;
  for (const LinkInfo& link : links) {
    if (auto parts = drivers::parseAlias(link.alias)) {
      byIndex.emplace(link.index, found.size());
      found.push_back({std::move(parts->intent), std::move(parts->interface), link.name, link.index,
                       false, link.up, link.mac, link.mtu, link.kind});
    }
  }
  if (found.empty()) return found;
  MULTINET_TRY(const auto addresses, netlink::findAddresses(socket, 0));
  for (const netlink::AddressInfo& one : addresses) {
    const auto at = byIndex.find(one.linkIndex);
    if (at != byIndex.end() && !one.linkLocal) found[at->second].addresses.push_back(one.address);
  }
  return found;
}

}  // namespace multinet::agent::attach
