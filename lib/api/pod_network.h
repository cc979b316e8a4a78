// PodNetwork: a network that pods can attach to; written by an admin, for the whole cluster.
//
// Addresses and prefixes are text here: an object can be wrong, and the rules (validate.h) tell all
// that is wrong at once. What has passed the rules comes out typed of resolve.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/k8s/conditions.h"
#include "lib/k8s/kind_names.h"
#include "lib/k8s/metadata.h"
#include "lib/k8s/selector.h"
#include "lib/k8s/spelling.h"

namespace multinet::api {

/// `Unknown`: of a newer version. The object is read all the same, so that what stands of it on
/// nodes isn't taken for gone; nothing new is made of it.
enum class NetworkType : std::uint8_t { Vxlan, Bridge, Macvlan, Vlan, IPVlan, Unknown };
enum class BridgeMode : std::uint8_t { Own, Existing };
enum class MacvlanMode : std::uint8_t { Bridge, Private, Vepa, Passthru };
enum class IpvlanMode : std::uint8_t { L2, L3, L3S };
enum class AccessFrom : std::uint8_t { None, All, Selector };
enum class JoinMode : std::uint8_t { OnDemand, Always };
/// What of a pod's frames is held against its interface: MAC and addresses, the MAC, or nothing.
enum class PortSecurity : std::uint8_t { Enforced, MacOnly, Disabled };
/// What holds for a direction of an interface that no policy selects: everything, what comes from
/// or goes to pods of its own namespace, or nothing.
enum class DefaultPolicy : std::uint8_t { Allow, SameNamespace, Deny };
/// Of which connections nodes follow who began them: those of bridges, or links in pods, that a
/// policy is about, or all of the network's.
enum class TrackConnections : std::uint8_t { Auto, Always };

}  // namespace multinet::api

namespace multinet::k8s {

template <>
inline constexpr std::array kSpellings<api::NetworkType>{
    std::pair{api::NetworkType::Vxlan, std::string_view("VXLAN")},
    std::pair{api::NetworkType::Bridge, std::string_view("Bridge")},
    std::pair{api::NetworkType::Macvlan, std::string_view("Macvlan")},
    std::pair{api::NetworkType::Vlan, std::string_view("VLAN")},
    std::pair{api::NetworkType::IPVlan, std::string_view("IPVlan")},
};
template <>
inline constexpr std::optional<api::NetworkType> kUnknownWord<api::NetworkType> =
    api::NetworkType::Unknown;
template <>
inline constexpr std::array kSpellings<api::BridgeMode>{
    std::pair{api::BridgeMode::Own, std::string_view("Own")},
    std::pair{api::BridgeMode::Existing, std::string_view("Existing")},
};
template <>
inline constexpr std::array kSpellings<api::MacvlanMode>{
    std::pair{api::MacvlanMode::Bridge, std::string_view("Bridge")},
    std::pair{api::MacvlanMode::Private, std::string_view("Private")},
    std::pair{api::MacvlanMode::Vepa, std::string_view("VEPA")},
    std::pair{api::MacvlanMode::Passthru, std::string_view("Passthru")},
};
template <>
inline constexpr std::array kSpellings<api::IpvlanMode>{
    std::pair{api::IpvlanMode::L2, std::string_view("L2")},
    std::pair{api::IpvlanMode::L3, std::string_view("L3")},
    std::pair{api::IpvlanMode::L3S, std::string_view("L3S")},
};
template <>
inline constexpr std::array kSpellings<api::AccessFrom>{
    std::pair{api::AccessFrom::None, std::string_view("None")},
    std::pair{api::AccessFrom::All, std::string_view("All")},
    std::pair{api::AccessFrom::Selector, std::string_view("Selector")},
};
template <>
inline constexpr std::array kSpellings<api::JoinMode>{
    std::pair{api::JoinMode::OnDemand, std::string_view("OnDemand")},
    std::pair{api::JoinMode::Always, std::string_view("Always")},
};
template <>
inline constexpr std::array kSpellings<api::PortSecurity>{
    std::pair{api::PortSecurity::Enforced, std::string_view("Enforced")},
    std::pair{api::PortSecurity::MacOnly, std::string_view("MACOnly")},
    std::pair{api::PortSecurity::Disabled, std::string_view("Disabled")},
};
template <>
inline constexpr std::array kSpellings<api::DefaultPolicy>{
    std::pair{api::DefaultPolicy::Allow, std::string_view("Allow")},
    std::pair{api::DefaultPolicy::SameNamespace, std::string_view("SameNamespace")},
    std::pair{api::DefaultPolicy::Deny, std::string_view("Deny")},
};
template <>
inline constexpr std::array kSpellings<api::TrackConnections>{
    std::pair{api::TrackConnections::Auto, std::string_view("Auto")},
    std::pair{api::TrackConnections::Always, std::string_view("Always")},
};
}  // namespace multinet::k8s

