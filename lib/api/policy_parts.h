// The parts of the rules for policies of either kind: of this room only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_network.h"
#include "lib/api/validate.h"
#include "lib/k8s/selector.h"

namespace multinet::api::parts {

/// At most so many.
void checkCount(std::size_t count, std::size_t most, const std::string& path,
                const std::string& what, Report& report);
/// `spec.podNetworkNames`.
void checkNetworks(const std::vector<std::string>& names, Report& report);
void checkSelector(const k8s::LabelSelector& selector, const std::string& path, Report& report);
/// Nothing where it can't be read, which is told.
[[nodiscard]] std::optional<IpPrefix> readPrefix(const std::string& text, const std::string& path,
                                                 Report& report);

/// Of a network that a policy names: its interfaces aren't held, or addresses may be forged.
void warnOfNetwork(const PodNetwork& network, const std::string& path, Report& report);
/// Of a network without subnets that a policy with selected peers names.
void warnOfNoAddresses(const PodNetwork& network, Report& report);

}  // namespace multinet::api::parts
