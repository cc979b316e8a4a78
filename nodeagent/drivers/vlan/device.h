// A VLAN device of the switch on a device of the node: what the type VLAN and the field `vlan` of
// other types are made of. Pure.
#pragma once

#include <optional>
#include <string>

#include "nodeagent/drivers/own_bridge.h"

namespace multinet::agent::drivers::vlan {

/// Which segment of which device.
struct Tag {
  const std::string& parent;
  std::uint16_t id = 0;  ///< 1 to 4094
};

/// `mnl` and twelve characters made of the UID.
[[nodiscard]] std::string deviceName(const NetworkUid& network);

/// Only one network of a node can have a segment: the kernel makes one device of a tag.
[[nodiscard]] Claim claimOf(const Tag& tag);

/// Why the segment can't be had: a device of somebody else's has it, or the parent leads nowhere.
[[nodiscard]] std::optional<Refusal> refuse(const Ground& ground, const Tag& tag);

/// On the parent. A tag costs no MTU: an Ethernet device carries its MTU with a tag too
/// (netif_reduces_vlan_mtu tells the few that don't; there the kernel refuses what is too large).
/// `made`: the MTU that the network was made with and keeps, where it asks for none; 0: none yet.
[[nodiscard]] Placement siteOn(const Ground& ground, const Tag& tag, unsigned made);

/// Born in the switch, by a request from the node's side.
[[nodiscard]] netlink::Request createDevice(const Ground& ground, const netlink::LinkInfo& parent,
                                            std::uint16_t id, unsigned mtu);
/// Whether a device is what createDevice() makes: what it was made with can't be changed.
[[nodiscard]] bool isMadeFor(const netlink::LinkInfo& device, const netlink::LinkInfo& parent,
                             std::uint16_t id);

/// Makes the device and keeps it, for links of pods that stand on it. Its MTU only grows: the
/// kernel would cut theirs with it. `own` without a bridge.
void keepDevice(const Ground& ground, const Placement& placement, std::uint16_t id, OwnBridge& own);
/// Makes the device and keeps it as the bridge's port that leads out of the node.
void keepPort(const Ground& ground, const Placement& placement, std::uint16_t id,
              const netlink::LinkInfo& bridge, OwnBridge& own);

}  // namespace multinet::agent::drivers::vlan
