// Type VLAN: an 802.1Q segment of a device of the node, which many pods share. On a node: a bridge
// in the switch for the pods, and in it a VLAN device that stands on the parent. The parent stays
// the node's, with its addresses and all frames that don't carry the tag.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_network.h"
#include "nodeagent/drivers/link.h"

namespace multinet::agent::drivers::vlan {

struct Link {
  static constexpr api::NetworkType kType = api::NetworkType::Vlan;
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
  static constexpr api::NetworkType kType = api::NetworkType::Vlan;
  api::VlanSpec spec;
  bool operator==(const Network&) const = default;

  [[nodiscard]] static std::optional<Network> of(const api::PodNetwork& network,
                                                 const std::vector<const api::NetworkPeer*>& peers,
                                                 const NodeName& node);
  [[nodiscard]] bool isComplete() const { return true; }
  [[nodiscard]] bool settle(const Ground& /*ground*/) { return true; }
  [[nodiscard]] HostDetail detail(const Ground& /*ground*/) const { return {}; }
  [[nodiscard]] std::optional<Refusal> refuse(const Ground& ground) const;
  [[nodiscard]] std::optional<Claim> claim() const;
  [[nodiscard]] std::string takenDevice() const { return ""; }
  /// The node's own addresses on the parent are on another wire: that of frames without a tag.
  [[nodiscard]] std::string wire() const { return ""; }
  [[nodiscard]] std::vector<std::string> devices() const { return {spec.parent}; }
  [[nodiscard]] std::vector<std::string> kinds() const { return {"vlan"}; }
  [[nodiscard]] std::vector<std::string> links(Place place, const Ground& ground) const;
  [[nodiscard]] Placement placement(const Ground& ground) const;
  [[nodiscard]] std::vector<HostStep> steps(const Ground& ground, const NodeName& node,
                                            Guard guard) const;
  [[nodiscard]] std::vector<Check> checks(const Ground& ground, const Placement& placement,
                                          const Findings& findings) const;
  [[nodiscard]] std::optional<Link> link(const Ground& ground, const Placement& placement,
                                         const std::vector<Check>& checks) const;
};

}  // namespace multinet::agent::drivers::vlan
