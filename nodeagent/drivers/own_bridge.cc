#include "nodeagent/drivers/own_bridge.h"

#include <linux/ipv6.h>

#include <algorithm>
#include <functional>

#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/op.h"

namespace multinet::agent::drivers {

using netlink::LinkInfo;
using netlink::LinkRef;

LinkRef ref(const LinkInfo& link) {
  return {link.index, link.name};
}

unsigned interfacesIn(const Links& side, const LinkInfo& bridge) {
  return static_cast<unsigned>(
      std::count_if(side.links.begin(), side.links.end(), [&](const auto& entry) {
        return entry.second.master == bridge.index && parseAlias(entry.second.alias);
      }));
}

unsigned madeWith(const Ground& ground, const std::string& bridge) {
  const LinkInfo* made = ownLink(ground.host, ground.uid, bridge);
  return made == nullptr ? 0 : made->mtu;
}

bool speaksIpv6(const LinkInfo& link) {
  return link.inet6.size() > DEVCONF_DISABLE_IPV6 && link.inet6[DEVCONF_DISABLE_IPV6] == 0;
}

std::pair<std::string, std::string> silenceIpv6(const LinkInfo& link) {
  return {"ipv6/conf/" + link.name + "/disable_ipv6", "1"};
}

OwnBridge::OwnBridge(const Ground& ground, const Placement& placement, const NodeName& node,
                     Names names)
    : ground_(ground),
      placement_(placement),
      node_(node),
      names_(std::move(names)),
      blocked_(isBlocked(ground, placement)),
      alias_(networkAlias(ground.uid)) {}

void OwnBridge::step(Place place, std::vector<netlink::Request> requests) {
  steps_.push_back({ground_.uid, place, {}, std::move(requests)});
}

const LinkInfo* OwnBridge::keep() {
  const LinkInfo* bridge = ground_.host.inner.link(names_.bridge);
  if (bridge == nullptr) {
    if (!blocked_) create();
    return nullptr;
  }
  if (!isOurs(*bridge) || bridge->kind != "bridge") return nullptr;
  const unsigned mtu = mtuOf(*bridge);
  if (bridge->mtu != mtu) step({netlink::setMtu(ref(*bridge), mtu)});
  const MacAddress mac = bridgeMac(node_, ground_.uid);
  if (bridge->mac != mac) step({netlink::setMac(ref(*bridge), mac)});
  bringUp(*bridge);
  for (const std::string& name : ground_.host.inner.altered) {
    const LinkInfo* link = ground_.host.inner.link(name);
    if (link == bridge || (link != nullptr && link->master == bridge->index)) undo(*link);
  }
  return bridge;
}

void OwnBridge::undo(const LinkInfo& link) {
  std::vector<netlink::Request> requests;
  // One by one, in their order: the kernel takes no forward delay of 0 while STP still runs.
  for (const netlink::Setting& setting : link.changed) {
    LinkInfo one = link;
    one.changed = {setting};
    requests.push_back(netlink::setKind(one));
  }
  if (!link.changedPort.empty()) requests.push_back(netlink::setPort(link));
  if (const auto pinned = ground_.host.inner.pinned.find(link.index);
      pinned != ground_.host.inner.pinned.end()) {
    // Without a VLAN the kernel takes those of all VLANs: these come first.
    std::vector<netlink::FdbEntry> entries = pinned->second;
    std::ranges::sort(entries, std::greater(), &netlink::FdbEntry::vlan);
    for (const netlink::FdbEntry& entry : entries) requests.push_back(netlink::removeFdb(entry));
  }
  for (const netlink::AddressInfo& one : ground_.host.innerAddresses) {
    // Those of IPv6 go with its silence.
    if (one.linkIndex != link.index || !one.address.address.isV4()) continue;
    requests.push_back(netlink::removeAddress(link.index, one.address));
  }
  if (!requests.empty()) step(std::move(requests));
}

void OwnBridge::create() {
  const LinkRef link{0, names_.bridge};
  // Made with another MTU and then set: only a set one keeps the bridge from following its ports'
  // (net/bridge/br_if.c, BROPT_MTU_SET_BY_USER), and setting the same is nothing set.
  const unsigned first = placement_.mtu == 1280 ? 1281 : 1280;
  step({netlink::createBridge({link.name, bridgeMac(node_, ground_.uid), first}),
        netlink::setAlias(link, alias_), netlink::setMtu(link, placement_.mtu)});
}

unsigned OwnBridge::mtuOf(const LinkInfo& bridge) const {
  if (blocked_) return bridge.mtu;
  return interfacesIn(ground_.host.inner, bridge) > 0 ? std::max(bridge.mtu, placement_.mtu)
                                                      : placement_.mtu;
}

void OwnBridge::keepMtu(const LinkInfo& port, const LinkInfo& bridge) {
  if (port.mtu != mtuOf(bridge) && !blocked_) step({netlink::setMtu(ref(port), mtuOf(bridge))});
}

void OwnBridge::bringUp(const LinkInfo& link) {
  HostStep step{ground_.uid, Place::Switch, {}, {}};
  if (speaksIpv6(link)) step.sysctls = {silenceIpv6(link)};
  if (!link.up) step.requests = {netlink::setUp(ref(link))};
  if (!step.sysctls.empty() || !step.requests.empty()) steps_.push_back(std::move(step));
}

void OwnBridge::adopt(const std::string& port, const LinkInfo& bridge) {
  const LinkRef link{0, port};
  step({netlink::setAlias(link, alias_), netlink::setMaster(link, bridge.index)});
}

bool OwnBridge::keepPort(const LinkInfo& port, const LinkInfo& bridge) {
  // The names are hashes of the UID: without a mark it is one that was just made.
  if (port.alias.empty()) adopt(port.name, bridge);
  if (!isOurs(port)) return false;
  if (port.master != bridge.index) step({netlink::setMaster(ref(port), bridge.index)});
  return true;
}

void OwnBridge::movePods(const LinkInfo& bridge, bool portComes) {
  if (!ground_.host.split()) return;
  const LinkInfo* old = ground_.host.link(names_.bridge);
  if (old == nullptr || !isOurs(*old)) return;
  const bool made = names_.port.empty() || ground_.host.inner.link(names_.port) != nullptr;
  if (!made && !portComes) return;
  for (const auto& [name, link] : ground_.host.links) {
    if (link.master != old->index || !parseAlias(link.alias)) continue;
    step(Place::Node, {netlink::moveLink(ref(link), ground_.host.switchNetns)});
    step({netlink::setMaster({0, name}, bridge.index), netlink::setUp({0, name})});
  }
}

}  // namespace multinet::agent::drivers
