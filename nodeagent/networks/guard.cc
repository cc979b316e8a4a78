#include "nodeagent/networks/guard.h"

#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/vxlan/vxlan.h"
#include "nodeagent/networks/ground.h"

namespace multinet::agent::networks {

namespace vxlan = drivers::vxlan;

namespace {

// Before the cluster's own filter chains (0). Both hooks come after the destination NAT of
// prerouting, so the port seen here is the one that the tunnel's socket sees.
constexpr int kPriority = -50;

std::vector<std::string> inputRules() {
  return {
      "udp dport @ports iifname != @underlays counter drop",
      "meta nfproto ipv4 udp dport @ports ip saddr . udp dport != @peers4 counter drop",
      "meta nfproto ipv6 udp dport @ports ip6 saddr . udp dport != @peers6 counter drop",
      "meta nfproto ipv4 udp dport @ports ip daddr . udp dport != @own4 counter drop",
      "meta nfproto ipv6 udp dport @ports ip6 daddr . udp dport != @own6 counter drop",
  };
}

std::vector<std::string> forwardRules() {
  const std::string to4 = "meta nfproto ipv4 udp dport @ports ip daddr . udp dport @peers4 ";
  const std::string to6 = "meta nfproto ipv6 udp dport @ports ip6 daddr . udp dport @peers6 ";
  return {
      to4 + "iifname != @underlays counter drop",
      to6 + "iifname != @underlays counter drop",
      to4 + "ip saddr . udp dport != @peers4 counter drop",
      to6 + "ip6 saddr . udp dport != @peers6 counter drop",
  };
}

class Builder {
 public:
  void tunnel(std::uint16_t port, const std::string& underlay) {
    port_ = std::to_string(port);
    ports_.elements.insert(port_);
    underlays_.elements.insert(underlay);
  }
  void peer(const IpAddress& address) { put(address, peers4_, peers6_); }
  void own(const IpAddress& address) { put(address, own4_, own6_); }
  nft::Table table() && {
    return {"multinet",
            {ports_, underlays_, peers4_, peers6_, own4_, own6_},
            {{"tunnel_input", "input", kPriority, inputRules()},
             {"tunnel_forward", "forward", kPriority, forwardRules()}}};
  }

 private:
  void put(const IpAddress& address, nft::Set& v4, nft::Set& v6) const {
    (address.isV4() ? v4 : v6).elements.insert(address.str() + " . " + port_);
  }
  std::string port_;
  nft::Set ports_{"ports", "inet_service", {}};
  nft::Set underlays_{"underlays", "ifname", {}};
  nft::Set peers4_{"peers4", "ipv4_addr . inet_service", {}};
  nft::Set peers6_{"peers6", "ipv6_addr . inet_service", {}};
  nft::Set own4_{"own4", "ipv4_addr . inet_service", {}};
  nft::Set own6_{"own6", "ipv6_addr . inet_service", {}};
};

/// The tunnels that are there; `known`: those whose peers the API tells.
void addTunnels(const Links& side, const Host& host, const std::set<std::string>& known,
                const std::string& defaultUnderlay, Builder& builder) {
  for (const auto& [name, link] : side.links) {
    if (!link.vxlan || !drivers::parseNetworkAlias(link.alias)) continue;
    const auto* underlay = host.link(link.vxlan->underlayIndex);
    builder.tunnel(link.vxlan->port, underlay == nullptr ? defaultUnderlay : underlay->name);
    if (link.vxlan->local) builder.own(*link.vxlan->local);
    const auto flood = side.flood.find(link.index);
    if (known.contains(name) || flood == side.flood.end()) continue;
    for (const IpAddress& remote : flood->second) builder.peer(remote);
  }
}

}  // namespace

nft::Table guardTable(const std::vector<DesiredNetwork>& served, const Host& host,
                      const std::string& defaultUnderlay) {
  Builder builder;
  std::set<std::string> known;
  for (const DesiredNetwork& network : served) {
    const auto* tunnel = std::get_if<vxlan::Network>(&network.network);
    if (tunnel == nullptr || network.demand == Demand::None) continue;
    const std::string name = vxlan::tunnelName(network.uid);
    if (tunnel->peersKnown) known.insert(name);
    if (network.refusal && host.inner.link(name) == nullptr) continue;  // never made
    builder.tunnel(tunnel->port, tunnel->underlay.empty() ? defaultUnderlay : tunnel->underlay);
    for (const vxlan::Peer& peer : tunnel->peers) {
      for (const IpAddress& address : peer.underlay) builder.peer(address);
    }
    const auto ground = groundOf(network, host, defaultUnderlay);
    for (const IpAddress& address : tunnel->tunnelPlacement(ground).underlays) builder.own(address);
  }
  addTunnels(host.inner, host, known, defaultUnderlay, builder);
  if (host.split()) addTunnels(host, host, known, defaultUnderlay, builder);
  return std::move(builder).table();
}

bool guardsNothing(const nft::Table& table) {
  return table.sets.front().elements.empty();
}

}  // namespace multinet::agent::networks
