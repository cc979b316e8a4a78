// What a tunnel must never take from the node: UDP ports of others, and the node's own addresses as
// those of peers.
#include <algorithm>

#include "nodeagent/drivers/vxlan/vxlan.h"

namespace multinet::agent::drivers::vxlan {
namespace {

using netlink::LinkInfo;

/// First port that no well-known service has (RFC 6335, section 6).
constexpr std::uint16_t kFirstFreePort = 1024;
/// WireGuard's, which encrypted cluster networks open at any time.
constexpr std::uint16_t kWireGuard[] = {51820, 51821};

}  // namespace

/// What was made with a number that the API doesn't tell at the moment goes on with it.
bool Network::settle(const Ground& ground) {
  if (vni == 0) {
    const LinkInfo* tunnel = ownLink(ground.host, ground.uid, tunnelName(ground.uid));
    if (tunnel == nullptr || !tunnel->vxlan) return false;
    vni = tunnel->vxlan->vni;
    port = tunnel->vxlan->port;
  }
  for (Peer& peer : peers) {
    std::erase_if(peer.underlay, [&](const IpAddress& address) {
      const auto why = whyNoRemote(address, ground.host);
      if (why) refusedPeers.push_back("peer " + peer.node.str() + ": " + *why);
      return why.has_value();
    });
  }
  std::erase_if(peers, [](const Peer& peer) { return peer.underlay.empty(); });
  return true;
}

HostDetail Network::detail(const Ground& ground) const {
  return {.udpPorts = ownLink(ground.host, ground.uid, tunnelName(ground.uid)) == nullptr};
}

/// Another device or a socket has the port, or it is one that well-known services have.
std::optional<Refusal> Network::refuse(const Ground& ground) const {
  const Host& host = ground.host;
  const std::string text = "UDP port " + std::to_string(port);
  const std::string remedy = "; make the network with another vxlan.port, such as 4799";
  if (const auto taken = host.tunnelPorts.find(port); taken != host.tunnelPorts.end()) {
    return Refusal{"PortTaken",
                   text + " belongs to device " + taken->second + " of this node" + remedy};
  }
  // What listens there now is our own.
  if (ownLink(host, ground.uid, tunnelName(ground.uid)) != nullptr) return std::nullopt;
  if (port < kFirstFreePort || std::ranges::count(kWireGuard, port) > 0) {
    return Refusal{"PortReserved", text + " is kept for well-known services" + remedy};
  }
  const bool shared =
      anyLink(host, [&](const LinkInfo& link) { return link.udpPort == port && isMarked(link); });
  if (!shared && host.udpPorts.contains(port)) {
    return Refusal{"PortTaken", text + " is open on this node already" + remedy};
  }
  return std::nullopt;
}

std::optional<std::string> whyNoRemote(const IpAddress& remote, const Host& host) {
  if (host.own.contains(remote)) return remote.str() + " is this node's own address";
  if (host.broadcasts.contains(remote)) return remote.str() + " is a broadcast address";
  const std::uint32_t first =
      remote.isV4() ? static_cast<std::uint32_t>(remote.number() >> 24U) : 1;
  const bool mapped = !remote.isV4() && remote.number() >> 32U == 0xffff;
  if (remote.isUnspecified() || remote.isLoopback() || remote.isMulticast() || first == 0 ||
      first >= 240 || mapped) {
    return remote.str() + " is no host's address";
  }
  return std::nullopt;
}

}  // namespace multinet::agent::drivers::vxlan
