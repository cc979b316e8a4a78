// From what was observed and measured to what is said of a network. Pure.
#pragma once

#include "nodeagent/drivers/network.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

[[nodiscard]] NetworkState evaluate(const DesiredNetwork& network, const drivers::Host& host,
                                    const drivers::Findings& findings,
                                    const NetworksOptions& options);

}  // namespace multinet::agent::networks
