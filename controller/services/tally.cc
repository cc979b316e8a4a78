#include "controller/services/tally.h"

#include <algorithm>

namespace multinet::controller {
namespace {

std::size_t placeOf(const NetworkService& service) {
  const auto* ready = service.status.conditions.find("Ready");
  const auto found =
      ready == nullptr ? kServiceReasons.end() : std::ranges::find(kServiceReasons, ready->reason);
  return std::min<std::size_t>(static_cast<std::size_t>(found - kServiceReasons.begin()),
                               kServiceReasons.size() - 1);
}

}  // namespace

ServiceTally tallyOf(const std::vector<std::shared_ptr<const NetworkService>>& services) {
  ServiceTally tally;
  for (const auto& one : services) {
    ++tally.byReason.at(placeOf(*one));
    if (!one->status.endpoints) continue;
    // Never below zero: the schema says so.
    tally.ready += static_cast<std::uint64_t>(one->status.endpoints->ready);
    tally.serving += static_cast<std::uint64_t>(one->status.endpoints->serving);
    tally.terminating += static_cast<std::uint64_t>(one->status.endpoints->terminating);
  }
  return tally;
}

}  // namespace multinet::controller
