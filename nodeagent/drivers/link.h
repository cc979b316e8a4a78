// What every type of network is asked about the links that it puts into pods, and in which words it
// answers. See network.h for how a type is asked.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "nodeagent/drivers/network.h"
#include "nodeagent/drivers/op.h"

namespace multinet::cri::v1alpha1 {
class InterfaceRequest;
}  // namespace multinet::cri::v1alpha1

namespace multinet::agent::drivers {

struct LinkTraits {
  std::string_view kind;           ///< the kernel's word for what stands in the pod: `veth`
  Place parentAt = Place::Switch;  ///< where the parent is
  /// True where an end stays in the switch, as a port of the parent, which is a bridge then.
  bool hasHostEnd = false;
  /// False where the link has its parent's MAC, whatever was asked.
  bool hasOwnMac = true;
  /// False where nobody on the wire looks for the link's addresses by ARP or ND.
  bool isAnnounced = true;
  /// Of kinds that have one: as LinkInfo::mode tells it.
  std::optional<std::uint32_t> mode{};
};

/// A link that is to be made.
struct NewLink {
  const IntentId& intent;
  const InterfaceName& name;
  const MacAddress& mac;
  unsigned mtu = 0;             ///< bytes
  const std::string& hostName;  ///< free on the host
};

/// What the journal keeps of a link beside its type: named texts. Names and meanings never change;
/// `parent` is every type's.
using LinkForm = std::map<std::string, std::string>;
/// Empty where the form has none of that name.
[[nodiscard]] std::string textOf(const LinkForm& form, const std::string& name);

/// What every parent must be: up, and with an MTU that holds the interface's.
[[nodiscard]] Status checkCarries(unsigned mtu, const netlink::LinkInfo& parent);

// A veth pair into a bridge of the switch: what VXLAN and Bridge put into pods.

[[nodiscard]] inline LinkTraits vethTraits() {
  return {"veth", Place::Switch, true, true};
}
/// FailedPrecondition where the parent is no bridge or can't carry the interface.
[[nodiscard]] Status checkVethParent(unsigned mtu, const netlink::LinkInfo& parent);
[[nodiscard]] CreateLink createVeth(const NewLink& link, const netlink::LinkInfo& parent);

// A link that is born in the pod and stands on a device: what Macvlan puts into pods.

/// FailedPrecondition where the parent is a port of another device or can't carry the interface.
[[nodiscard]] Status checkDeviceParent(unsigned mtu, const netlink::LinkInfo& parent);
/// All but the kernel's mode and the request. `place` is the parent's.
[[nodiscard]] CreateLink createOn(const NewLink& link, const netlink::LinkInfo& parent,
                                  Place place);

}  // namespace multinet::agent::drivers
