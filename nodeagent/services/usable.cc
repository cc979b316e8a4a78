#include "nodeagent/services/usable.h"

#include <algorithm>

namespace multinet::agent::services {
namespace {

template <class Fits>
std::vector<Target> those(const std::vector<EndpointView>& endpoints, const Fits& fits) {
  std::vector<Target> targets;
  for (const EndpointView& one : endpoints) {
    if (fits(one)) targets.push_back(one.target);
  }
  std::ranges::sort(targets);
  const auto repeated = std::ranges::unique(targets);
  targets.erase(repeated.begin(), repeated.end());
  return targets;
}

}  // namespace

std::vector<Target> usable(const std::vector<EndpointView>& endpoints, api::TrafficPolicy policy) {
  const bool local = policy == api::TrafficPolicy::Local;
  auto ready =
      those(endpoints, [&](const EndpointView& one) { return one.ready && (one.here || !local); });
  if (!ready.empty()) return ready;
  return those(endpoints, [&](const EndpointView& one) {
    return one.serving && one.terminating && (one.here || !local);
  });
}

}  // namespace multinet::agent::services
