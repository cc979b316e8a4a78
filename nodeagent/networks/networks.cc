#include "nodeagent/networks/networks.h"

#include <algorithm>

namespace multinet::agent::networks {

const NetworkState* Snapshot::find(const NetworkUid& uid) const {
  const auto found = std::find_if(networks.begin(), networks.end(),
                                  [&](const NetworkState& state) { return state.uid == uid; });
  return found == networks.end() ? nullptr : &*found;
}

}  // namespace multinet::agent::networks
