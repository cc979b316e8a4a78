// What a PodNetwork's status should say, and whether it may go.
//
// Ready says whether the network may be used: agents serve only what is Ready at its current
// generation. It never depends on the state of nodes (a node that is down must not take the network
// from the others); that is what Degraded and nodes{desired, ready} are for.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/model/model.h"

namespace multinet::controller {

inline constexpr std::size_t kMaxBlockers = 10;
/// After a deletion began, a pod that was placed but has no set yet holds the network this long:
/// its attach may be under way, its report late. Above the kubelet's four minutes for a sandbox.
inline constexpr Duration kAttachGrace = std::chrono::minutes(5);

/// All that decides about one network.
struct NetworkObservation {
  const Network* network = nullptr;
  std::optional<std::uint32_t> heldVni;
  /// Name of the network that has this one's VNI or addresses, with the sentence that says so.
  struct Rival {
    std::string name;
    std::string sentence;
  };
  std::optional<Rival> rival;
  bool vnisExhausted = false;
  std::vector<const Pod*> pods;           // that ask for this network
  std::vector<const InterfaceSet*> sets;  // that fit a live pod and have an interface here
  std::vector<NodeReport> reports;        // of nodes that exist
  int nodesDesired = 0;
};

struct NetworkStatusWish {
  std::vector<ConditionWish> conditions;  // Ready, InUse, Degraded
  std::optional<std::uint32_t> vni;
  int nodesDesired = 0;
  int nodesReady = 0;
  int attachedPods = 0;
  std::vector<std::string> blockers;
  bool operator==(const NetworkStatusWish&) const = default;
};

enum class FinalizerWish : std::uint8_t { Keep, Add, Remove };

struct NetworkWish {
  NetworkStatusWish status;
  FinalizerWish finalizer = FinalizerWish::Keep;
  /// Look again after this long even if nothing changes.
  std::optional<Duration> again;
};

/// Pure.
[[nodiscard]] NetworkWish reconcileNetwork(const NetworkObservation& observed, WallTime now);

}  // namespace multinet::controller
