// Carries what the watches saw to those who prepare: which networks this node serves, and whose
// addresses its pods want. Slow work is done by them, ahead of the kubelet's call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/async/gather.h"
#include "lib/async/lane.h"
#include "nodeagent/addresses/addresses.h"
#include "nodeagent/demand.h"
#include "nodeagent/networks/networks.h"
#include "nodeagent/watch/caches.h"

namespace multinet::agent {

/// Pools of the networks that pods of this node name, themselves or through an attachment; each
/// once, in order of their names. What can't be resolved is left out: the pod is refused elsewhere.
[[nodiscard]] std::vector<addresses::Pool> wantedPools(const watch::Caches& caches);

struct FeederOptions {
  NodeName node;
  /// The ranges of pods and nodes, as the command line says them.
  std::vector<IpPrefix> clusterPrefixes{};
  /// A network is kept for so long after the last pod that wanted it.
  Duration linger = std::chrono::minutes(5);
  /// So long after the start the peers of wanted networks are waited for: with them, what a tunnel
  /// of before has is what it shall have.
  Duration peersPatience = std::chrono::seconds(5);
};

/// Level-driven: changes in a burst are carried once. All it is given outlives it.
class Feeder {
 public:
  /// `serve` gets the networks of this node, on the feeder's thread, where `used` is asked.
  using Serve = std::function<void(std::vector<networks::DesiredNetwork>)>;
  Feeder(watch::Caches& caches, Serve serve, addresses::Addresses& addresses, Demands::Used used,
         const Clock& clock, FeederOptions options);

  /// Any thread; returns at once.
  void changed() { gather_.ask(); }
  /// A pod that a call is about wants the network. Any thread; returns at once.
  void want(const NetworkUid& network);
  /// Before the watches and the rooms that it feeds are destroyed.
  void stop() { lane_.stop(); }

 private:
  void feed();
  /// Whether the first networks to serve are kept back for that.
  [[nodiscard]] bool waitsForPeers(const std::set<std::string>& tunnels) const;
  void lookAt(BootTime when);

  watch::Caches& caches_;
  const Serve serve_;
  addresses::Addresses& addresses_;
  const Clock& clock_;
  const FeederOptions options_;
  const BootTime begin_;
  Demands demands_;
  bool served_ = false;               // of the lane, as the next
  std::optional<BootTime> lookAt_{};  // a look is due then
  async::Gather gather_;
  async::Lane lane_;
};

}  // namespace multinet::agent
