// The door to the IPBlock objects: creating one by its name is the lease.
#pragma once

#include <string>
#include <vector>

#include "lib/base/ids.h"
#include "lib/base/ip.h"

namespace multinet::agent::addresses {

/// An IPBlock as far as leasing goes.
struct LeasedBlock {
  NetworkName network;
  NetworkUid networkUid;
  IpPrefix prefix;
  NodeName node;
  std::string objectUid;
  bool operator==(const LeasedBlock&) const = default;
};

/// Calls block up to their deadline (15 s), on a lane that only leases. Blocks that can't be read
/// count as taken and belong to no node.
class BlockApi {
 public:
  virtual ~BlockApi() = default;
  /// All blocks of this node.
  [[nodiscard]] virtual Result<std::vector<LeasedBlock>> listOwn() = 0;
  /// All blocks of a network, of every node and of every network that ever had its name.
  [[nodiscard]] virtual Result<std::vector<LeasedBlock>> listNetwork(const NetworkName& name) = 0;
  /// AlreadyExists where another node was first.
  [[nodiscard]] virtual Result<LeasedBlock> create(const NetworkName& network,
                                                   const NetworkUid& uid,
                                                   const IpPrefix& prefix) = 0;
  /// That very object; NotFound is success.
  [[nodiscard]] virtual Status remove(const LeasedBlock& block) = 0;
};

}  // namespace multinet::agent::addresses
