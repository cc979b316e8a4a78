#include "nodeagent/addresses/leaser.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "lib/base/failpoint.h"

namespace multinet::agent::addresses {
namespace {

struct Taken {
  std::set<IpPrefix> prefixes;
  std::size_t ours = 0;          // of the family
  std::size_t predecessors = 0;  // of a network that had the name before
};

Taken takenOf(const std::vector<LeasedBlock>& blocks, const Pool& pool, IpFamily family,
              const NodeName& node) {
  Taken taken;
  for (const LeasedBlock& block : blocks) {
    taken.prefixes.insert(block.prefix);
    if (block.networkUid != pool.uid) {
      ++taken.predecessors;
    } else if (block.node == node && block.prefix.family() == family) {
      ++taken.ours;
    }
  }
  return taken;
}

// Prefixes overlap only where one holds the other: look at the neighbours in order.
bool isTaken(const std::set<IpPrefix>& taken, const IpPrefix& candidate) {
  const auto next = taken.lower_bound(candidate);
  if (next != taken.end() && next->overlaps(candidate)) return true;
  return next != taken.begin() && std::prev(next)->overlaps(candidate);
}

/// The controller takes what is leased beyond.
Error beyondShare(const Pool& pool, IpFamily family, std::size_t ours) {
  return {Code::ResourceExhausted, kPoolExhausted,
          "lease addresses of network \"" + pool.network.str() + "\": this node has " +
              std::to_string(ours) + " " + std::string(name(family)) +
              " blocks of it, which is all that one node may lease; end pods of this node, or have "
              "a larger blockSize in a new subnet"};
}

Error exhausted(const Pool& pool, IpFamily family, const Taken& taken) {
  const std::string what = "lease addresses of network \"" + pool.network.str() + "\": ";
  if (taken.predecessors > 0) {
    return {Code::Unavailable, "PredecessorsBlocks",
            what + std::to_string(taken.predecessors) +
                " blocks belong to an earlier network of this name and are being collected"};
  }
  std::string subnets;
  for (const ipam::Subnet& subnet : pool.subnets) {
    if (subnet.cidr.family() != family) continue;
    if (!subnets.empty()) subnets += ", ";
    subnets += subnet.cidr.str() + " in blocks of /" + std::to_string(subnet.blockLength());
  }
  return {Code::ResourceExhausted, kPoolExhausted,
          what + "all " + std::string(name(family)) + " blocks of " + subnets + " are leased (" +
              std::to_string(taken.prefixes.size()) + " in all, " + std::to_string(taken.ours) +
              " by this node); add a subnet or end pods"};
}

}  // namespace

Result<LeasedBlock> leaseBlock(BlockApi& api, const Pool& pool, IpFamily family,
                               const NodeName& node, int attempts) {
  MULTINET_TRY(const std::vector<LeasedBlock> blocks, api.listNetwork(pool.network));
  Taken taken = takenOf(blocks, pool, family, node);
  bool hasShare = false;
  for (const ipam::Subnet& subnet : pool.subnets) {
    if (subnet.cidr.family() != family) continue;
    if (taken.ours >= ipam::mostBlocks(family, subnet.blockLength())) {
      hasShare = true;
      continue;
    }
    ipam::BlockWalk walk(subnet, pool.network.str() + "/" + node.str());
    while (const auto candidate = walk.next()) {
      if (isTaken(taken.prefixes, *candidate)) continue;
      failpoint::pass("addresses.lease.before");
      auto block = api.create(pool.network, pool.uid, *candidate);
      failpoint::pass("addresses.lease.after");
      if (block.has_value() || block.error().code != Code::AlreadyExists) return block;
      taken.prefixes.insert(*candidate);  // another node was first
      if (--attempts <= 0) {
        return fail(Code::Unavailable, "LeaseContended",
                    "lease addresses of network \"" + pool.network.str() +
                        "\": other nodes were first at every block tried");
      }
    }
  }
  if (hasShare) return fail(beyondShare(pool, family, taken.ours));
  return fail(exhausted(pool, family, taken));
}

}  // namespace multinet::agent::addresses
