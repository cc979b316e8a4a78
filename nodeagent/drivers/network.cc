#include "nodeagent/drivers/network.h"

#include <algorithm>

#include "nodeagent/drivers/names.h"

namespace multinet::agent::drivers {
namespace {

const std::string kParent = "Parent";
const std::string kLink = "Link";
/// What pods need is there, a change of it isn't.
const std::string kChangeRefused = "ChangeRefused";

/// The first of them that can't serve pods.
std::optional<Check> wrongLink(const Ground& ground, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const netlink::LinkInfo* link = ground.host.inner.link(name);
    if (link == nullptr) return failed(kLink, "LinkMissing", "device " + name + " isn't there");
    if (link->alias != networkAlias(ground.uid)) {
      return failed(kLink, "NameTaken",
                    "device " + name + " is there, but it isn't ours: rename or remove it");
    }
    if (!link->up) return failed(kLink, "LinkDown", "device " + name + " is down");
  }
  return std::nullopt;
}

}  // namespace

bool isBlocked(const Ground& ground, const Placement& placement) {
  return ground.refused || !placement.carries;
}

Check deviceCheck(const std::string& device, const netlink::LinkInfo* link) {
  if (link == nullptr) {
    return failed(kParent, "DeviceMissing", "the node has no device \"" + device + "\"");
  }
  if (!link->up) return failed(kParent, "DeviceDown", "device " + device + " is down");
  if (!link->carrier) return failed(kParent, "NoCarrier", "device " + device + " has no carrier");
  return passed(kParent, "DeviceUp", "device " + device + " is up");
}

Placement placementOf(const Ground& ground, const std::string& device) {
  Placement placement;
  placement.device = ground.host.link(device);
  placement.parent = deviceCheck(device, placement.device);
  return placement;
}

unsigned networkMtu(const Ground& ground, unsigned made, unsigned carried) {
  if (ground.mtu != 0) return ground.mtu;
  return made != 0 ? made : carried;
}

void checkCarries(unsigned overhead, Placement& placement) {
  placement.carries = placement.mtu + overhead <= placement.device->mtu;
  const bool minor =
      placement.parent.status == CheckStatus::True || placement.parent.reason == "NoCarrier";
  if (placement.carries || !minor) return;
  placement.parent = failed(kParent, "PathMTUTooSmall",
                            "device " + placement.device->name + " carries " +
                                std::to_string(placement.device->mtu) +
                                " bytes; the network's MTU of " + std::to_string(placement.mtu) +
                                " needs " + std::to_string(placement.mtu + overhead));
}

Placement devicePlacement(const Ground& ground, const std::string& device) {
  Placement placement = placementOf(ground, device);
  if (placement.device == nullptr) return placement;
  placement.mtu = networkMtu(ground, 0, placement.device->mtu);
  if (placement.device->master != 0) {
    placement.parent =
        failed(kParent, "DeviceEnslaved", "device " + device + " is a port of another device");
  }
  checkCarries(0, placement);
  return placement;
}

Check linkCheck(const Ground& ground, const Findings& findings,
                const std::vector<std::string>& names) {
  const auto wrong = wrongLink(ground, names);
  if (findings.refused) {
    return failed(kLink, wrong ? "KernelRefused" : kChangeRefused, findings.refused->message);
  }
  if (wrong) return *wrong;
  return passed(kLink, "LinkUp", "device " + names.front() + " is there and up");
}

Check peersUnmeasured() {
  return unknown("Peers", "NotProbed", "what lies behind this network isn't probed");
}

bool linkIsThere(const std::vector<Check>& checks) {
  const auto check = std::ranges::find(checks, kLink, &Check::name);
  return check != checks.end() &&
         (check->status == CheckStatus::True || check->reason == kChangeRefused);
}

}  // namespace multinet::agent::drivers
