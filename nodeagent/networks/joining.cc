#include "nodeagent/networks/joining.h"

#include <algorithm>

namespace multinet::agent::networks {

void Joining::sync(const std::vector<DesiredNetwork>& served, const Host& host, BootTime now) {
  std::map<NetworkUid, std::optional<BootTime>> next;
  for (const DesiredNetwork& network : served) {
    const auto* tunnel = std::get_if<drivers::vxlan::Network>(&network.network);
    if (tunnel == nullptr || network.demand == Demand::None) continue;
    const bool isThere =
        ownLink(host, network.uid, drivers::vxlan::tunnelName(network.uid)) != nullptr;
    const auto known = since_.find(network.uid);
    if (known == since_.end()) {
      if (!isThere) next.emplace(network.uid, std::nullopt);
      continue;
    }
    const bool begins = isThere && tunnel->peersKnown && !known->second;
    next.emplace(network.uid, begins ? now : known->second);
  }
  since_ = std::move(next);
}

bool Joining::isJoining(const NetworkUid& network, bool heard, BootTime now) {
  const auto found = since_.find(network);
  if (found == since_.end()) return false;
  const auto since = found->second;
  if (!since || (!heard && now < *since + kMost)) return true;
  since_.erase(found);
  return false;
}

std::optional<BootTime> Joining::next() const {
  std::optional<BootTime> first;
  for (const auto& [network, since] : since_) {
    if (since) first = first ? std::min(*first, *since + kMost) : *since + kMost;
  }
  return first;
}

}  // namespace multinet::agent::networks
