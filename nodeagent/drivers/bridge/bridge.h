// Type Bridge: a layer 2 of one node, or of whatever its uplink leads to. On a node: a bridge in
// the switch for the pods, with a port on the uplink, or a wire to a bridge of somebody else's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_network.h"
#include "nodeagent/drivers/link.h"

namespace multinet::agent::drivers::bridge {

struct Link {
  static constexpr api::NetworkType kType = api::NetworkType::Bridge;
  std::string bridge;
  bool operator==(const Link&) const = default;

  [[nodiscard]] LinkTraits traits() const { return vethTraits(); }
  [[nodiscard]] const std::string& parent() const { return bridge; }
  [[nodiscard]] Status checkParent(unsigned mtu, const netlink::LinkInfo& parent) const {
    return checkVethParent(mtu, parent);
  }
  [[nodiscard]] CreateLink create(const NewLink& link, const netlink::LinkInfo& parent) const {
    return createVeth(link, parent);
  }
  void toWire(multinet::cri::v1alpha1::InterfaceRequest& request) const;
  [[nodiscard]] LinkForm form() const { return {{"parent", bridge}}; }
  [[nodiscard]] static Result<Link> ofForm(const LinkForm& form) {
    return Link{textOf(form, "parent")};
  }
};

struct Network {
  static constexpr api::NetworkType kType = api::NetworkType::Bridge;
  api::BridgeSpec spec;
  bool operator==(const Network&) const = default;

  [[nodiscard]] static std::optional<Network> of(const api::PodNetwork& network,
                                                 const std::vector<const api::NetworkPeer*>& peers,
                                                 const NodeName& node);
  [[nodiscard]] bool isComplete() const { return true; }
  [[nodiscard]] bool settle(const Ground& /*ground*/) { return true; }
  [[nodiscard]] HostDetail detail(const Ground& /*ground*/) const {
    return {.routes = !takenDevice().empty()};
  }
  [[nodiscard]] std::optional<Refusal> refuse(const Ground& ground) const;
  [[nodiscard]] std::optional<Claim> claim() const;
  [[nodiscard]] std::string takenDevice() const { return joins() || spec.vlan ? "" : spec.uplink; }
  /// The node's own addresses on an uplink are on the wire of frames without a tag.
  [[nodiscard]] std::string wire() const { return joins() ? spec.name : takenDevice(); }
  [[nodiscard]] std::vector<std::string> devices() const { return {spec.name, spec.uplink}; }
  [[nodiscard]] std::vector<std::string> kinds() const {
    if (spec.uplink.empty()) return {};
    return {spec.vlan ? "vlan" : "macvlan"};
  }
  [[nodiscard]] std::vector<std::string> links(Place place, const Ground& ground) const;
  [[nodiscard]] Placement placement(const Ground& ground) const;
  [[nodiscard]] std::vector<HostStep> steps(const Ground& ground, const NodeName& node,
                                            Guard guard) const;
  [[nodiscard]] std::vector<Check> checks(const Ground& ground, const Placement& placement,
                                          const Findings& findings) const;
  [[nodiscard]] std::optional<Link> link(const Ground& ground, const Placement& placement,
                                         const std::vector<Check>& checks) const;

  /// True where the network joins a bridge that somebody else made.
  [[nodiscard]] bool joins() const { return spec.mode == api::BridgeMode::Existing; }
  /// The network's own bridge: the user's name, or one made of the UID, also where the network
  /// joins a bridge of somebody else's.
  [[nodiscard]] std::string bridgeName(const NetworkUid& uid) const;
  /// The port of that bridge that leads out of the node; empty: it has none.
  [[nodiscard]] std::string portName(const NetworkUid& uid) const;
};

/// `mnu...`: the bridge's port onto its uplink.
[[nodiscard]] std::string uplinkName(const NetworkUid& network);
/// `mnw...` and `mne...`: the two ends of the wire to somebody else's bridge, ours and the one that
/// is a port there.
[[nodiscard]] std::string wireName(const NetworkUid& network);
[[nodiscard]] std::string wireEndName(const NetworkUid& network);

}  // namespace multinet::agent::drivers::bridge
