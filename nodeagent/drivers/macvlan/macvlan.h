// Type Macvlan: each pod has a MAC of its own on a device of the node. Its links are born in pods;
// on a node there is nothing of it but that device or, with `vlan`, a VLAN device on that in the
// switch.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_network.h"
#include "nodeagent/drivers/link.h"

namespace multinet::agent::drivers::macvlan {

struct Link {
  static constexpr api::NetworkType kType = api::NetworkType::Macvlan;
  std::string device;  ///< of the node; with `vlan` the switch's, on a device of the node
  api::MacvlanMode mode = api::MacvlanMode::Bridge;
  std::uint16_t vlan = 0;  ///< 0: frames without a tag
  bool operator==(const Link&) const = default;

  /// A passthru macvlan has its parent's MAC whatever was asked (macvlan_common_newlink).
  [[nodiscard]] LinkTraits traits() const {
    return {"macvlan", place(), false, mode != api::MacvlanMode::Passthru, true, kernelMode()};
  }
  [[nodiscard]] std::uint32_t kernelMode() const;  ///< MACVLAN_MODE_* of linux/if_link.h
  [[nodiscard]] Place place() const { return vlan == 0 ? Place::Node : Place::Switch; }
  [[nodiscard]] const std::string& parent() const { return device; }
  [[nodiscard]] Status checkParent(unsigned mtu, const netlink::LinkInfo& parent) const {
    return checkDeviceParent(mtu, parent);
  }
  [[nodiscard]] CreateLink create(const NewLink& link, const netlink::LinkInfo& parent) const;
  void toWire(multinet::cri::v1alpha1::InterfaceRequest& request) const;
  [[nodiscard]] LinkForm form() const;
  [[nodiscard]] static Result<Link> ofForm(const LinkForm& form);
};

struct Network {
  static constexpr api::NetworkType kType = api::NetworkType::Macvlan;
  api::MacvlanSpec spec;
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
  [[nodiscard]] std::string takenDevice() const {
    return spec.mode == api::MacvlanMode::Passthru && !spec.vlan ? spec.parent : "";
  }
  /// The node's own addresses on a parent are on the wire of frames without a tag.
  [[nodiscard]] std::string wire() const { return spec.vlan ? "" : spec.parent; }
  [[nodiscard]] std::vector<std::string> devices() const { return {spec.parent}; }
  [[nodiscard]] std::vector<std::string> kinds() const {
    return spec.vlan ? std::vector<std::string>{"macvlan", "vlan"}
                     : std::vector<std::string>{"macvlan"};
  }
  [[nodiscard]] std::vector<std::string> links(Place place, const Ground& ground) const;
  [[nodiscard]] Placement placement(const Ground& ground) const;
  [[nodiscard]] std::vector<HostStep> steps(const Ground& ground, const NodeName& node,
                                            Guard guard) const;
  [[nodiscard]] std::vector<Check> checks(const Ground& ground, const Placement& placement,
                                          const Findings& findings) const;
  [[nodiscard]] std::optional<Link> link(const Ground& ground, const Placement& placement,
                                         const std::vector<Check>& checks) const;
};

}  // namespace multinet::agent::drivers::macvlan
