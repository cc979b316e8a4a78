#include "nodeagent/networks/site.h"

#include <algorithm>

#include "nodeagent/networks/names.h"

namespace multinet::agent::networks {
namespace {

const std::string kParent = "Parent";

Check deviceCheck(const std::string& device, const netlink::LinkInfo* link) {
  if (link == nullptr) {
    return failed(kParent, "DeviceMissing", "the node has no device \"" + device + "\"");
  }
  if (!link->up) return failed(kParent, "DeviceDown", "device " + device + " is down");
  if (!link->carrier) return failed(kParent, "NoCarrier", "device " + device + " has no carrier");
  return passed(kParent, "DeviceUp", "device " + device + " is up");
}

/// Told also where the device has a lesser trouble, which may pass by itself.
void checkCarries(unsigned overhead, Site& site) {
  site.carries = site.mtu + overhead <= site.device->mtu;
  const bool minor = site.parent.status == CheckStatus::True || site.parent.reason == "NoCarrier";
  if (site.carries || !minor) return;
  site.parent =
      failed(kParent, "PathMTUTooSmall",
             "device " + site.device->name + " carries " + std::to_string(site.device->mtu) +
                 " bytes; the network's MTU of " + std::to_string(site.mtu) + " needs " +
                 std::to_string(site.mtu + overhead));
}

std::optional<IpAddress> firstOf(const std::vector<IpAddress>& addresses, IpFamily family) {
  const auto found = std::find_if(addresses.begin(), addresses.end(), [&](const IpAddress& ip) {
    return ip.family() == family && !ip.isLoopback() && !ip.isLinkLocal();
  });
  if (found == addresses.end()) return std::nullopt;
  return *found;
}

/// Our own link of that name: in the switch or, made by an earlier version, in the node's
/// namespace.
const netlink::LinkInfo* ourLink(const DesiredNetwork& network, const Host& host,
                                 const std::string& name) {
  for (const Links* side : {&host.inner, static_cast<const Links*>(&host)}) {
    const auto* link = side->link(name);
    if (link != nullptr && link->alias == networkAlias(network.uid)) return link;
  }
  return nullptr;
}

/// The MTU of our own bridge, if it is there.
unsigned madeWith(const DesiredNetwork& network, const Host& host) {
  const auto* bridge = ourLink(network, host, bridgeName(network));
  return bridge == nullptr ? 0 : bridge->mtu;
}

/// Addresses of the underlay; the tunnel's present source first, so that a new address beside it
/// doesn't move a tunnel that works.
void takeAddresses(const DesiredNetwork& network, const Host& host, Site& site) {
  const auto found = host.addresses.find(site.device->index);
  if (found == host.addresses.end()) return;
  const auto* tunnel = ourLink(network, host, vxlanName(network));
  for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) {
    auto address = firstOf(found->second, family);
    if (!address) continue;
    if (tunnel != nullptr && tunnel->vxlan && tunnel->vxlan->local &&
        tunnel->vxlan->local->family() == family &&
        std::find(found->second.begin(), found->second.end(), *tunnel->vxlan->local) !=
            found->second.end()) {
      address = tunnel->vxlan->local;
    }
    site.underlays.push_back(*address);
  }
  if (!site.underlays.empty()) site.local = site.underlays.front();
}

Site vxlanSite(const DesiredNetwork& network, const Host& host, const std::string& device) {
  Site site;
  site.device = host.link(device);
  site.parent = deviceCheck(device, site.device);
  if (site.device == nullptr) return site;
  takeAddresses(network, host, site);
  if (!site.local) {
    site.parent = failed(kParent, "NoUnderlayAddress",
                         "device " + device + " has no address for the tunnel to start from");
    return site;
  }
  const unsigned overhead = vxlanOverhead(site.local->family());
  const unsigned carried = site.device->mtu > overhead ? site.device->mtu - overhead : 0;
  const unsigned made = madeWith(network, host);
  site.mtu = network.mtu != 0 ? network.mtu : made != 0 ? made : carried;
  checkCarries(overhead, site);
  return site;
}

Site bridgeSite(const DesiredNetwork& network, const Host& host) {
  Site site;
  constexpr unsigned kEthernet = 1500;
  const unsigned made = madeWith(network, host);
  if (joinsBridge(network)) {
    site.device = host.link(network.bridge);
    site.parent = deviceCheck(network.bridge, site.device);
    if (site.device == nullptr) return site;
    if (site.device->kind != "bridge") {
      site.parent = failed(kParent, "NotABridge",
                           "device " + network.bridge + " is of kind \"" + site.device->kind +
                               "\", it must be a bridge");
    }
    // A bridge without ports has no carrier and works all the same.
    if (site.parent.reason == "NoCarrier") {
      site.parent = passed(kParent, "DeviceUp", "device " + network.bridge + " is up");
    }
    site.mtu = network.mtu != 0 ? network.mtu : site.device->mtu;
  } else if (network.uplink.empty()) {
    site.parent = passed(kParent, "NoUplink", "the bridge needs no other device");
    site.mtu = network.mtu != 0 ? network.mtu : made != 0 ? made : kEthernet;
    return site;
  } else {
    site.device = host.link(network.uplink);
    site.parent = deviceCheck(network.uplink, site.device);
    if (site.device == nullptr) return site;
    const auto* bridge = host.link(bridgeName(network));
    if (site.device->master != 0 && (bridge == nullptr || site.device->master != bridge->index)) {
      site.parent = failed(kParent, "UplinkTaken",
                           "device " + network.uplink + " is a port of another device");
    }
    site.mtu = network.mtu != 0 ? network.mtu : made != 0 ? made : site.device->mtu;
  }
  checkCarries(0, site);
  return site;
}

Site macvlanSite(const DesiredNetwork& network, const Host& host) {
  Site site;
  site.device = host.link(network.parent);
  site.parent = deviceCheck(network.parent, site.device);
  if (site.device == nullptr) return site;
  site.mtu = network.mtu != 0 ? network.mtu : site.device->mtu;
  if (site.device->master != 0) {
    site.parent = failed(kParent, "DeviceEnslaved",
                         "device " + network.parent + " is a port of another device");
  }
  checkCarries(0, site);
  return site;
}

Check check(std::string name, CheckStatus status, std::string reason, std::string message) {
  return Check{std::move(name), status, std::move(reason), std::move(message)};
}

}  // namespace

Site siteOf(const DesiredNetwork& network, const Host& host, const std::string& defaultUnderlay) {
  switch (network.type) {
    case LinkType::Vxlan:
      return vxlanSite(network, host,
                       network.underlay.empty() ? defaultUnderlay : network.underlay);
    case LinkType::Bridge:
      return bridgeSite(network, host);
    case LinkType::Macvlan:
      break;
  }
  return macvlanSite(network, host);
}

bool isBlocked(const DesiredNetwork& network, const Site& site) {
  return network.refusal.has_value() || !site.carries;
}

std::optional<IpAddress> remoteOf(const Peer& peer, const IpAddress& local) {
  return firstOf(peer.underlay, local.family());
}

Check passed(std::string name, std::string reason, std::string message) {
  return check(std::move(name), CheckStatus::True, std::move(reason), std::move(message));
}
Check failed(std::string name, std::string reason, std::string message) {
  return check(std::move(name), CheckStatus::False, std::move(reason), std::move(message));
}
Check unknown(std::string name, std::string reason, std::string message) {
  return check(std::move(name), CheckStatus::Unknown, std::move(reason), std::move(message));
}

}  // namespace multinet::agent::networks
