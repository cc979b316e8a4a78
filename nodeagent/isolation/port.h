// A port: where a pod's link meets the node, and what the pod may send by it.
#pragma once

#include <string>
#include <vector>

#include "lib/api/pod_network.h"
#include "lib/base/ids.h"
#include "lib/base/ip.h"
#include "lib/base/mac.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::isolation {

/// Where a pod's frames are seen first outside the pod.
enum class Site : std::uint8_t {
  Switch,        ///< at the node's end of a veth
  NodeParent,    ///< on a device of the node that the link stands on, known by its MAC
  SwitchParent,  ///< the same on a device in the switch
  Pod,           ///< nowhere, since the link has the MAC of its device: held in the pod
  SharedParent,  ///< on that device: what its driver turns round to one of the link's addresses
};

struct Port {
  /// Of the node's end, whether it is there already or not; on a parent the MAC as text.
  std::string name;
  IntentId intent;
  std::string interface;  ///< its name in the pod
  NetworkUid network;
  MacAddress mac;
  std::vector<IpAddress>
      addresses;  ///< empty: the network has no subnets, addresses aren't checked
  Site site = Site::Switch;
  std::string parent{};  ///< the device that the link stands on; empty in the switch
  int parentIndex = 0;
  /// What comes in by the wire passes none of the pod's hooks.
  bool isWireUnseen = false;
  bool operator==(const Port&) const = default;
};

/// What is held against a port of a network that asks for `asked`: without addresses none can be.
[[nodiscard]] api::PortSecurity effective(const Port& port, api::PortSecurity asked);

/// As the interface's condition tells it once the rules of a port are in the kernel.
[[nodiscard]] PortSecured told(const Port& port, api::PortSecurity asked);
/// The rules of a port couldn't be committed.
[[nodiscard]] PortSecured notCommitted(const Error& error);

/// The link-local address that a kernel makes of a MAC (RFC 4291, appendix A).
[[nodiscard]] IpAddress linkLocalOf(const MacAddress& mac);
/// The one that it makes for a link that shares its device's MAC: two bytes in its middle, zero
/// here, are the link's number on the device (addrconf_ifid_eui48), which nothing tells before the
/// link is up.
[[nodiscard]] IpAddress sharedLinkLocalOf(const MacAddress& mac);

}  // namespace multinet::agent::isolation
