#include "nodeagent/drivers/network.h"

#include <algorithm>

#include "nodeagent/drivers/names.h"

namespace multinet::agent::drivers {
namespace {

const std::string kParent = "Parent";
const std::string kLink = "Link";

}  // namespace

bool isBlocked(const Ground& ground, const Site& site) {
  return ground.refused || !site.carries;
}

Check deviceCheck(const std::string& device, const netlink::LinkInfo* link) {
  if (link == nullptr) {
    return failed(kParent, "DeviceMissing", "the node has no device \"" + device + "\"");
  }
  if (!link->up) return failed(kParent, "DeviceDown", "device " + device + " is down");
  if (!link->carrier) return failed(kParent, "NoCarrier", "device " + device + " has no carrier");
  return passed(kParent, "DeviceUp", "device " + device + " is up");
}

Site siteOf(const Ground& ground, const std::string& device) {
  Site site;
  site.device = ground.host.link(device);
  site.parent = deviceCheck(device, site.device);
  return site;
}

unsigned networkMtu(const Ground& ground, unsigned made, unsigned carried) {
  if (ground.mtu != 0) return ground.mtu;
  return made != 0 ? made : carried;
}

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

Site deviceSite(const Ground& ground, const std::string& device) {
  Site site = siteOf(ground, device);
  if (site.device == nullptr) return site;
  site.mtu = networkMtu(ground, 0, site.device->mtu);
  if (site.device->master != 0) {
    site.parent =
        failed(kParent, "DeviceEnslaved", "device " + device + " is a port of another device");
  }
  checkCarries(0, site);
  return site;
}

Check linkCheck(const Ground& ground, const Findings& findings,
                const std::vector<std::string>& names) {
  if (findings.refused) return failed(kLink, "KernelRefused", findings.refused->message);
  for (const std::string& name : names) {
    const netlink::LinkInfo* link = ground.host.inner.link(name);
    if (link == nullptr) return failed(kLink, "LinkMissing", "device " + name + " isn't there");
    if (link->alias != networkAlias(ground.uid)) {
      return failed(kLink, "NameTaken",
                    "device " + name + " is there, but it isn't ours: rename or remove it");
    }
    if (!link->up) return failed(kLink, "LinkDown", "device " + name + " is down");
  }
  return passed(kLink, "LinkUp", "device " + names.front() + " is there and up");
}

Check peersUnmeasured() {
  return unknown("Peers", "NotProbed", "what lies behind this network isn't probed");
}

bool linkIsThere(const std::vector<Check>& checks) {
  const auto check = std::ranges::find(checks, kLink, &Check::name);
  return check != checks.end() &&
         (check->status == CheckStatus::True || check->reason == "KernelRefused");
}

}  // namespace multinet::agent::drivers
