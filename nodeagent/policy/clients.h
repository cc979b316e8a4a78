// Whom policies let in who isn't on the network: clients of a gateway, by their own addresses.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "lib/policy/program.h"

namespace multinet::agent::policing {

/// What an isolated interface gets, from whom.
struct Admission {
  std::optional<api::Protocol> protocol;  ///< nothing: every one, and ports say nothing
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  policy::AddressRange clients;
  bool operator==(const Admission&) const = default;
};
/// Of one network's interfaces on this node that are isolated for what they receive, by each of
/// their addresses. Who has none lets nobody in.
using Admissions = std::map<IpAddress, std::vector<Admission>>;

/// Of the subjects, by their addresses; those of `cut` let nobody in.
[[nodiscard]] Admissions admissionsOf(
    const std::vector<policy::Subject>& subjects, const policy::Network& network,
    const std::map<policy::PodKey, std::vector<IpAddress>>& addresses,
    const std::set<policy::PodKey>& cut);

}  // namespace multinet::agent::policing
