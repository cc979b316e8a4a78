// The node's side of each network: bridges, tunnels, flood lists, guards, and what was measured.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/base/ip.h"
#include "lib/base/mac.h"
#include "nodeagent/drivers/check.h"
#include "nodeagent/model/types.h"

namespace multinet::agent::networks {

using drivers::Check;
using drivers::CheckStatus;
using drivers::Refusal;

/// Whether a network is to be made here, or only kept where the node has its links: the verdict on
/// a network (Ready) may change while pods are on it, its existence doesn't. Return: made again in
/// spite of its verdict, for a pod that was on it before the node lost its links.
enum class DesiredState : std::uint8_t { Serve, Keep, Return };

/// Whether anybody on this node wants a network. Lingers: nobody does any more, or nobody can say
/// yet: what the node has of it stays, and nothing is made.
enum class Demand : std::uint8_t { Wanted, Lingers, None };

/// One network as this node shall serve it.
struct DesiredNetwork {
  NetworkName name;
  NetworkUid uid;
  Network network;   ///< its type, and what that has on a node
  unsigned mtu = 0;  ///< bytes; 0: what the underlay or uplink carries

  std::vector<IpPrefix> subnets;  ///< pods get a connected route to each
  std::vector<IpPrefix> covered;  ///< ranges of the cluster that one of the subnets overlaps
  DesiredState state = DesiredState::Serve;
  Demand demand = Demand::Wanted;
  api::PortSecurity portSecurity = api::PortSecurity::Enforced;  ///< of its pods' frames

  /// What this network must not take from the node: the verdict of judge() (see lifelines.h),
  /// nobody else fills it in.
  std::optional<Refusal> refusal;
  bool operator==(const DesiredNetwork&) const = default;
};

/// What the node has of a network.
struct NetworkState {
  NetworkName name;
  NetworkUid uid;
  api::NetworkType type = api::NetworkType::Vxlan;
  /// False: nobody here wants it, and the node has nothing of it. The checks then tell what can be
  /// told of it without making it.
  bool joined = true;
  /// For InterfacePlan. Nothing until it is there and, where it was just made, until the first peer
  /// was heard (see joining.h); nor while a check that protects says no: nothing new is attached
  /// then. What is attached already stays.
  std::optional<Link> link;
  unsigned mtu = 0;                  ///< for interfaces of this network; 0 until it is known
  MacAddress bridgeMac;              ///< for this node's NetworkPeer (VXLAN)
  std::vector<IpAddress> underlays;  ///< for this node's NetworkPeer (VXLAN)
  /// False where a check is False; Unknown while something that can be measured hasn't been; True
  /// where Link and Parent are True and nothing is False. Reason and message are those of the check
  /// that decided.
  CheckStatus ready = CheckStatus::Unknown;
  std::string reason;
  std::string message;
  std::vector<Check> checks;
  bool operator==(const NetworkState&) const = default;
};

/// Links of a network that is gone and that pods still use: kept, and told.
struct Orphan {
  NetworkUid uid;
  std::string device;
  unsigned interfaces = 0;
  bool operator==(const Orphan&) const = default;
};

struct Snapshot {
  /// False until the first desired state has been put into the kernel once.
  bool settled = false;
  std::vector<NetworkState> networks;  ///< by name
  std::vector<Orphan> orphans;
  bool operator==(const Snapshot&) const = default;
  /// nullptr where the network isn't served here.
  [[nodiscard]] const NetworkState* find(const NetworkUid& uid) const;
};

struct NetworksOptions {
  NodeName node;
  std::string underlay = "eth0";
  Duration compareEvery = std::chrono::seconds(15);  ///< whole state, besides events
  Duration probeEvery = std::chrono::seconds(2);
  unsigned losses = 3;     ///< probes of a peer in a row until it counts as unreachable
  std::string switchPath;  ///< where the switch's namespace is mounted; empty: nowhere
};

/// Called on the room's thread after each change of the snapshot; must not block.
using ChangeCallback = std::function<void(std::shared_ptr<const Snapshot>)>;

}  // namespace multinet::agent::networks