namespace multinet::api {

/// `VXLAN`, `Bridge`, `Macvlan`, `VLAN`, `IPVlan`; `unknown`.
[[nodiscard]] constexpr std::string_view name(NetworkType type) {
  return type == NetworkType::Unknown ? "unknown" : k8s::spell(type);
}
[[nodiscard]] constexpr std::string_view name(BridgeMode mode) {
  return k8s::spell(mode);
}
[[nodiscard]] constexpr std::string_view name(MacvlanMode mode) {
  return k8s::spell(mode);
}
[[nodiscard]] constexpr std::string_view name(IpvlanMode mode) {
  return k8s::spell(mode);
}
[[nodiscard]] constexpr std::string_view name(PortSecurity security) {
  return k8s::spell(security);
}

struct Underlay {
  std::string interface;  ///< empty: the agent's own choice (its flag)
  bool operator==(const Underlay&) const = default;
};

struct VxlanSpec {
  std::optional<std::int32_t> vni;   ///< 1 to 16777215; absent: allocated, see status.vni
  std::optional<std::int32_t> port;  ///< UDP; absent: kDefaultVxlanPort
  std::optional<Underlay> underlay;
  bool operator==(const VxlanSpec&) const = default;
};

struct BridgeSpec {
  std::string name;  ///< of the device on the node; empty in mode Own: the agent's choice
  BridgeMode mode = BridgeMode::Own;
  std::string uplink;                  ///< a device of the node that becomes a port; empty: none
  std::optional<std::int32_t> vlan{};  ///< of the uplink, 1 to 4094; absent: frames without a tag
  bool operator==(const BridgeSpec&) const = default;
};

struct MacvlanSpec {
  std::string parent;
  MacvlanMode mode = MacvlanMode::Bridge;
  std::optional<std::int32_t> vlan{};  ///< of the parent, 1 to 4094; absent: frames without a tag
  bool operator==(const MacvlanSpec&) const = default;
};

struct VlanSpec {
  std::string parent;
  std::int32_t id = 0;  ///< 1 to 4094
  bool operator==(const VlanSpec&) const = default;
};

struct IpvlanSpec {
  std::string parent;
  IpvlanMode mode = IpvlanMode::L2;
  bool operator==(const IpvlanSpec&) const = default;
};

struct Subnet {
  std::string cidr;
  std::string gateway;  ///< empty: none
  std::vector<std::string> exclude;
  std::optional<std::int32_t> blockSize;  ///< prefix length; absent: chosen from the size
  bool operator==(const Subnet&) const = default;

  /// Its own cidr is among the exclusions: nobody gets an address of it any more.
  [[nodiscard]] bool isExcluded() const {
    return std::find(exclude.begin(), exclude.end(), cidr) != exclude.end();
  }
};

struct Ipam {
  std::vector<Subnet> subnets;
  bool operator==(const Ipam&) const = default;
};

struct Route {
  std::string to;
  std::string via;  ///< empty: on link
  bool operator==(const Route&) const = default;
};

struct NamespaceAccess {
  AccessFrom from = AccessFrom::None;
  std::optional<k8s::LabelSelector> selector;  ///< with from: Selector
  bool operator==(const NamespaceAccess&) const = default;
};

struct Access {
  NamespaceAccess namespaces;
  bool operator==(const Access&) const = default;
};

/// What a user may ask for.
struct Allow {
  bool defaultGateway = false;  ///< on an attachment
  bool routes = false;          ///< likewise
  /// Whether containers that can undo rules inside their pod may be on the network; absent: true.
  std::optional<bool> netAdmin{};
  bool operator==(const Allow&) const = default;

  [[nodiscard]] bool allowsNetAdmin() const { return netAdmin.value_or(true); }
};

struct PodNetworkSpec {
  std::optional<bool> enabled;  ///< absent: true
  /// When nodes make it: with their first pod on it, or whether they have one or not.
  JoinMode join = JoinMode::OnDemand;
  NetworkType type = NetworkType::Bridge;
  std::optional<VxlanSpec> vxlan;
  std::optional<BridgeSpec> bridge;
  std::optional<MacvlanSpec> macvlan;
  std::optional<VlanSpec> vlan;
  std::optional<IpvlanSpec> ipvlan;
  std::optional<std::int32_t> mtu;  ///< bytes; absent: what the underlay leaves
  Ipam ipam;
  std::vector<Route> routes;
  Access access;
  Allow allow;
  PortSecurity portSecurity = PortSecurity::Enforced;
  DefaultPolicy defaultPolicy = DefaultPolicy::Allow;
  TrackConnections trackConnections = TrackConnections::Auto;
  bool operator==(const PodNetworkSpec&) const = default;

  [[nodiscard]] bool isEnabled() const { return enabled.value_or(true); }
};

/// Of nodes that have the network, or that shall have it and can't.
struct NodeCounts {
  std::int32_t desired = 0;
  std::int32_t ready = 0;
  bool operator==(const NodeCounts&) const = default;
};

struct PodNetworkStatus {
  k8s::Conditions conditions;       ///< Ready, InUse, Degraded
  std::optional<std::int32_t> vni;  ///< in effect
  std::optional<NodeCounts> nodes;
  std::optional<std::int32_t> attachedPods;
  std::vector<std::string> blockers;  ///< what holds a deletion: `pod default/web-0`
  /// By cidr: excluded whole, and nobody has a block of it, so it may leave the spec.
  std::vector<std::string> removableSubnets;
  bool operator==(const PodNetworkStatus&) const = default;
};

struct PodNetwork {
  k8s::ObjectMeta metadata;
  PodNetworkSpec spec;
  PodNetworkStatus status;
  bool operator==(const PodNetwork&) const = default;

  /// Ready at its current generation: an older verdict speaks of another spec.
  [[nodiscard]] bool isReady() const {
    return status.conditions.isTrueAt("Ready", metadata.generation);
  }
};

inline constexpr k8s::Kind kPodNetworkKind{"multinet.dev", "v1alpha1", "podnetworks", "PodNetwork",
                                           k8s::Scope::Cluster};

}  // namespace multinet::api

template <>
struct multinet::k8s::KindTraits<multinet::api::PodNetwork>
    : multinet::k8s::KindNames<multinet::api::kPodNetworkKind> {
  static Result<api::PodNetwork> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const api::PodNetwork& object);
};
