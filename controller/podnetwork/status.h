// What a PodNetwork's status should say, and whether it may go.
//
// Ready says whether the network may be used: agents serve only what is Ready at its current
// generation. It never depends on the state of nodes (a node that is down must not take the network
// from the others); that is what Degraded and nodes{desired, ready} are for.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "controller/identifiers/vni.h"
#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// After a deletion was first seen, a pod that was placed but has no set yet holds the network this
/// long: its attach may be under way, its report late. Above the kubelet's four minutes for a
/// sandbox.
inline constexpr Duration kAttachGrace = std::chrono::minutes(5);

/// All that decides about one network. What it points to outlives it.
struct NetworkObservation {
  const Network* network = nullptr;
  const Sentences* violations = nullptr;
  const NetworkUse* use = nullptr;
  VniVerdict vni;
  /// Why an older network stands against this one; absent: none does.
  std::optional<std::string> rival{};
  std::optional<BootTime> deletingSince{};
  int nodes = 0;         ///< of the cluster
  BootTime countsDue{};  ///< when its numbers may be told again
  std::vector<std::string> removableSubnets{};
};
[[nodiscard]] NetworkObservation observe(const World& world, const Network& network);

enum class FinalizerWish : std::uint8_t { Keep, Add, Remove };

struct NetworkWish {
  api::PodNetworkStatus status;  ///< what stands there, with our fields as they should be
  FinalizerWish finalizer = FinalizerWish::Keep;
  /// Look again after this long even if nothing changes.
  std::optional<Duration> again{};

  /// The earlier of two wishes counts.
  void askAgain(Duration after) { again = again ? std::min(*again, after) : after; }
};

/// Pure.
[[nodiscard]] NetworkWish wishFor(const NetworkObservation& observed, const Moment& now);

[[nodiscard]] Reconciler podNetworkReconciler();

}  // namespace multinet::controller
