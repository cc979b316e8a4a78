// What two networks can't share.
#include <utility>

#include "lib/api/parts.h"
#include "lib/api/validate.h"

namespace multinet::api {
namespace {

std::optional<std::int32_t> vniOf(const PodNetwork& network) {
  if (network.spec.type != NetworkType::Vxlan) return std::nullopt;
  const auto asked = network.spec.vxlan ? network.spec.vxlan->vni : std::nullopt;
  return asked ? asked : network.status.vni;
}

std::string quoted(const PodNetwork& network) {
  if (network.metadata.name.empty()) return "another network";
  return "network \"" + network.metadata.name + "\"";
}

Violation taken(const std::string& path, const std::string& value, const PodNetwork& other,
                const std::string& reason) {
  return {
      path, value, "is taken by " + quoted(other), "choose another", reason, Code::AlreadyExists};
}

/// How a network uses the device of the nodes that carries its frames out.
struct Wire {
  std::string device;
  std::int32_t vlan = 0;  ///< 0: frames without a tag
  std::string manner;     ///< of links that share the device, the kernel's word; empty: they don't
  std::string devicePath;
  std::string vlanPath;
};

/// nullopt: no device that has a name.
std::optional<Wire> wireOf(const PodNetwork& network) {
  const PodNetworkSpec& spec = network.spec;
  if (spec.macvlan) {
    const bool whole = spec.macvlan->mode == MacvlanMode::Passthru;
    return Wire{spec.macvlan->parent, spec.macvlan->vlan.value_or(0), whole ? "" : "macvlan",
                "spec.macvlan.parent", "spec.macvlan.vlan"};
  }
  if (spec.ipvlan) {
    return Wire{spec.ipvlan->parent, 0, "ipvlan " + std::string(name(spec.ipvlan->mode)),
                "spec.ipvlan.parent", ""};
  }
  if (spec.vlan) {
    return Wire{spec.vlan->parent, spec.vlan->id, "", "spec.vlan.parent", "spec.vlan.id"};
  }
  if (spec.bridge && !spec.bridge->uplink.empty()) {
    return Wire{spec.bridge->uplink, spec.bridge->vlan.value_or(0), "", "spec.bridge.uplink",
                "spec.bridge.vlan"};
  }
  return std::nullopt;
}

std::string bridgeOf(const PodNetwork& network) {
  return network.spec.bridge ? network.spec.bridge->name : "";
}

/// Frames without a tag have one receiver on a device: a bridge's port, macvlans (the kernel has
/// one receive handler). Each tag has one, too.
std::optional<Violation> wireConflict(const PodNetwork& network, const PodNetwork& other) {
  const auto mine = wireOf(network);
  const auto theirs = wireOf(other);
  if (!mine || !theirs || mine->device != theirs->device) return std::nullopt;
  if (mine->vlan != 0 && mine->vlan == theirs->vlan) {
    Violation same = taken(mine->vlanPath, std::to_string(mine->vlan), other, "VLANTaken");
    same.detail += " on device \"" + mine->device + "\"";
    return same;
  }
  // A segment takes nothing from those that share the rest of the device.
  const auto leavesTags = [](const Wire& wire) { return wire.vlan != 0 || !wire.manner.empty(); };
  const bool tagged = mine->vlan != 0 || theirs->vlan != 0;
  if (tagged && leavesTags(*mine) && leavesTags(*theirs)) return std::nullopt;
  if (!tagged && !mine->manner.empty() && mine->manner == theirs->manner) return std::nullopt;
  Violation whole = taken(mine->devicePath, mine->device, other, "DeviceTaken");
  if (!mine->manner.empty() && !theirs->manner.empty()) {
    whole.detail = "carries " + theirs->manner + " for " + quoted(other) +
                   ", and a device carries one kind and mode only, not " + mine->manner +
                   " besides";
    whole.remedy = "choose another device, or the same type and mode";
  }
  return whole;
}

/// Devices that only one network can have: a bridge of its own, and what wireConflict() tells.
Violations deviceConflicts(const PodNetwork& network, const PodNetwork& other) {
  Violations out;
  const std::string bridge = bridgeOf(network);
  const bool bothExisting = network.spec.bridge && other.spec.bridge &&
                            network.spec.bridge->mode == BridgeMode::Existing &&
                            other.spec.bridge->mode == BridgeMode::Existing;
  if (!bridge.empty() && bridge == bridgeOf(other) && !bothExisting) {
    out.push_back(taken("spec.bridge.name", bridge, other, "BridgeTaken"));
  }
  if (auto wire = wireConflict(network, other)) out.push_back(std::move(*wire));
  return out;
}

bool sameDomain(const PodNetwork& network, const PodNetwork& other) {
  const auto vni = vniOf(network);
  if (vni && vni == vniOf(other)) return true;
  const auto mine = wireOf(network);
  const auto theirs = wireOf(other);
  if (mine && theirs && mine->device == theirs->device && mine->vlan == theirs->vlan) return true;
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
  const bool isNamed = !other.metadata.name.empty();
  for (const auto& mine : parts::typedSubnets(network.spec)) {
    for (const auto& theirs : parts::typedSubnets(other.spec)) {
      if (!mine.cidr.overlaps(theirs.cidr)) continue;
      out.push_back({parts::at("spec.ipam.subnets", mine.index) + ".cidr", mine.cidr.str(),
                     "overlaps " + (isNamed ? theirs.cidr.str() + " of " : "") + quoted(other) +
                         " on the same wire",
                     "write a range that no network there has", "OverlappingNetworks",
                     Code::AlreadyExists});
    }
  }
  return out;
}

Contention contention(const PodNetwork& network) {
  Contention words;
  const auto both = [&](std::string word) {
    words.has.push_back(word);
    words.meets.push_back(std::move(word));
  };
  if (const auto vni = vniOf(network)) both("vni " + std::to_string(*vni));
  if (const auto bridge = bridgeOf(network); !bridge.empty()) both("bridge " + bridge);
  const auto wire = wireOf(network);
  if (!wire) return words;
  const std::string device = "device " + wire->device;
  if (wire->vlan != 0) {
    both(device + " vlan " + std::to_string(wire->vlan));
    words.has.push_back(device + " tagged");
    words.meets.push_back(device + " whole");
    return words;
  }
  both(device + " untagged");
  // Who has the device alone meets the tagged ones too.
  if (!wire->manner.empty()) return words;
  words.has.push_back(device + " whole");
  words.meets.push_back(device + " tagged");
  return words;
}

bool keepsPlace(const PodNetwork& network, const PodNetwork& other) {
  const auto key = [](const k8s::ObjectMeta& meta) {
    // An object under admission has no time yet: it is the youngest.
    return std::pair(meta.creationTimestamp.value_or(WallTime::max()), meta.uid);
  };
  return key(network.metadata) < key(other.metadata);
}

}  // namespace multinet::api
