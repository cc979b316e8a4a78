// Who has which VNI. A VNI is reserved by creating the NetworkIdentifier `vxlan-<vni>`: the store
// refuses a second one of that name, so a leader that is no longer one can't give a VNI twice.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "controller/model/model.h"

namespace multinet::controller {

/// VNIs given to networks that name none: above what people pick by hand, below the end of 24 bits.
inline constexpr std::uint32_t kFirstAutomaticVni = 100000;
inline constexpr std::uint32_t kAutomaticVnis = 100000;

/// A NetworkIdentifier to create.
struct IdentifierWish {
  std::uint32_t vni = 0;
  std::string networkName;
  std::string networkUid;
};

struct IdentifierPlan {
  std::vector<IdentifierWish> create;
  std::vector<Deletion> remove;
  /// Network UID -> the VNI that is reserved for it now, or that it uses and is reserved again.
  std::map<std::string, std::uint32_t> held;
  /// Network UID -> name of the network that has its VNI.
  std::map<std::string, std::string> losers;
  /// UIDs of networks for which the automatic range has nothing left.
  std::vector<std::string> exhausted;
};

/// Pure. Networks that are invalid get nothing; those being deleted keep what they hold. Of two
/// that ask for one VNI the younger loses, also when it came first to the store. An identifier is
/// removed when its network is gone or lost it; one pass later the winner creates its own. A
/// network keeps the VNI that it uses, also where its identifier is gone or it has become invalid:
/// its tunnels carry traffic.
[[nodiscard]] IdentifierPlan planIdentifiers(const std::vector<Network>& networks,
                                             const std::vector<Identifier>& identifiers);

}  // namespace multinet::controller
