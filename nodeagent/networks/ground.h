// One network of this node, as its type is asked about it (see drivers/network.h).
#pragma once

#include "nodeagent/drivers/network.h"
#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// All that is given outlives it.
[[nodiscard]] inline drivers::Ground groundOf(const DesiredNetwork& network,
                                              const drivers::Host& host,
                                              const std::string& defaultUnderlay) {
  return {network.uid, network.mtu, network.refusal.has_value(), host, defaultUnderlay};
}

[[nodiscard]] inline drivers::Placement placementOf(const DesiredNetwork& network,
                                                    const drivers::Host& host,
                                                    const std::string& defaultUnderlay) {
  const auto ground = groundOf(network, host, defaultUnderlay);
  return std::visit([&](const auto& one) { return one.placement(ground); }, network.network);
}

/// Names of the network's own links, by where they are.
[[nodiscard]] inline std::vector<std::string> linksOf(const DesiredNetwork& network,
                                                      const drivers::Host& host,
                                                      drivers::Place place) {
  static const std::string kNoUnderlay;
  const auto ground = groundOf(network, host, kNoUnderlay);
  return std::visit([&](const auto& one) { return one.links(place, ground); }, network.network);
}

}  // namespace multinet::agent::networks
