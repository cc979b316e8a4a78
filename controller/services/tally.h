// What all services on networks come to, for those who watch over them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "controller/world/kinds.h"

namespace multinet::controller {

/// Reasons of the condition Ready of a PodNetworkService; `Unjudged`: there is none yet, or
/// another.
inline constexpr std::array<std::string_view, 9> kServiceReasons{
    "Accepted",        "ServicePending", "NameTaken", "Refused", "NetworkNotFound",
    "NetworkNotReady", "NotGranted",     "Invalid",   "Unjudged"};

struct ServiceTally {
  std::array<std::uint64_t, kServiceReasons.size()> byReason{};
  std::uint64_t ready = 0;  ///< endpoints, as the services' status counts them
  std::uint64_t serving = 0;
  std::uint64_t terminating = 0;
  bool operator==(const ServiceTally&) const = default;
};

/// Pure.
[[nodiscard]] ServiceTally tallyOf(
    const std::vector<std::shared_ptr<const NetworkService>>& services);

}  // namespace multinet::controller
