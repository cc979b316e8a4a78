#include "nodeagent/networks/guard.h"

namespace multinet::agent::networks {
namespace {

// Before the cluster's own filter chains (0). Both hooks come after the destination NAT of
// prerouting, so the port seen here is the one that the tunnel's socket sees.
constexpr int kPriority = -50;

std::vector<std::string> rules() {
  return {
      "udp dport @ports iifname != @underlays counter drop",
      "meta nfproto ipv4 udp dport @ports ip saddr . udp dport != @peers4 counter drop",
      "meta nfproto ipv6 udp dport @ports ip6 saddr . udp dport != @peers6 counter drop",
  };
}

}  // namespace

nft::Table guardTable(const std::vector<DesiredNetwork>& desired,
                      const std::string& defaultUnderlay) {
  nft::Set ports{"ports", "inet_service", {}};
  nft::Set underlays{"underlays", "ifname", {}};
  nft::Set peers4{"peers4", "ipv4_addr . inet_service", {}};
  nft::Set peers6{"peers6", "ipv6_addr . inet_service", {}};
  for (const DesiredNetwork& network : desired) {
    if (network.type != LinkType::Vxlan) continue;
    const std::string port = std::to_string(network.port);
    ports.elements.insert(port);
    underlays.elements.insert(network.underlay.empty() ? defaultUnderlay : network.underlay);
    for (const Peer& peer : network.peers) {
      for (const IpAddress& address : peer.underlay) {
        (address.isV4() ? peers4 : peers6).elements.insert(address.str() + " . " + port);
      }
    }
  }
  return {"multinet",
          {ports, underlays, peers4, peers6},
          {{"tunnel_input", "input", kPriority, rules()},
           {"tunnel_forward", "forward", kPriority, rules()}}};
}

bool guardsNothing(const nft::Table& table) {
  return table.sets.front().elements.empty();
}

}  // namespace multinet::agent::networks
