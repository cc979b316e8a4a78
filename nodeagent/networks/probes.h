// What the node measures of all its tunnels: when probes are sent, and what follows from them.
#pragma once

#include <poll.h>

#include <map>
#include <optional>

#include "lib/base/clock.h"
#include "nodeagent/networks/host.h"
#include "nodeagent/networks/prober.h"

namespace multinet::agent::networks {

/// Lives on the room's thread, in the node's namespace.
class Probes {
 public:
  Probes(const NetworksOptions& options, const Clock& clock) : options_(options), clock_(clock) {}

  /// `switchNetns` is nullptr where the switch has no namespace of its own. One prober for each
  /// served tunnel that the host has; what is known of others is forgotten.
  void sync(const std::vector<DesiredNetwork>& served, const Host& host, const Fd* switchNetns);
  /// A new peer isn't kept waiting, but never so soon that what is under way is taken for lost.
  void askSoon();
  /// Takes what came in. Before turn(): after a stop of this process replies may all be waiting.
  void receive();
  /// Sends and expires what is due. `node` looks up routes.
  void turn(netlink::Socket& node);

  [[nodiscard]] BootTime next() const { return std::min(askAt_, expireAt_); }
  void addPolled(std::vector<pollfd>& polled) const;
  /// Empty where the network isn't measured.
  [[nodiscard]] std::vector<PeerReport> reports(const NetworkUid& network) const;
  /// Whether a frame of a peer came through the network's tunnel: that peer knows this node.
  [[nodiscard]] bool heard(const NetworkUid& network) const;

 private:
  [[nodiscard]] static Result<Prober> open(const Prober::Options& options, const Fd* switchNetns);
  void probePaths(netlink::Socket& node);
  void useHealedPaths(netlink::Socket& node);

  const NetworksOptions& options_;
  const Clock& clock_;
  std::map<NetworkUid, Prober> probers_;
  BootTime askAt_{};
  BootTime askedAt_{};
  BootTime expireAt_{};
  BootTime forgetAt_{};
};

}  // namespace multinet::agent::networks
