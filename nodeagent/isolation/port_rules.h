// The rules of port security, as a table of nftables. Pure.
#pragma once

#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/nft/committer.h"
#include "lib/nft/model.h"
#include "nodeagent/isolation/port.h"

namespace multinet::agent::isolation {

/// Why a frame is dropped, in the words of metrics and docs/isolation.md. The place of each is the
/// number by which the kernel's rules tell it.
inline constexpr std::array<std::string_view, 13> kReasons = {
    "source_mac", "ethertype", "source_ipv4", "source_ipv6", "arp",   "neighbour", "router",
    "dhcp",       "tunnel",    "claimed",     "ipv6",        "flood", "malformed"};

/// Table `multinet` of family bridge with no port in it: a constant number of chains and rules,
/// whatever the number of ports. Only elements change.
[[nodiscard]] nft::Table portTable();
/// Table `multinet` of family netdev: the same for links that stand on these devices, two chains
/// each. A frame is known by its MAC; those of MACs that aren't ports' are nobody's business.
/// `shared`: devices whose MAC all of their links have. Of their frames those are dropped that only
/// AF_XDP makes: what names no protocol, and what the driver turns round to a pod, as it does where
/// no protocol told it for whom that is.
[[nodiscard]] nft::Table parentTable(const std::set<std::string>& parents,
                                     const std::set<std::string>& shared = {});
/// The devices that a listed table of that kind guards.
[[nodiscard]] std::set<std::string> parentsIn(const nft::Listing& listing);
[[nodiscard]] std::set<std::string> sharedIn(const nft::Listing& listing);
/// A port of Site::Pod on its device, once for each of its addresses: so what is left of it there
/// says by itself which port it is of.
[[nodiscard]] std::vector<Port> onDevice(const Port& port);
/// Whether these are the elements of one of them.
[[nodiscard]] bool isOnDevice(const nft::Elements& port);
/// Table `multinet` of a pod with links on parents, with all that is in it: for the frames that
/// such links exchange without passing their parent, which are those to everybody, and of links
/// that share a MAC all. Its ports are known by the names of links.
[[nodiscard]] nft::Table podTable(const std::vector<std::pair<Port, api::PortSecurity>>& ports,
                                  const std::set<std::uint16_t>& tunnelPorts);

/// Before a reason: its counter and its chain. `arp` alone is a word of nft.
inline constexpr const char* kCounterPrefix = "drop_";

/// The elements of one port.
[[nodiscard]] nft::Elements elementsOf(const Port& port, api::PortSecurity asked);
/// The ports of which there are elements, and all that there is of each.
[[nodiscard]] std::map<std::string, nft::Elements> portsIn(const nft::Elements& elements);
/// What those elements hold against a port.
[[nodiscard]] api::PortSecurity securityOf(const nft::Elements& port);

/// UDP ports of tunnels, as elements.
[[nodiscard]] std::set<std::string> tunnelElements(const std::set<std::uint16_t>& ports);
inline constexpr const char* kTunnelSet = "tunnels";
/// Filled by rules: port and number of the reason, counted.
inline constexpr const char* kDroppedSet = "dropped";
/// A port and a reason of an element of that set; nullopt where it is none.
struct Dropped {
  std::string port;
  std::string_view reason;
};
[[nodiscard]] std::optional<Dropped> droppedOf(const std::string& element);

}  // namespace multinet::agent::isolation
