// Two nodes with a VXLAN and a Bridge network and pods in both, as namespaces, in one of two
// layouts: bridges and tunnels in the switch, as the agent has them, or in the node's own
// namespace.
#pragma once

#include <array>
#include <string>

#include "lib/base/fd.h"

namespace multinet::bench {

enum class Layout {
  Switch,
  /// As versions before the switch had it; the NIC of the Bridge network is a port of its bridge.
  Node,
};

/// What the nodes' own firewall does.
enum class Firewall {
  None,
  /// As where kube-proxy runs: connections are tracked, and bridge-nf-call-iptables shows the
  /// frames of bridges in that namespace to it.
  SeesBridges,
};

/// Whether frames are held against interfaces at the node's ends.
enum class Ports { Open, Secured };

/// The networks of a site, and the pods: two on the first node, one on the second.
enum class Net : std::size_t { Vxlan, Bridge };
enum class Pod : std::size_t { First, Neighbour, Remote };

class Site {
 public:
  /// The networks are made by the agent's own code, which has left when this returns: nothing of it
  /// runs beside a measurement. NotFound where the kernel has no bridge-nf-call-iptables.
  [[nodiscard]] static Result<Site> make(Layout layout, Firewall firewall, Ports ports);

  [[nodiscard]] const Fd& pod(Pod which) const { return pods_.at(static_cast<std::size_t>(which)); }
  [[nodiscard]] static std::string addressOf(Pod pod, Net net);

 private:
  Site() = default;
  std::array<Fd, 3> pods_;
  std::array<Fd, 4> nodes_;  ///< held: both nodes' namespaces and their switches
};

}  // namespace multinet::bench
