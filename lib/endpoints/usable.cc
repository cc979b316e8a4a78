#include "lib/endpoints/usable.h"

#include <algorithm>

namespace multinet::endpoints {
namespace {

/// What it is while another that may be used is ready.
Use besideReady(const EndpointView& one, api::TrafficPolicy policy) {
  if (one.target.port == 0) return Use::NoPort;
  if (policy == api::TrafficPolicy::Local && !one.here) return Use::Elsewhere;
  if (one.ready) return Use::Used;
  return one.serving && one.terminating ? Use::Terminating : Use::NotReady;
}

/// Whether it told any.
bool preferHinted(const std::vector<EndpointView>& endpoints, Hint EndpointView::* hint,
                  std::vector<Use>& uses) {
  bool any = false;
  for (std::size_t i = 0; i < uses.size(); ++i) {
    if (uses[i] != Use::Used) continue;
    if (endpoints[i].*hint == Hint::None) return false;
    any = any || endpoints[i].*hint == Hint::Ours;
  }
  for (std::size_t i = 0; any && i < uses.size(); ++i) {
    if (uses[i] == Use::Used && endpoints[i].*hint != Hint::Ours) uses[i] = Use::NotHinted;
  }
  return any;
}

}  // namespace

std::vector<Use> useOf(const std::vector<EndpointView>& endpoints, api::TrafficPolicy policy) {
  std::vector<Use> uses;
  uses.reserve(endpoints.size());
  for (const EndpointView& one : endpoints) uses.push_back(besideReady(one, policy));
  if (std::ranges::find(uses, Use::Used) == uses.end()) {
    std::ranges::replace(uses, Use::Terminating, Use::Used);
  } else if (policy == api::TrafficPolicy::Cluster &&
             !preferHinted(endpoints, &EndpointView::forNode, uses)) {
    preferHinted(endpoints, &EndpointView::forZone, uses);
  }
  return uses;
}

std::vector<Target> usable(const std::vector<EndpointView>& endpoints, api::TrafficPolicy policy) {
  const auto uses = useOf(endpoints, policy);
  std::vector<Target> targets;
  for (std::size_t i = 0; i < uses.size(); ++i) {
    if (uses[i] == Use::Used) targets.push_back(endpoints[i].target);
  }
  std::ranges::sort(targets);
  const auto repeated = std::ranges::unique(targets);
  targets.erase(repeated.begin(), repeated.end());
  return targets;
}

}  // namespace multinet::endpoints
