// From what was observed and measured to what is said of a network. Pure.
#pragma once

#include <optional>
#include <vector>

#include "nodeagent/networks/host.h"
#include "nodeagent/networks/peer_health.h"

namespace multinet::agent::networks {

struct Evidence {
  const Host& host;                   ///< the network is judged on it
  std::vector<PeerReport> peers;      ///< of this network
  std::optional<Error> refused;       ///< the kernel's last refusal of a step for this network
  std::optional<Error> guardRefused;  ///< of the rules around tunnels
};

[[nodiscard]] NetworkState evaluate(const DesiredNetwork& network, const Evidence& evidence,
                                    const NetworksOptions& options);

}  // namespace multinet::agent::networks
