// Measures one network's tunnel: asks the peers' bridges, and answers theirs.
#pragma once

#include <map>
#include <vector>

#include "lib/netns/packet_socket.h"
#include "nodeagent/drivers/vxlan/vxlan.h"
#include "nodeagent/networks/networks.h"
#include "nodeagent/networks/path_mtu.h"
#include "nodeagent/networks/peer_health.h"
#include "nodeagent/networks/probe_frame.h"

namespace multinet::agent::networks {

/// Lives on the room's thread. Frames go by the network's bridge, so they take the way that a pod's
/// frames take.
class Prober {
 public:
  /// At most this many peers are asked; all are answered. Which ones is decided by a hash of both
  /// nodes' MACs, so that in a large network each node asks a few and each is asked by a few.
  static constexpr std::size_t kProbedPeers = 16;

  struct Options {
    int bridgeIndex = 0;
    MacAddress mac;  ///< of the own bridge
    unsigned mtu = 0;
    unsigned losses = 3;
    /// The tunnel below: for frames around it.
    IpAddress local;
    std::uint16_t port = 0;
    std::uint32_t vni = 0;
    bool operator==(const Options&) const = default;
  };
  [[nodiscard]] static Result<Prober> open(const Options& options);

  /// What is known of peers that stay is kept.
  void setPeers(const std::vector<drivers::vxlan::Peer>& peers, IpFamily outer);
  /// One round of requests.
  void ask();
  /// What hasn't been answered since counts as lost.
  void expire();
  /// Takes what came in: answers requests of peers, notes replies. Gives the answers that are to go
  /// around the tunnel too: those to full-size requests of peers whose path may just seem too
  /// small.
  std::vector<DirectFrame> receive();
  /// A full-size request to be sent around the tunnel, to a peer whose full-size frames are lost.
  [[nodiscard]] DirectFrame askDirectly(const NodeName& peer);
  /// Peers that have answered one since the last call.
  [[nodiscard]] std::vector<IpAddress> takeHealed();

  [[nodiscard]] int fd() const { return socket_.fd(); }
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] std::vector<PeerReport> reports() const;
  /// Whether any peer was heard since it is open, as one that asks or that answers.
  [[nodiscard]] bool heard() const { return heard_; }

 private:
  struct Asked {
    PeerReport report;
    PeerHealth health;
    IpAddress remote;
    std::uint64_t directNonce = 0;  ///< 0: none is under way
  };
  Prober(const Options& options, netns::PacketSocket socket);
  [[nodiscard]] DirectFrame direct(const MacAddress& to, const IpAddress& remote,
                                   std::vector<std::uint8_t> payload) const;
  void send(const MacAddress& to, const Probe& probe, std::size_t size);

  Options options_;
  netns::PacketSocket socket_;
  std::map<MacAddress, Asked> asked_;
  std::vector<IpAddress> healed_;
  bool heard_ = false;
  std::vector<MacAddress> known_;  ///< sorted; whose requests are answered
};

}  // namespace multinet::agent::networks
