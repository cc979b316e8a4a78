// The node's side of each network: bridges, tunnels, flood lists, guards, and what was measured.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/ids.h"
#include "lib/base/ip.h"
#include "lib/base/mac.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::networks {

/// Another node of a network, as its NetworkPeer tells it.
struct Peer {
  NodeName node;
  std::vector<IpAddress> underlay;
  MacAddress bridgeMac;
  bool operator==(const Peer&) const = default;
};

/// Who makes the bridge of a network of type Bridge.
enum class BridgeMode : std::uint8_t { Own, Existing };

/// Whether a network is to be made here, or only kept where the node has its links: the verdict on
/// a network (Ready) may change while pods are on it, its existence doesn't.
enum class Wish : std::uint8_t { Serve, Keep };

/// Why the node doesn't do something: a CamelCase reason, and a sentence with what is wrong and
/// what would be right.
struct Refusal {
  std::string reason;
  std::string message;
  bool operator==(const Refusal&) const = default;
};

/// One network as this node shall serve it.
struct DesiredNetwork {
  NetworkName name;
  NetworkUid uid;
  LinkType type = LinkType::Vxlan;
  unsigned mtu = 0;  ///< bytes; 0: what the underlay or uplink carries

  std::uint32_t vni = 0;  ///< VXLAN
  std::uint16_t port = 4799;
  std::string underlay;     ///< device; empty: the agent's default (NetworksOptions)
  std::vector<Peer> peers;  ///< without this node

  std::string bridge;  ///< Bridge: its name; empty: derived from the UID
  BridgeMode bridgeMode = BridgeMode::Own;
  std::string uplink;  ///< device to put into an own bridge; empty: none

  std::string parent;  ///< Macvlan
  MacvlanMode macvlanMode = MacvlanMode::Bridge;

  std::vector<IpPrefix> subnets;  ///< pods get a connected route to each
  std::vector<IpPrefix> covered;  ///< ranges of the cluster that one of the subnets overlaps
  Wish wish = Wish::Serve;

  /// Verdicts of judge() (see lifelines.h); nobody else fills them in.
  std::optional<Refusal> refusal;         ///< what this network must not take from the node
  std::vector<std::string> refusedPeers;  ///< why addresses of peers were left out
  bool operator==(const DesiredNetwork&) const = default;
};

enum class CheckStatus : std::uint8_t { True, False, Unknown };
/// `True`, `False`, `Unknown`, as conditions spell them.
[[nodiscard]] std::string_view name(CheckStatus status);

/// One thing that was looked at: `Parent`, `Link`, `Guard`, `Peers`; and, where they fail,
/// `Lifelines` and `PeerAddresses`.
struct Check {
  std::string name;
  CheckStatus status = CheckStatus::Unknown;
  std::string reason;   ///< CamelCase
  std::string message;  ///< one sentence with the wrong value and the right one
  bool operator==(const Check&) const = default;
};

/// What the node has of a network.
struct NetworkState {
  NetworkName name;
  NetworkUid uid;
  LinkType type = LinkType::Vxlan;
  /// For InterfacePlan::parent. Empty until it is there, and while a check that protects says no:
  /// nothing new is attached then. What is attached already stays.
  std::string parent;
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
struct Leftover {
  NetworkUid uid;
  std::string device;
  unsigned interfaces = 0;
  bool operator==(const Leftover&) const = default;
};

struct Snapshot {
  /// False until the first desired state has been put into the kernel once.
  bool settled = false;
  std::vector<NetworkState> networks;  ///< by name
  std::vector<Leftover> leftovers;
  bool operator==(const Snapshot&) const = default;
  /// nullptr where the network isn't served here.
  [[nodiscard]] const NetworkState* find(const NetworkUid& uid) const;
};

struct NetworksOptions {
  NodeName node;
  std::string underlay = "eth0";
  Duration compareEvery = std::chrono::seconds(15);  ///< whole state, besides events
  Duration probeEvery = std::chrono::seconds(2);
  unsigned losses = 3;  ///< probes of a peer in a row until it counts as unreachable
};

/// Level-driven: the newest desired state wins. Owns a thread, which alone touches the kernel. Any
/// thread may call.
class Networks {
 public:
  virtual ~Networks() = default;
  /// The complete set: a network that is missing is removed (unless pods still use it). Until the
  /// first call nothing is touched.
  virtual void setDesired(std::vector<DesiredNetwork> networks) = 0;
  [[nodiscard]] virtual std::shared_ptr<const Snapshot> snapshot() const = 0;
};

/// Called on the room's thread after each change of the snapshot; must not block.
using ChangeCallback = std::function<void(std::shared_ptr<const Snapshot>)>;

/// On the real kernel; the network namespace of the calling thread is the node's. Bridges, tunnels
/// and the node's ends of pods' links are in `switchNetns`; nullopt: in the node's namespace too.
/// Stopping (by destruction) leaves the kernel's state as it is: pods go on, a successor adopts it.
[[nodiscard]] Result<std::unique_ptr<Networks>> startNetworks(NetworksOptions options,
                                                              std::optional<Fd> switchNetns,
                                                              ChangeCallback changed);

/// Bytes that VXLAN adds to a packet, by the family of the outer header (RFC 7348: outer IP, UDP
/// and VXLAN headers, and the inner Ethernet header).
[[nodiscard]] constexpr unsigned vxlanOverhead(IpFamily outer) {
  return outer == IpFamily::V4 ? 50 : 70;
}

}  // namespace multinet::agent::networks
