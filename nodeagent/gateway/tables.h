// The rules that lead clients through gateways, in the node's namespace and in those of gateways.
// Pure. Chains are constant, whatever the number of services; only elements change.
//
// A connection is translated twice: on the node from where it came in to a port of the gateway's,
// which stands for the way, and in the gateway from that port to an endpoint. So networks may have
// the same addresses, and the node needs to know none of theirs.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/base/ids.h"
#include "lib/nft/model.h"
#include "nodeagent/gateway/ways.h"

namespace multinet::agent::gateway {

/// The veth pair between a node and a gateway: link-local in IPv4; in IPv6, where link-local
/// addresses are no targets for a translation, of a unique local range.
struct Pair {
  std::string device;  ///< the node's end
  InterfaceAddress node4;
  InterfaceAddress gateway4;
  InterfaceAddress node6;
  InterfaceAddress gateway6;
  bool operator==(const Pair&) const = default;
};
/// The gateway's end of it.
inline constexpr const char* kInnerDevice = "node0";
/// At the node's address of a pair: what comes here of UDP is led back to the gateway, by the way
/// of clients. Below all ports of ways.
inline constexpr std::uint16_t kProbePort = 7;
/// Gateways of a node are numbered below this.
inline constexpr unsigned kMostGateways = 1024;
/// 169.254.208.0/20, and fd6d:6e67::/112, in fours.
[[nodiscard]] Pair pairOf(const NetworkUid& network, unsigned number);
/// Which number has that node4; nothing where it is of another range.
[[nodiscard]] std::optional<unsigned> numberOf(const InterfaceAddress& node4);

/// What a gateway sees of clients that keep their endpoint is an address of this range, by a hash
/// of the client's own: the same each time, and no network's. Its answers go back by it.
[[nodiscard]] const IpPrefix& clientsRange(IpFamily family);

/// Whether it is of such a pair.
[[nodiscard]] bool isPairs(const IpAddress& address);

/// By which port of the gateway each way goes: by a hash of its name, so that agents mostly agree;
/// what `before` says stays.
using WayPorts = std::map<std::string, std::uint16_t>;
[[nodiscard]] WayPorts portsFor(const std::vector<Way>& ways, const WayPorts& before);
/// Under which name clients of a way have a port of their own whom policies admit by their own
/// addresses; a lower one than all others.
[[nodiscard]] std::string judgedName(const Way& way);

/// Table `multinet_gateway` of a gateway's namespace: to a random endpoint, or to the one that the
/// client had, with the gateway's own address on the network; nothing is forwarded that didn't come
/// from the node. Who had which the rules keep by themselves, in map `had`.
[[nodiscard]] nft::Table gatewayTable(const std::vector<Way>& ways, const WayPorts& ports);

/// A gateway that is there, as the node's rules need it.
struct Opened {
  Pair pair;
  bool hasIpv6 = true;  ///< the pair has its addresses
  std::vector<Way> ways;
  WayPorts ports;
};
/// Table `multinet_services` of the node: a priority before kube-proxy's, to gateways; ways that
/// have no endpoint, or no gateway (`closed`), and all else of `addresses`, the ClusterIPs of
/// services on networks, are refused at once. Where two ways have the same entrance the first has
/// it.
[[nodiscard]] nft::Table nodeTable(const std::vector<Opened>& gateways,
                                   const std::vector<Way>& closed,
                                   const std::vector<IpAddress>& addresses);
/// Whether that is a table without an element.
[[nodiscard]] bool isEmpty(const nft::Table& table);

}  // namespace multinet::agent::gateway
