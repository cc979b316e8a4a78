// Who has which VNI. A VNI is reserved by creating the NetworkIdentifier `vxlan-<vni>`: the store
// refuses a second one of that name, so a leader that is no longer one can't give a VNI twice.
//
// Networks that are invalid get nothing; those being deleted keep what they hold. Of two that ask
// for one VNI the younger loses, also when it came first to the store. An identifier is removed
// when its network is gone or lost it; then the winner creates its own. A network keeps the VNI
// that it uses, also where its identifier is gone or it has become invalid: its tunnels carry
// traffic.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// VNIs given to networks that name none: above what people pick by hand, below the end of 24 bits.
inline constexpr std::int32_t kFirstAutomaticVni = 100000;
inline constexpr std::int32_t kAutomaticVnis = 100000;
/// A network for which no VNI was free looks again after this.
inline constexpr Duration kVniRetry = std::chrono::seconds(30);

/// How a network stands with VNIs. All empty where its type has none.
struct VniVerdict {
  /// Reserved for it now, or used by it and reserved again.
  std::optional<std::int32_t> held;
  /// To be reserved.
  std::optional<std::int32_t> create;
  /// The network that has the VNI which this one names.
  std::optional<std::string> loserTo;
  /// Nothing is left in the automatic range.
  bool exhausted = false;
};
/// Pure; looks at the networks that want the same VNI, and at no others.
[[nodiscard]] VniVerdict vniOf(const World& world, const Network& network);

/// Networks whose verdict a change may alter.
void vniConcerned(const World& world, const Change& change, Keys& keys);

/// By network: reserves.
[[nodiscard]] Reconciler identifierReservation();
/// By NetworkIdentifier: removes what nobody has any more.
[[nodiscard]] Reconciler identifierCollection();

}  // namespace multinet::controller
