// Type VXLAN: a layer 2 over all nodes, in a tunnel. On a node: a bridge in the switch for the
// pods, and in it a tunnel that is born there, with its socket and its underlay in the node's
// namespace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/names.h"
#include "lib/api/network_peer.h"
#include "lib/api/pod_network.h"
#include "nodeagent/drivers/link.h"

namespace multinet::agent::drivers::vxlan {

/// To a pod a VXLAN network is a bridge of its node.
struct Link {
  static constexpr api::NetworkType kType = api::NetworkType::Vxlan;
  std::string bridge;
  bool operator==(const Link&) const = default;

  [[nodiscard]] LinkTraits traits() const { return vethTraits(); }
  [[nodiscard]] const std::string& parent() const { return bridge; }
  [[nodiscard]] Status checkParent(unsigned mtu, const netlink::LinkInfo& parent) const {
    return checkVethParent(mtu, parent);
  }
  [[nodiscard]] CreateLink create(const NewLink& link, const netlink::LinkInfo& parent) const {
    return createVeth(link, parent);
  }
  void toWire(multinet::cri::v1alpha1::InterfaceRequest& request) const;
  [[nodiscard]] LinkForm form() const { return {{"parent", bridge}}; }
  [[nodiscard]] static Result<Link> ofForm(const LinkForm& form) {
    return Link{textOf(form, "parent")};
  }
};

/// Another node of a network, as its NetworkPeer tells it.
struct Peer {
  NodeName node;
  std::vector<IpAddress> underlay;
  MacAddress bridgeMac;
  bool operator==(const Peer&) const = default;
};

/// Where a tunnel starts.
struct TunnelPlacement : Placement {
  std::optional<IpAddress> local;    ///< source of outer packets
  std::vector<IpAddress> underlays;  ///< first address of each family
};

struct Network {
  static constexpr api::NetworkType kType = api::NetworkType::Vxlan;
  std::uint32_t vni = 0;  ///< 0: nobody tells it at the moment
  std::uint16_t port = api::kDefaultVxlanPort;
  std::string underlay;     ///< device; empty: the node's default
  std::vector<Peer> peers;  ///< without this node
  /// False until the API has told them: then whom the tunnel floods to stays as it is.
  bool peersKnown = true;
  /// Why addresses of peers were left out; of settle() alone.
  std::vector<std::string> refusedPeers;
  bool operator==(const Network&) const = default;

  [[nodiscard]] static std::optional<Network> of(const api::PodNetwork& network,
                                                 const std::vector<const api::NetworkPeer*>& peers,
                                                 const NodeName& node);
  [[nodiscard]] bool isComplete() const { return vni != 0; }
  bool settle(const Ground& ground);
  [[nodiscard]] HostDetail detail(const Ground& ground) const;
  [[nodiscard]] std::optional<Refusal> refuse(const Ground& ground) const;
  [[nodiscard]] std::optional<Claim> claim() const { return {}; }
  [[nodiscard]] std::string takenDevice() const { return ""; }
  [[nodiscard]] std::string wire() const { return ""; }
  [[nodiscard]] std::vector<std::string> devices() const { return {underlay}; }
  /// Its bridge and tunnel are made at once: the kernel's word on those is told as it comes.
  [[nodiscard]] std::vector<std::string> kinds() const { return {}; }
  [[nodiscard]] std::vector<std::string> links(Place place, const Ground& ground) const;
  // What a tunnel knows besides isn't asked for here. NOLINTNEXTLINE(cppcoreguidelines-slicing)
  [[nodiscard]] Placement placement(const Ground& ground) const { return tunnelPlacement(ground); }
  [[nodiscard]] std::vector<HostStep> steps(const Ground& ground, const NodeName& node,
                                            Guard guard) const;
  [[nodiscard]] std::vector<Check> checks(const Ground& ground, const Placement& placement,
                                          const Findings& findings) const;
  [[nodiscard]] std::optional<Link> link(const Ground& ground, const Placement& placement,
                                         const std::vector<Check>& checks) const;

  /// The tunnel's present source first, so that a new address beside it doesn't move a tunnel that
  /// works. A network's own MTU, once its bridge was made with it, stays: what the underlay no
  /// longer carries is a fault to be told, not a new size that running pods don't know.
  [[nodiscard]] TunnelPlacement tunnelPlacement(const Ground& ground) const;
};

/// `mnx` and twelve characters made of the UID.
[[nodiscard]] std::string tunnelName(const NetworkUid& network);

/// Bytes that VXLAN adds to a packet, by the family of the outer header (RFC 7348: outer IP, UDP
/// and VXLAN headers, and the inner Ethernet header).
[[nodiscard]] constexpr unsigned overhead(IpFamily outer) {
  return outer == IpFamily::V4 ? 50 : 70;
}

/// The peer's address that this host's tunnel uses, if it has one of that family.
[[nodiscard]] std::optional<IpAddress> remoteOf(const Peer& peer, const IpAddress& local);

/// Why no tunnel may send to `remote`: one of this node's addresses (each frame would come back and
/// teach the bridge that everybody lives behind the tunnel), or no host's at all. nullopt: it may.
[[nodiscard]] std::optional<std::string> whyNoRemote(const IpAddress& remote, const Host& host);

/// The check `Peers` of peers that are known: Unknown/NotProbed without any, Unknown/Probing before
/// the first verdict, False/PeerUnreachable or False/PathMTUTooSmall with peer and size, else True.
[[nodiscard]] Check peersCheck(const std::vector<PeerReport>& peers, unsigned mtu,
                               unsigned overhead);

}  // namespace multinet::agent::drivers::vxlan
