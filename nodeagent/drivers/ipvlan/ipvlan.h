// Type IPVlan: pods share a device of the node and its MAC, and are told apart by their addresses.
// On a node there is nothing of it but that device; its links are born in pods.
//
// All ipvlans of a device are of one mode: the kernel changes that of the others with each new one
// (ipvlan_set_port_mode). In L3 and L3S there is no ARP and no broadcast; what a pod sends is
// routed by the node, out of that device.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_network.h"
#include "nodeagent/drivers/link.h"

namespace multinet::agent::drivers::ipvlan {

struct Link {
  static constexpr api::NetworkType kType = api::NetworkType::IPVlan;
  std::string device;
  api::IpvlanMode mode = api::IpvlanMode::L2;
  bool operator==(const Link&) const = default;

  /// Its MAC is the parent's and can't be set (ipvlan_port, ipvlan_init).
  [[nodiscard]] LinkTraits traits() const {
    return {"ipvlan", Place::Node, false, false, mode == api::IpvlanMode::L2, kernelMode()};
  }
  [[nodiscard]] std::uint32_t kernelMode() const;  ///< IPVLAN_MODE_* of linux/if_link.h
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
  static constexpr api::NetworkType kType = api::NetworkType::IPVlan;
  api::IpvlanSpec spec;
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
  [[nodiscard]] std::string wire() const { return spec.parent; }
  [[nodiscard]] std::vector<std::string> devices() const { return {spec.parent}; }
  [[nodiscard]] std::vector<std::string> kinds() const { return {"ipvlan"}; }
  [[nodiscard]] std::vector<std::string> links(Place place, const Ground& ground) const;
  [[nodiscard]] Placement placement(const Ground& ground) const;
  [[nodiscard]] std::vector<HostStep> steps(const Ground& ground, const NodeName& node,
                                            Guard guard) const;
  [[nodiscard]] std::vector<Check> checks(const Ground& ground, const Placement& placement,
                                          const Findings& findings) const;
  [[nodiscard]] std::optional<Link> link(const Ground& ground, const Placement& placement,
                                         const std::vector<Check>& checks) const;
};

}  // namespace multinet::agent::drivers::ipvlan
