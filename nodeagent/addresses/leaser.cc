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
          what + "all " + std::string(name(family)) + " blocks of " + subnets +
              " are leased or excluded (" + std::to_string(taken.prefixes.size()) + " in all, " +
              std::to_string(taken.ours) + " by this node); add a subnet or end pods"};
}

/// Tries names in the node's own order. Nothing: none was free of `tries` names, or of all.
class Search {
 public:
  Search(Blocks& blocks, const Orders::Lease& lease, const NodeName& node)
      : blocks_(blocks), lease_(lease), node_(node) {}

  Result<std::optional<LeasedBlock>> create(Taken& taken, int tries) {
    hasShare_ = false;
    triedAll_ = false;
    for (const ipam::Subnet& subnet : lease_.pool.subnets) {
      const IpFamily family = lease_.key.second;
      if (subnet.cidr.family() != family) continue;
      if (taken.ours >= ipam::mostBlocks(family, subnet.blockLength())) {
        hasShare_ = true;
        continue;
      }
      ipam::BlockWalk walk(subnet, lease_.pool.network.str() + "/" + node_.str());
      while (const auto candidate = walk.next()) {
        if (isTaken(taken.prefixes, *candidate)) continue;
        if (--tries < 0) return std::optional<LeasedBlock>();
        failpoint::pass("addresses.lease.before");
        auto block = blocks_.create(lease_.pool.network, lease_.pool.uid, *candidate);
        failpoint::pass("addresses.lease.after");
        if (block.has_value()) return std::optional(std::move(*block));
        if (block.error().code != Code::AlreadyExists) return fail(block.error());
        taken.prefixes.insert(*candidate);  // another node was first
      }
    }
    triedAll_ = true;
    return std::optional<LeasedBlock>();
  }
  /// Of the last create().
  [[nodiscard]] bool hasShare() const { return hasShare_; }
  [[nodiscard]] bool triedAll() const { return triedAll_; }

 private:
  Blocks& blocks_;
  const Orders::Lease& lease_;
  const NodeName& node_;
  bool hasShare_ = false;
  bool triedAll_ = false;
};

}  // namespace

Result<LeasedBlock> leaseBlock(Blocks& blocks, const Orders::Lease& lease, const NodeName& node,
                               int attempts) {
  const IpFamily family = lease.key.second;
  Search search(blocks, lease, node);
  if (lease.room == Room::Likely) {
    // Blocks of one network never overlap but by being the same: a range's blockSize never changes.
    Taken known{{lease.own.begin(), lease.own.end()}, lease.own.size(), 0};
    MULTINET_TRY(auto block, search.create(known, kTriedUnseen));
    if (block.has_value()) return *std::move(block);
  }
  MULTINET_TRY(const std::vector<LeasedBlock> all, blocks.listNetwork(lease.pool.network));
  Taken taken = takenOf(all, lease.pool, family, node);
  MULTINET_TRY(auto block, search.create(taken, attempts));
  if (block.has_value()) return *std::move(block);
  if (!search.triedAll()) {
    return fail(Code::Unavailable, "LeaseContended",
                "lease addresses of network \"" + lease.pool.network.str() +
                    "\": other nodes were first at every block tried");
  }
  if (search.hasShare()) return fail(beyondShare(lease.pool, family, taken.ours));
  return fail(exhausted(lease.pool, family, taken));
}

}  // namespace multinet::agent::addresses
