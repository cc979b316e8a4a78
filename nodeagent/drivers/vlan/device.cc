#include "nodeagent/drivers/vlan/device.h"

#include <linux/if_link.h>

#include <algorithm>

#include "nodeagent/drivers/hash_name.h"

namespace multinet::agent::drivers::vlan {

using netlink::LinkInfo;

std::string deviceName(const NetworkUid& network) {
  return hashName("mnl", network.str());
}

Claim claimOf(const Tag& tag) {
  return {"VLAN " + std::to_string(tag.id) + " of device " + tag.parent, "its segment",
          Claim::Sharing::Nobody};
}

std::optional<Refusal> refuse(const Ground& ground, const Tag& tag) {
  const LinkInfo* parent = ground.host.link(tag.parent);
  if (parent == nullptr) return std::nullopt;  // told as the check of the parent
  if (isMarked(*parent) || parent->name == "lo") {
    return Refusal{"DeviceInUse", "device " + tag.parent +
                                      " is no wire to the outside; name a device of the node"};
  }
  for (const auto& [name, link] : ground.host.links) {
    const bool same = link.vlanId == tag.id && link.lower == parent->index && !link.lowerNetns;
    // Ours carries no mark while it is being made.
    if (!same || isMarked(link) || name == deviceName(ground.uid)) continue;
    return Refusal{"VLANTaken", "VLAN " + std::to_string(tag.id) + " of device " + tag.parent +
                                    " belongs to device " + name +
                                    " of this node; make the network with another id"};
  }
  return std::nullopt;
}

Placement siteOn(const Ground& ground, const Tag& tag, unsigned made) {
  Placement placement = placementOf(ground, tag.parent);
  if (placement.device == nullptr) return placement;
  if (placement.device->master != 0) {
    placement.parent =
        failed("Parent", "DeviceEnslaved",
               "device " + tag.parent + " is a port of another device; name that one");
  }
  placement.mtu = networkMtu(ground, made, placement.device->mtu);
  checkCarries(0, placement);
  return placement;
}

netlink::Request createDevice(const Ground& ground, const LinkInfo& parent, std::uint16_t id,
                              unsigned mtu) {
  return netlink::createStacked({.kind = "vlan",
                                 .name = deviceName(ground.uid),
                                 .parent = parent.name,
                                 .parentIndex = parent.index,
                                 .options = {{IFLA_VLAN_ID, id}},
                                 .netns = ground.host.switchNetns,
                                 .mtu = std::min(mtu, parent.mtu)});
}

bool isMadeFor(const LinkInfo& device, const LinkInfo& parent, std::uint16_t id) {
  return device.kind == "vlan" && device.lower == parent.index && device.vlanId == id;
}

void keepDevice(const Ground& ground, const Placement& placement, std::uint16_t id,
                OwnBridge& own) {
  const std::string name = deviceName(ground.uid);
  const LinkInfo* device = ground.host.inner.link(name);
  if (device == nullptr) {
    if (own.blocked() || placement.device->master != 0) return;
    own.step(Place::Node, {createDevice(ground, *placement.device, id, placement.mtu)});
    own.step({netlink::setAlias({0, name}, own.alias())});
    return;
  }
  // The name is a hash of the UID: without a mark it is one that was just made.
  if (device->alias.empty()) own.step({netlink::setAlias(ref(*device), own.alias())});
  if (!own.isOurs(*device)) return;
  if (!isMadeFor(*device, *placement.device, id))
    return own.step({netlink::deleteLink(ref(*device))});
  if (device->mtu < placement.mtu && !own.blocked()) {
    own.step({netlink::setMtu(ref(*device), placement.mtu)});
  }
  if (!device->changed.empty()) own.step({netlink::setKind(*device)});
  // It follows its parent, down as well (vlan_device_event).
  if (placement.device->up) own.bringUp(*device);
}

void keepPort(const Ground& ground, const Placement& placement, std::uint16_t id,
              const LinkInfo& bridge, OwnBridge& own) {
  if (placement.device == nullptr || ground.refused) return;
  const std::string name = deviceName(ground.uid);
  const LinkInfo* port = ground.host.inner.link(name);
  if (port == nullptr) {
    if (own.blocked() || placement.device->master != 0) return;
    own.step(Place::Node, {createDevice(ground, *placement.device, id, own.mtuOf(bridge))});
    own.adopt(name, bridge);
    return;
  }
  if (!own.keepPort(*port, bridge)) return;
  if (!isMadeFor(*port, *placement.device, id)) return own.step({netlink::deleteLink(ref(*port))});
  own.keepMtu(*port, bridge);
  // It follows its parent, down as well (vlan_device_event).
  if (placement.device->up) own.bringUp(*port);
}

}  // namespace multinet::agent::drivers::vlan
