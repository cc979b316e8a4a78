// What every type of network is asked about its side of a node, and in which words it answers.
//
// A type is a folder, with two values in its header. `Network` is what the node has of a network;
// `Link` is what an interface of a pod is made of. Both stand in a variant
// (nodeagent/model/types.h) and are asked by visits that call a member of theirs. There is no base
// class and no answer by default, so a question that a new type doesn't answer doesn't compile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/ids.h"
#include "nodeagent/drivers/check.h"
#include "nodeagent/drivers/host.h"

namespace multinet::api {
struct NetworkPeer;
}  // namespace multinet::api

namespace multinet::agent::drivers {

/// Whose socket a step needs. What is born in the switch with a foot in the node's namespace (a
/// tunnel, an uplink, a wire) is made from the node's.
enum class Place : std::uint8_t { Switch, Node };

/// Whether the rules around tunnels are in the kernel: without them no tunnel is made or brought
/// up.
enum class Guard : std::uint8_t { Refused, Committed };

/// What a type is told of one network and of the node that it stands on. Lives as long as the call.
struct Ground {
  const NetworkUid& uid;
  unsigned mtu = 0;      ///< bytes; 0: what the device below carries
  bool refused = false;  ///< it would take something that the node lives on (see Refusal)
  const Host& host;
  const std::string& underlay;  ///< the node's device for tunnels that name none
};

/// Where a network stands on this host: which device carries it, and with what MTU.
struct Placement {
  Check parent;                               ///< named `Parent`
  const netlink::LinkInfo* device = nullptr;  ///< underlay, uplink or parent; into the host
  unsigned mtu = 0;                           ///< of the network; 0 where it can't be known
  bool carries = true;  ///< false where the device carries less than `mtu` needs
};

/// True where nothing new may be made of the network and no pod attached to it: it would take a
/// lifeline of the node, or large frames would vanish. What is there stays.
[[nodiscard]] bool isBlocked(const Ground& ground, const Placement& placement);

/// A placement on a device of the node, without its MTU yet; without a device where the node has
/// none.
[[nodiscard]] Placement placementOf(const Ground& ground, const std::string& device);
/// Of a network: its own MTU; else the one that it was made with, which stays (0: it isn't made);
/// else what the device below carries.
[[nodiscard]] unsigned networkMtu(const Ground& ground, unsigned made, unsigned carried);

/// The check `Parent` of a device: whether it is there, up and has a carrier.
[[nodiscard]] Check deviceCheck(const std::string& device, const netlink::LinkInfo* link);
/// Of a device of the node on which pods' links stand: there, no port of another, with the MTU.
[[nodiscard]] Placement devicePlacement(const Ground& ground, const std::string& device);
/// Sets `placement.carries`. `overhead`: bytes that the type adds to a packet. Told in
/// `placement.parent` also where the device has a lesser trouble, which may pass by itself.
void checkCarries(unsigned overhead, Placement& placement);

/// Something of the node that not every two networks can have at once.
struct Claim {
  enum class Sharing : std::uint8_t { SameManner, Nobody };
  std::string what;  ///< `device eth1`
  std::string as;    ///< the manner: `macvlan`
  Sharing sharing = Sharing::Nobody;
};

/// Requests of one network that go to the kernel in one send, after the sysctls (key, value).
struct HostStep {
  NetworkUid network;
  Place place = Place::Switch;
  std::vector<std::pair<std::string, std::string>> sysctls;
  std::vector<netlink::Request> requests;
};

enum class PeerState : std::uint8_t {
  Probing,       ///< nothing is known yet
  Answers,       ///< small and full-size frames come back
  FullSizeLost,  ///< small ones do, full-size ones don't
  Silent,        ///< not even small ones
};

struct PeerReport {
  NodeName node;
  std::string address;  ///< of the underlay, for texts
  PeerState state = PeerState::Probing;
  bool operator==(const PeerReport&) const = default;
};

/// What was tried and measured on this node, for readiness.
struct Findings {
  std::vector<PeerReport> peers;      ///< of this network
  std::optional<Error> refused;       ///< the kernel's last refusal of a step for this network
  std::optional<Error> guardRefused;  ///< of the rules around tunnels
  bool joining = false;               ///< just made, and nobody was heard through it yet
};

/// The check `Link` of the links that a network has in the switch, the most important one first.
[[nodiscard]] Check linkCheck(const Ground& ground, const Findings& findings,
                              const std::vector<std::string>& names);
/// The check `Peers` of a type whose far side nobody measures.
[[nodiscard]] Check peersUnmeasured();
/// Whether pods can be put onto what the check `Link` looked at.
[[nodiscard]] bool linkIsThere(const std::vector<Check>& checks);

}  // namespace multinet::agent::drivers
