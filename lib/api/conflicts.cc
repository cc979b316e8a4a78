// What two networks can't share.
#include <utility>

#include "lib/api/parts.h"
#include "lib/api/validate.h"

namespace multinet::api {
namespace {

std::optional<std::int32_t> vniOf(const PodNetwork& network) {
  if (!network.spec.vxlan) return std::nullopt;
  return network.spec.vxlan->vni ? network.spec.vxlan->vni : network.status.vni;
}

std::string quoted(const PodNetwork& network) {
  return "network \"" + network.metadata.name + "\"";
}

Violation taken(const std::string& path, const std::string& value, const PodNetwork& other,
                const std::string& reason) {
  return {
      path, value, "is taken by " + quoted(other), "choose another", reason, Code::AlreadyExists};
}

/// The device of the node that carries a network's frames out; empty: none that has a name.
std::string wire(const PodNetwork& network) {
  if (network.spec.macvlan) return network.spec.macvlan->parent;
  if (network.spec.bridge) return network.spec.bridge->uplink;
  return "";
}

std::string wirePath(const PodNetwork& network) {
  return network.spec.macvlan ? "spec.macvlan.parent" : "spec.bridge.uplink";
}

std::string bridgeOf(const PodNetwork& network) {
  return network.spec.bridge ? network.spec.bridge->name : "";
}

/// Devices that only one network can have: a bridge of its own, and an uplink: a port of one
/// bridge can't be a port of another nor a macvlan's parent (the kernel has one receive handler).
Violations deviceConflicts(const PodNetwork& network, const PodNetwork& other) {
  Violations out;
  const std::string bridge = bridgeOf(network);
  const bool bothExisting = network.spec.bridge && other.spec.bridge &&
                            network.spec.bridge->mode == BridgeMode::Existing &&
                            other.spec.bridge->mode == BridgeMode::Existing;
  if (!bridge.empty() && bridge == bridgeOf(other) && !bothExisting) {
    out.push_back(taken("spec.bridge.name", bridge, other, "BridgeTaken"));
  }
  const std::string device = wire(network);
  const bool bothMacvlan = network.spec.macvlan && other.spec.macvlan;
  if (!device.empty() && device == wire(other) && !bothMacvlan) {
    out.push_back(taken(wirePath(network), device, other, "DeviceTaken"));
  }
  if (network.spec.macvlan && other.spec.macvlan && device == wire(other)) {
    const bool passthru = network.spec.macvlan->mode == MacvlanMode::Passthru ||
                          other.spec.macvlan->mode == MacvlanMode::Passthru;
    if (passthru) out.push_back(taken("spec.macvlan.parent", device, other, "DeviceTaken"));
  }
  return out;
}

bool sameDomain(const PodNetwork& network, const PodNetwork& other) {
  const auto vni = vniOf(network);
  if (vni && vni == vniOf(other)) return true;
  const std::string device = wire(network);
  if (!device.empty() && device == wire(other)) return true;
  const std::string bridge = bridgeOf(network);
  return !bridge.empty() && bridge == bridgeOf(other);
}

}  // namespace

Violations conflicts(const PodNetwork& network, const PodNetwork& other) {
  const auto vni = vniOf(network);
  Violations out;
  if (vni && vni == vniOf(other)) {
    out.push_back(taken("spec.vxlan.vni", std::to_string(*vni), other, "VNITaken"));
  }
  const Violations devices = deviceConflicts(network, other);
  out.insert(out.end(), devices.begin(), devices.end());
  if (!sameDomain(network, other)) return out;
  for (const auto& mine : parts::typedSubnets(network.spec)) {
    for (const auto& theirs : parts::typedSubnets(other.spec)) {
      if (!mine.cidr.overlaps(theirs.cidr)) continue;
      out.push_back({parts::at("spec.ipam.subnets", mine.index) + ".cidr", mine.cidr.str(),
                     "overlaps " + theirs.cidr.str() + " of " + quoted(other) + " on the same wire",
                     "write a range that no network there has", "OverlappingNetworks",
                     Code::AlreadyExists});
    }
  }
  return out;
}

bool keepsPlace(const PodNetwork& network, const PodNetwork& other) {
  const auto key = [](const k8s::ObjectMeta& meta) {
    // An object under admission has no time yet: it is the youngest.
    return std::pair(meta.creationTimestamp.value_or(WallTime::max()), meta.uid);
  };
  return key(network.metadata) < key(other.metadata);
}

}  // namespace multinet::api
