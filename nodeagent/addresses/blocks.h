// IPBlocks through the API server: creating one by its name is the lease.
#pragma once

#include <string>
#include <vector>

#include "lib/api/reservations.h"
#include "lib/kube/client_source.h"
#include "nodeagent/addresses/leased_block.h"

namespace multinet::agent::addresses {

/// A block as its object tells it; an error where name and spec don't agree.
[[nodiscard]] Result<LeasedBlock> leasedBlock(const api::IPBlock& block);

/// As one node asks for them. Each call blocks, at most twice the client's deadline: for a lane
/// that only leases. Lists pass over a block whose name isn't the one that its spec makes, with a
/// line in the log: it holds no addresses (and the policies of deploy/ let nobody create one).
class Blocks {
 public:
  Blocks(kube::ClientSource client, NodeName node)
      : client_(std::move(client)), node_(std::move(node)) {}

  /// All of this node's.
  [[nodiscard]] Result<std::vector<LeasedBlock>> listOwn();
  /// All of a network, of every node and of every network that ever had its name: the server sends
  /// each of them, so this is for pools of which little is left.
  [[nodiscard]] Result<std::vector<LeasedBlock>> listNetwork(const NetworkName& name);
  /// AlreadyExists where it is leased, by whomever. One that a lost reply told of is this node's.
  [[nodiscard]] Result<LeasedBlock> create(const NetworkName& network, const NetworkUid& uid,
                                           const IpPrefix& prefix);
  /// The same for a block that this node had: where it is there as this node's, it is that one.
  [[nodiscard]] Result<LeasedBlock> createAgain(const LeasedBlock& block);
  /// That very object; one that is gone is success.
  [[nodiscard]] Status remove(const LeasedBlock& block);

 private:
  [[nodiscard]] Result<std::vector<LeasedBlock>> list(const std::string& fieldSelector);

  kube::ClientSource client_;
  NodeName node_;
};

}  // namespace multinet::agent::addresses
