#include "nodeagent/networks/networks.h"

#include <algorithm>

namespace multinet::agent::networks {

std::string_view name(CheckStatus status) {
  switch (status) {
    case CheckStatus::True:
      return "True";
    case CheckStatus::False:
      return "False";
    case CheckStatus::Unknown:
      break;
  }
  return "Unknown";
}

const NetworkState* Snapshot::find(const NetworkUid& uid) const {
  const auto found = std::find_if(networks.begin(), networks.end(),
                                  [&](const NetworkState& state) { return state.uid == uid; });
  return found == networks.end() ? nullptr : &*found;
}

}  // namespace multinet::agent::networks
