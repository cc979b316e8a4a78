// Tunnels that were just made: the other nodes hear of this one only when its NetworkPeer has come
// to them, so the first frames of its first pod would be flooded to nobody.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "lib/base/clock.h"
#include "nodeagent/networks/host.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// Until a peer was heard through the tunnel; where none is, until a second after the API told who
/// the peers are. Tunnels that were there when this process came aren't among them. Pure; time is
/// an argument.
class Joining {
 public:
  static constexpr Duration kMost = std::chrono::seconds(1);

  /// After each look at the host, and before what is missing is made.
  void sync(const std::vector<DesiredNetwork>& served, const Host& host, BootTime now);
  /// Whether pods still wait for the network. `heard`: a peer was, since the tunnel is there.
  [[nodiscard]] bool isJoining(const NetworkUid& network, bool heard, BootTime now);
  /// When the next one ends at the latest; nothing: none of them ends by time.
  [[nodiscard]] std::optional<BootTime> next() const;

 private:
  /// Of each, since when peers may be heard; nothing: it isn't made yet, or its peers aren't known.
  std::map<NetworkUid, std::optional<BootTime>> since_;
};

}  // namespace multinet::agent::networks
