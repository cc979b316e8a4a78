// Measures one network's tunnel: asks the peers' bridges, and answers theirs.
#pragma once

#include <map>
#include <vector>

#include "lib/netns/packet_socket.h"
#include "nodeagent/networks/networks.h"
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
  };
  [[nodiscard]] static Result<Prober> open(const Options& options);

  /// What is known of peers that stay is kept.
  void setPeers(const std::vector<Peer>& peers, IpFamily outer);
  /// One round of requests.
  void ask();
  /// What hasn't been answered since counts as lost.
  void expire();
  /// Takes what came in: answers requests of peers, notes replies.
  void receive();

  [[nodiscard]] int fd() const { return socket_.fd(); }
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] std::vector<PeerReport> reports() const;

 private:
  struct Asked {
    PeerReport report;
    PeerHealth health;
  };
  Prober(const Options& options, netns::PacketSocket socket);
  void send(const MacAddress& to, const Probe& probe, std::size_t size);

  Options options_;
  netns::PacketSocket socket_;
  std::map<MacAddress, Asked> asked_;
  std::vector<MacAddress> known_;  ///< sorted; whose requests are answered
};

}  // namespace multinet::agent::networks
