// The tables of each verb, made of objects as the API server sent them. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/output.h"
#include "lib/base/clock.h"

namespace multinet::cli {

/// One row a PodNetwork.
[[nodiscard]] Table networksTable(const nlohmann::json& networks, WallTime now);
/// One row an interface, of PodInterfaceSets.
[[nodiscard]] Table podsTable(const nlohmann::json& sets, WallTime now);
/// One row a PodNetworkService.
[[nodiscard]] Table servicesTable(const nlohmann::json& services, WallTime now);
/// `http:80/TCP,dns:53/UDP`, of a PodNetworkService.
[[nodiscard]] std::string portsOf(const nlohmann::json& service);
/// `2/3/1`, ready, serving and terminating, of a PodNetworkService; empty: not counted yet.
[[nodiscard]] std::string endpointsOf(const nlohmann::json& service);
/// One row a node and network, of NodeNetworkSets.
[[nodiscard]] Table nodesTable(const nlohmann::json& nodeSets);

}  // namespace multinet::cli
