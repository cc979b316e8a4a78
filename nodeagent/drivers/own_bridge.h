// The bridge that a network has in the switch, and its one port that leads out of the node: what
// VXLAN and Bridge have in common. Pure.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "nodeagent/drivers/network.h"

namespace multinet::agent::drivers {

[[nodiscard]] netlink::LinkRef ref(const netlink::LinkInfo& link);

/// Interfaces of pods in a bridge.
[[nodiscard]] unsigned interfacesIn(const Links& side, const netlink::LinkInfo& bridge);

/// The MTU of the network's own bridge; 0: it isn't there.
[[nodiscard]] unsigned madeWith(const Ground& ground, const std::string& bridge);

/// The kernel has IPv6, and this link isn't kept from it.
[[nodiscard]] bool speaksIpv6(const netlink::LinkInfo& link);
/// The sysctl, and its value, that keeps a link from IPv6: from a link-local address too.
[[nodiscard]] std::pair<std::string, std::string> silenceIpv6(const netlink::LinkInfo& link);

/// Collects the steps for one network. What it is given outlives it.
class OwnBridge {
 public:
  struct Names {
    std::string bridge;
    std::string port;  ///< empty: the bridge ends at the node
  };
  OwnBridge(const Ground& ground, const Placement& placement, const NodeName& node, Names names);

  /// Makes the bridge, or puts it right. nullptr where it isn't there yet or is somebody else's:
  /// then nothing can be in it.
  [[nodiscard]] const netlink::LinkInfo* keep();
  /// What every port of the bridge must be. False where it is none of ours.
  [[nodiscard]] bool keepPort(const netlink::LinkInfo& port, const netlink::LinkInfo& bridge);
  /// Marks the port that was just made. Not in the same send: it was made from the node's side.
  void adopt(const std::string& port, const netlink::LinkInfo& bridge);
  /// Ends of pods that an earlier version put into a bridge on the node come over, unless the new
  /// bridge leads nowhere; `portComes`: the port is about to be made.
  void movePods(const netlink::LinkInfo& bridge, bool portComes);

  /// Never less than the pods in the bridge were told: their large frames would vanish without a
  /// word. A smaller MTU of the network holds for new interfaces, which get it themselves.
  [[nodiscard]] unsigned mtuOf(const netlink::LinkInfo& bridge) const;
  void keepMtu(const netlink::LinkInfo& port, const netlink::LinkInfo& bridge);
  /// The host has no address in a pod's network, not even a link-local one; also where somebody
  /// gave one to a link that is up.
  void bringUp(const netlink::LinkInfo& link);

  [[nodiscard]] bool blocked() const { return blocked_; }
  [[nodiscard]] bool isOurs(const netlink::LinkInfo& link) const { return link.alias == alias_; }
  [[nodiscard]] const std::string& alias() const { return alias_; }
  void step(Place place, std::vector<netlink::Request> requests);
  void step(std::vector<netlink::Request> requests) { step(Place::Switch, std::move(requests)); }
  [[nodiscard]] std::vector<HostStep> take() && { return std::move(steps_); }

 private:
  void create();
  /// What somebody set, pinned or added at the bridge or a port of it by hand.
  void undo(const netlink::LinkInfo& link);

  const Ground& ground_;
  const Placement& placement_;
  const NodeName& node_;
  Names names_;
  bool blocked_;
  std::string alias_;
  std::vector<HostStep> steps_;
};

}  // namespace multinet::agent::drivers
