// Carries what the watches saw to those who prepare: which networks this node serves, and whose
// addresses its pods want. Slow work is done by them, ahead of the kubelet's call.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "lib/async/lane.h"
#include "nodeagent/addresses/addresses.h"
#include "nodeagent/networks/networks.h"
#include "nodeagent/watch/caches.h"

namespace multinet::agent {

/// Pools of the networks that pods of this node name, themselves or through an attachment; each
/// once, in order of their names. What can't be resolved is left out: the pod is refused elsewhere.
[[nodiscard]] std::vector<addresses::Pool> wantedPools(const watch::Caches& caches);

/// Level-driven: changes in a burst are carried once. All it is given outlives it.
/// `clusterPrefixes`: the ranges of pods and nodes, as the command line says them.
class Feeder {
 public:
  /// `serve` gets the networks of this node, on the feeder's thread.
  using Serve = std::function<void(std::vector<networks::DesiredNetwork>)>;
  Feeder(const watch::Caches& caches, Serve serve, addresses::Addresses& addresses, NodeName node,
         std::vector<IpPrefix> clusterPrefixes, const Clock& clock);

  /// Any thread; returns at once.
  void changed();
  /// Before the watches and the rooms that it feeds are destroyed.
  void stop() { lane_.stop(); }

 private:
  void feed();

  const watch::Caches& caches_;
  const Serve serve_;
  addresses::Addresses& addresses_;
  const NodeName node_;
  const std::vector<IpPrefix> clusterPrefixes_;
  std::atomic<bool> waiting_{false};
  async::Lane lane_;
};

}  // namespace multinet::agent
