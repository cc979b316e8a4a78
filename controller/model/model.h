// What the reconcilers look at and what they wish for: small values, cut out of the informers'
// objects. A reconciler is a pure function from a view to wishes; it holds no state and does no
// I/O, so what it does twice it does once, and what dies half-way is done again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"

namespace multinet::controller {

/// What all objects have and reconcilers need. A delete carries `uid` and `resourceVersion` as
/// preconditions, so that a leader who looks at old data loses.
struct Meta {
  std::string namespaceName;  // empty for cluster-scoped kinds
  std::string name;
  std::string uid;
  std::string resourceVersion;
  WallTime created;
  std::int64_t generation = 0;
  std::optional<WallTime> deleted;  // deletionTimestamp
  std::vector<std::string> finalizers;
};

/// Orders rivals: the older first, of the same second the smaller UID. The later one loses.
[[nodiscard]] bool olderThan(const Meta& left, const Meta& right);

/// A PodNetwork.
struct Network {
  Meta meta;
  bool enabled = true;
  bool tunnel = false;                   // needs a VNI
  std::optional<std::uint32_t> vni;      // as the spec asks; absent: to be allocated
  std::optional<std::uint32_t> usedVni;  // as the status says: nodes have tunnels of it
  bool holdsFinalizer = false;           // api::kInUseFinalizer
  std::vector<std::string> violations;   // what lib/api says, one sentence each
};

/// A NetworkIdentifier.
struct Identifier {
  Meta meta;
  std::uint32_t vni = 0;
  std::string networkName;
  std::string networkUid;
};

/// A Pod, as far as its networks are concerned.
struct Pod {
  Meta meta;
  std::string nodeName;               // empty: not placed yet
  bool running = false;               // phase Running
  bool finished = false;              // phase Succeeded or Failed
  std::vector<std::string> networks;  // PodNetworks that its request resolves to, by name
};

/// A PodInterfaceSet.
struct InterfaceSet {
  Meta meta;
  std::string podName;
  std::string podUid;
  std::string nodeName;
  struct Interface {
    std::string networkName;
    std::string attachmentName;  // empty: the pod asked for the network itself
  };
  std::vector<Interface> interfaces;
};

/// What one node says of one network (NodeNetworkSet.status.networks[]).
struct NodeReport {
  enum class Ready : std::uint8_t { True, False, Unknown };
  std::string nodeName;
  std::string networkName;
  Ready ready = Ready::Unknown;
  std::string reason;
};

/// A condition as it should read. The writer keeps lastTransitionTime where the status stays and
/// stamps observedGeneration.
struct ConditionWish {
  enum class Status : std::uint8_t { True, False, Unknown };
  std::string type;
  Status status = Status::Unknown;
  std::string reason;
  std::string message;
  bool operator==(const ConditionWish&) const = default;
};

/// A condition as it stands in the store.
struct StandingCondition {
  ConditionWish wish;
  WallTime since;  // lastTransitionTime
  std::int64_t observedGeneration = 0;
};

/// One object to delete, with its preconditions and why, for the log.
struct Deletion {
  Meta meta;
  std::string why;
  /// What must really be gone: the API server itself is asked before the delete.
  std::string goneNode = {};        // a Node of this name; empty: not about a node
  std::string goneNetworkUid = {};  // a PodNetwork of this UID; empty: not about a network
};

}  // namespace multinet::controller
