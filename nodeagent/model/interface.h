// What an interface of a pod shall be and what it became: the words that all rooms of the agent
// share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/base/ip.h"
#include "lib/base/mac.h"
#include "nodeagent/model/types.h"

namespace multinet::agent {

struct AddressPlan {
  InterfaceAddress address;          ///< with the length of the subnet, not of the block
  std::optional<IpAddress> gateway;  ///< of the subnet
  auto operator<=>(const AddressPlan&) const = default;
};

struct RoutePlan {
  IpPrefix to;
  std::optional<IpAddress> via;  ///< absent: on link
  auto operator<=>(const RoutePlan&) const = default;
};

/// One interface, fully decided: nothing is looked up any more once this stands in the journal.
struct InterfacePlan {
  InterfaceName name;
  NetworkName network;
  NetworkUid networkUid;
  std::string attachment;  ///< PodNetworkAttachment's name, empty where the pod named the network
  Link link;               ///< what it is made of, and on which device or bridge of the node
  MacAddress mac;
  unsigned mtu = 0;  ///< bytes
  std::vector<AddressPlan> addresses;
  std::vector<RoutePlan> routes;
  bool defaultGatewayV4 = false;
  bool defaultGatewayV6 = false;
  /// Where a default route moves here: ranges of pods, Services and nodes, whose ways stay on the
  /// pod's first interface.
  std::vector<IpPrefix> clusterPrefixes;
  bool operator==(const InterfacePlan&) const = default;
};

enum class InterfaceState : std::uint8_t {
  Pending,   ///< decided, not made yet
  Attached,  ///< in the pod as planned
  Failed,    ///< was attached, isn't as planned any more, and couldn't be put right yet
};
[[nodiscard]] std::string_view name(InterfaceState state);

/// Whether frames can pass: `Up`, `Down`, as the API spells them.
enum class LinkState : std::uint8_t { Unknown, Up, Down };
[[nodiscard]] std::string_view name(LinkState state);

/// Whether what a pod sends by an interface is held against its plan (spec.portSecurity), in the
/// words of the interface's condition PortSecured.
struct PortSecured {
  bool holds = false;
  std::string reason;  ///< `Enforced`, `MACOnly`, or why not; empty: not known
  std::string message;
  bool operator==(const PortSecured&) const = default;
};

/// What became of a plan.
struct InterfaceStatus {
  InterfacePlan plan;
  InterfaceState state = InterfaceState::Pending;
  int ifindex = 0;      ///< inside the pod
  std::string reason;   ///< CamelCase, where something is wrong: `NoCarrier`, `ParentMissing`
  std::string message;  ///< what is wrong and what would be right
  WallTime attachedAt{};
  LinkState link = LinkState::Unknown;  ///< Unknown also in records of earlier versions
  PortSecured secured{};                ///< not known also in records of earlier versions
  bool operator==(const InterfaceStatus&) const = default;
};

/// Who a sandbox belongs to, as the kubelet says it.
struct PodRef {
  PodUid uid;
  std::string namespaceName;
  std::string name;
  std::uint32_t attempt = 0;
  auto operator<=>(const PodRef&) const = default;
  /// `namespace/name`
  [[nodiscard]] std::string str() const { return namespaceName + "/" + name; }
};

}  // namespace multinet::agent
