// The rules for a PodNetwork by itself and for its updates.
#include "lib/api/validate.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "lib/api/names.h"
#include "lib/api/parts.h"
#include "lib/api/policy.h"
#include "lib/api/spelling.h"

namespace multinet::api {
namespace {

using parts::at;

void note(Report& report, std::optional<Violation> violation) {
  if (violation) report.violations.push_back(std::move(*violation));
}

std::optional<Violation> checkName(const k8s::ObjectMeta& metadata) {
  if (isDnsLabel(metadata.name)) return std::nullopt;
  return Violation{"metadata.name",
                   metadata.name,
                   "can't name a network",
                   "write at most 63 of a-z, 0-9 and '-', which begins and ends with a letter or "
                   "digit",
                   "IllegalName",
                   Code::InvalidArgument};
}

/// The member of the union that a type has: `vxlan`.
std::string memberOf(NetworkType type) {
  switch (type) {
    case NetworkType::Vxlan:
      return "vxlan";
    case NetworkType::Bridge:
      return "bridge";
    case NetworkType::Macvlan:
      return "macvlan";
    case NetworkType::Vlan:
      return "vlan";
    case NetworkType::IPVlan:
      return "ipvlan";
    case NetworkType::Unknown:
      break;
  }
  return "";
}

Report checkUnion(const PodNetworkSpec& spec) {
  Report report;
  if (spec.type == NetworkType::Unknown) {
    note(report, Violation{"spec.type", "", "is none that this version of Multinet knows",
                           "upgrade this part of Multinet to the version of the CRDs",
                           "TypeUnknown", Code::FailedPrecondition});
    return report;
  }
  const std::array members{
      std::pair{NetworkType::Vxlan, spec.vxlan.has_value()},
      std::pair{NetworkType::Bridge, spec.bridge.has_value()},
      std::pair{NetworkType::Macvlan, spec.macvlan.has_value()},
      std::pair{NetworkType::Vlan, spec.vlan.has_value()},
      std::pair{NetworkType::IPVlan, spec.ipvlan.has_value()},
  };
  for (const auto& [type, present] : members) {
    const std::string member = memberOf(type);
    if (present && type != spec.type) {
      note(report, Violation{"spec." + member, member,
                             "belongs to type " + std::string(name(type)) + ", the type is " +
                                 std::string(name(spec.type)),
                             "write spec." + memberOf(spec.type) + " only", "UnionMemberMismatch",
                             Code::InvalidArgument});
    }
    // All of VXLAN's fields have defaults.
    if (!present && type == spec.type && type != NetworkType::Vxlan) {
      note(report,
           Violation{"spec." + member, "", "is missing, the type is " + std::string(name(type)),
                     "write spec." + member, "UnionMemberMissing", Code::InvalidArgument});
    }
  }
  return report;
}

std::optional<Violation> checkRange(std::optional<std::int32_t> number, const std::string& path,
                                    std::int32_t least, std::int32_t most,
                                    const std::string& reason) {
  if (!number || (*number >= least && *number <= most)) return std::nullopt;
  return Violation{path,
                   std::to_string(*number),
                   "is out of range",
                   "write a number from " + std::to_string(least) + " to " + std::to_string(most),
                   reason,
                   Code::InvalidArgument};
}

std::optional<Violation> checkPort(std::optional<std::int32_t> port) {
  const char* path = "spec.vxlan.port";
  if (port && *port > 0 && *port < kMinVxlanPort) {
    return Violation{path,
                     std::to_string(*port),
                     "is one of the system's ports, such as DNS's 53, which a tunnel would take "
                     "from every pod and node",
                     "leave it out for " + std::to_string(kDefaultVxlanPort) +
                         ", or write a number from " + std::to_string(kMinVxlanPort) + " to 65535",
                     "PortReserved",
                     Code::InvalidArgument};
  }
  return checkRange(port, path, kMinVxlanPort, 65535, "PortOutOfRange");
}

struct KnownPorts {
  std::int32_t first;
  std::int32_t last;
  std::string_view who;
};
/// UDP ports that others on a node commonly have: IANA's registry, Linux's VXLAN default, what
/// kube-proxy hands out, and what the kernel picks for outgoing sockets
/// (net.ipv4.ip_local_port_range).
constexpr std::array kKnownPorts{
    KnownPorts{4789, 4789, "VXLAN overlays"},
    KnownPorts{8472, 8472, "VXLAN overlays such as Flannel's and Cilium's"},
    KnownPorts{6081, 6081, "GENEVE overlays"},
    KnownPorts{4500, 4500, "IPsec"},
    KnownPorts{51820, 51821, "WireGuard"},
    KnownPorts{30000, 32767, "Services of type NodePort"},
    KnownPorts{32768, 60999, "outgoing sockets of the node"},
};

std::optional<Violation> warnOfPort(std::optional<std::int32_t> port) {
  if (!port) return std::nullopt;
  const auto known = std::find_if(
      kKnownPorts.begin(), kKnownPorts.end(),
      [&](const KnownPorts& ports) { return *port >= ports.first && *port <= ports.last; });
  if (known == kKnownPorts.end()) return std::nullopt;
  return Violation{"spec.vxlan.port",
                   std::to_string(*port),
                   "is used by " + std::string(known->who) +
                       ": where a node has them the network isn't ready there",
                   "",
                   "PortShared",
                   Code::Ok};
}

Report checkVxlan(const VxlanSpec& vxlan) {
  Report report;
  note(report, checkRange(vxlan.vni, "spec.vxlan.vni", 1, static_cast<std::int32_t>(kMaxVni),
                          "VNIOutOfRange"));
  note(report, checkPort(vxlan.port));
  if (auto shared = warnOfPort(vxlan.port)) report.warnings.push_back(std::move(*shared));
  if (vxlan.underlay && !vxlan.underlay->interface.empty()) {
    note(report,
         parts::checkDeviceName(vxlan.underlay->interface, "spec.vxlan.underlay.interface"));
  }
  return report;
}

std::optional<Violation> warnOfForgery(PortSecurity security) {
  if (security == PortSecurity::Enforced) return std::nullopt;
  return Violation{"spec.portSecurity",
                   std::string(name(security)),
                   security == PortSecurity::MacOnly
                       ? "lets each pod of the network send with the addresses of others"
                       : "lets each pod of the network send with the MAC and addresses of others",
                   "",
                   "AddressesForgeable",
                   Code::Ok};
}

std::optional<Violation> warnOfDefault(const PodNetworkSpec& spec) {
  if (spec.defaultPolicy == DefaultPolicy::Allow) return std::nullopt;
  const std::string value(k8s::spell(spec.defaultPolicy));
  if (!isPoliced(spec)) {
    return Violation{"spec.defaultPolicy",
                     value,
                     "isn't enforced by nodes on interfaces of type IPVlan and mode L3S; each says "
                     "so in its PodInterfaceSet",
                     "",
                     "TypeNotCovered",
                     Code::Ok};
  }
  if (spec.defaultPolicy != DefaultPolicy::Deny) return std::nullopt;
  return Violation{
      "spec.defaultPolicy",
      value,
      "lets pods of the network neither send nor receive, but where PodNetworkPolicies "
      "say otherwise",
      "",
      "DeniesAll",
      Code::Ok};
}

std::optional<Violation> warnOfNetAdminRule(const PodNetworkSpec& spec) {
  if (spec.allow.allowsNetAdmin() || isHeldInPod(spec)) return std::nullopt;
  return Violation{"spec.allow.netAdmin",
                   "false",
                   "refuses nobody on a network of type " + std::string(name(spec.type)) +
                       ", whose pods are held on the node, where NET_ADMIN undoes nothing",
                   "",
                   "HeldOnNode",
                   Code::Ok};
}

std::optional<Violation> warnOfTracking(const PodNetworkSpec& spec) {
  if (spec.trackConnections == TrackConnections::Auto || isPoliced(spec)) return std::nullopt;
  return Violation{"spec.trackConnections",
                   std::string(k8s::spell(spec.trackConnections)),
                   "does nothing on interfaces of type IPVlan and mode L3S, which no policy holds",
                   "",
                   "TypeNotCovered",
                   Code::Ok};
}

/// 0 and 4095 have meanings of their own (IEEE 802.1Q, 9.6).
std::optional<Violation> checkVlan(std::optional<std::int32_t> id, const std::string& path) {
  return checkRange(id, path, 1, 4094, "VLANOutOfRange");
}

Report checkBridge(const BridgeSpec& bridge) {
  Report report;
  if (!bridge.name.empty()) note(report, parts::checkDeviceName(bridge.name, "spec.bridge.name"));
  if (!bridge.uplink.empty()) {
    note(report, parts::checkDeviceName(bridge.uplink, "spec.bridge.uplink"));
  }
  if (bridge.mode == BridgeMode::Existing && bridge.name.empty()) {
    note(report, Violation{"spec.bridge.name", "", "is missing, the mode is Existing",
                           "name the bridge that stands on the nodes", "BridgeNameMissing",
                           Code::InvalidArgument});
  }
  if (bridge.mode == BridgeMode::Existing && !bridge.uplink.empty()) {
    note(report,
         Violation{"spec.bridge.uplink", bridge.uplink,
                   "can't be given to a bridge that isn't ours", "leave it out, or write mode Own",
                   "UplinkOfExistingBridge", Code::InvalidArgument});
  }
  if (!bridge.uplink.empty() && bridge.uplink == bridge.name) {
    note(report, Violation{"spec.bridge.uplink", bridge.uplink, "is the bridge itself",
                           "name another device", "UplinkIsBridge", Code::InvalidArgument});
  }
  note(report, checkVlan(bridge.vlan, "spec.bridge.vlan"));
  if (bridge.vlan && bridge.uplink.empty()) {
    note(report, Violation{"spec.bridge.vlan", std::to_string(*bridge.vlan),
                           "is a tag on no uplink", "name the uplink, or leave the vlan out",
                           "VLANWithoutUplink", Code::InvalidArgument});
  }
  return report;
}

Report checkMember(const PodNetworkSpec& spec) {
  Report report = checkUnion(spec);
  if (spec.vxlan) report.append(checkVxlan(*spec.vxlan));
  if (spec.bridge) report.append(checkBridge(*spec.bridge));
  if (spec.macvlan) {
    note(report, parts::checkDeviceName(spec.macvlan->parent, "spec.macvlan.parent"));
    note(report, checkVlan(spec.macvlan->vlan, "spec.macvlan.vlan"));
  }
  if (spec.vlan) {
    note(report, parts::checkDeviceName(spec.vlan->parent, "spec.vlan.parent"));
    note(report, checkVlan(spec.vlan->id, "spec.vlan.id"));
  }
  if (spec.ipvlan) {
    note(report, parts::checkDeviceName(spec.ipvlan->parent, "spec.ipvlan.parent"));
  }
  return report;
}

Report checkGrants(const NamespaceAccess& access) {
  Report report;
  const std::string path = "spec.access.namespaces.selector";
  if (access.from == AccessFrom::Selector && !access.selector) {
    note(report,
         Violation{path, "", "is missing, from is Selector", "write a selector of namespace labels",
                   "SelectorMissing", Code::InvalidArgument});
  }
  if (access.from != AccessFrom::Selector && access.selector) {
    note(report,
         Violation{path, "", "is there, but from is " + std::string(k8s::spell(access.from)),
                   "write from: Selector, or leave the selector out", "SelectorUnused",
                   Code::InvalidArgument});
  }
  if (access.selector) {
    if (const auto valid = k8s::validate(*access.selector); !valid) {
      note(report, Violation{path, "", valid.error().message, "", "InvalidSelector",
                             Code::InvalidArgument});
    }
  }
  return report;
}

std::int32_t mostMtu(NetworkType type) {
  return kMaxMtu - overhead(type, IpFamily::V4);
}

Violation changed(const std::string& path, const std::string& value, const std::string& before) {
  return {path,
          value,
          "can't change",
          (before.empty() ? "leave it out" : "keep " + before) +
              ", or make a new network and move pods to it",
          "ImmutableField",
          Code::InvalidArgument};
}

std::string textOf(const std::optional<std::int32_t>& number) {
  return number ? std::to_string(*number) : "";
}

template <class Value>
void keep(Report& report, const std::string& path, const Value& before, const Value& after) {
  if (before != after) note(report, changed(path, after, before));
}

Report keepMember(const PodNetworkSpec& before, const PodNetworkSpec& after) {
  Report report;
  keep(report, "spec.type", std::string(name(before.type)), std::string(name(after.type)));
  if (before.type == NetworkType::Vxlan && after.type == NetworkType::Vxlan) {
    const VxlanSpec old = before.vxlan.value_or(VxlanSpec{});
    const VxlanSpec now = after.vxlan.value_or(VxlanSpec{});
    const auto interfaceOf = [](const VxlanSpec& vxlan) {
      return vxlan.underlay ? vxlan.underlay->interface : std::string();
    };
    keep(report, "spec.vxlan.vni", textOf(old.vni), textOf(now.vni));
    keep(report, "spec.vxlan.port", textOf(old.port), textOf(now.port));
    keep(report, "spec.vxlan.underlay.interface", interfaceOf(old), interfaceOf(now));
  }
  if (before.bridge && after.bridge) {
    keep(report, "spec.bridge.name", before.bridge->name, after.bridge->name);
    keep(report, "spec.bridge.uplink", before.bridge->uplink, after.bridge->uplink);
    keep(report, "spec.bridge.vlan", textOf(before.bridge->vlan), textOf(after.bridge->vlan));
    keep(report, "spec.bridge.mode", std::string(name(before.bridge->mode)),
         std::string(name(after.bridge->mode)));
  }
  if (before.macvlan && after.macvlan) {
    keep(report, "spec.macvlan.parent", before.macvlan->parent, after.macvlan->parent);
    keep(report, "spec.macvlan.mode", std::string(name(before.macvlan->mode)),
         std::string(name(after.macvlan->mode)));
    keep(report, "spec.macvlan.vlan", textOf(before.macvlan->vlan), textOf(after.macvlan->vlan));
  }
  if (before.vlan && after.vlan) {
    keep(report, "spec.vlan.parent", before.vlan->parent, after.vlan->parent);
    keep(report, "spec.vlan.id", textOf(before.vlan->id), textOf(after.vlan->id));
  }
  if (before.ipvlan && after.ipvlan) {
    keep(report, "spec.ipvlan.parent", before.ipvlan->parent, after.ipvlan->parent);
    keep(report, "spec.ipvlan.mode", std::string(name(before.ipvlan->mode)),
         std::string(name(after.ipvlan->mode)));
  }
  return report;
}

/// Subnets may be added and put in another order. One of which blocks are leased, or may be, stays.
Report keepSubnets(const PodNetwork& before, const PodNetworkSpec& after) {
  Report report;
  const auto& removable = before.status.removableSubnets;
  for (const Subnet& old : before.spec.ipam.subnets) {
    if (old.isExcluded() && std::ranges::find(removable, old.cidr) != removable.end()) continue;
    const auto& subnets = after.ipam.subnets;
    const auto kept = std::find_if(subnets.begin(), subnets.end(),
                                   [&](const Subnet& now) { return now.cidr == old.cidr; });
    if (kept == subnets.end()) {
      note(report, Violation{"spec.ipam.subnets", "",
                             "lacks " + old.cidr + ": addresses of it may be in use",
                             "keep it; to remove it exclude all of it (exclude: [" + old.cidr +
                                 "]) and wait until status.removableSubnets lists it",
                             "ImmutableField", Code::InvalidArgument});
      continue;
    }
    const auto index = static_cast<std::size_t>(kept - subnets.begin());
    keep(report, at("spec.ipam.subnets", index) + ".blockSize", textOf(old.blockSize),
         textOf(kept->blockSize));
  }
  return report;
}

}  // namespace

std::int32_t overhead(NetworkType type, IpFamily underlay) {
  constexpr std::int32_t kInnerEthernet = 14;
  constexpr std::int32_t kVxlanAndUdp = 8 + 8;
  if (type != NetworkType::Vxlan) return 0;
  return kInnerEthernet + kVxlanAndUdp + (underlay == IpFamily::V4 ? 20 : 40);
}

Report validate(const PodNetwork& network) {
  const PodNetworkSpec& spec = network.spec;
  Report report;
  note(report, checkName(network.metadata));
  report.append(checkMember(spec));
  report.append(parts::checkSubnets(spec));
  const auto subnets = parts::typedSubnets(spec);
  if (spec.mtu) {
    const std::string limit = spec.type == NetworkType::Vxlan
                                  ? "the largest IP packet less VXLAN's 50 bytes"
                                  : "the largest IP packet";
    note(report, parts::checkMtu(*spec.mtu, "spec.mtu", subnets, mostMtu(spec.type), limit));
  }
  report.append(parts::checkRoutes(spec.routes, "spec.routes", subnets));
  report.append(checkGrants(spec.access.namespaces));
  if (auto open = warnOfForgery(spec.portSecurity)) report.warnings.push_back(std::move(*open));
  if (auto shut = warnOfDefault(spec)) report.warnings.push_back(std::move(*shut));
  if (auto vain = warnOfNetAdminRule(spec)) report.warnings.push_back(std::move(*vain));
  if (auto idle = warnOfTracking(spec)) report.warnings.push_back(std::move(*idle));
  return report;
}

Report validateUpdate(const PodNetwork& before, const PodNetwork& after) {
  Report report = validate(after);
  // What a time with other rules accepted can still be disabled, labelled and let go.
  const Violations old = validate(before).violations;
  std::erase_if(report.violations, [&old](const Violation& one) {
    return std::any_of(old.begin(), old.end(), [&one](const Violation& had) {
      return had.path == one.path && had.value == one.value && had.reason == one.reason;
    });
  });
  report.append(keepMember(before.spec, after.spec));
  report.append(keepSubnets(before, after.spec));
  return report;
}

}  // namespace multinet::api
