// One lease: finds a free block of a pool and creates it. Blocks; for the lane that calls the API.
//
// Creating a block by its name is the lock, so the quickest way to find out whether one is free is
// to create it: where few are leased the first or second name is. Only a node that met others at
// several names lists the network's blocks, which are as many as its nodes.
#pragma once

#include "nodeagent/addresses/blocks.h"
#include "nodeagent/addresses/ledger.h"

namespace multinet::agent::addresses {

/// The reason of an error that says that every block of a family is leased.
inline constexpr const char* kPoolExhausted = "PoolExhausted";

/// So many names are tried before all blocks are listed: a name that is taken costs 0.5 KB each
/// way, a list of a thousand blocks 600 KB. Half full, a pool lists once in 256 leases.
inline constexpr int kTriedUnseen = 8;

/// A block that this node has now. ResourceExhausted/PoolExhausted where every block of the family
/// is leased, or this node has as many as one may (ipam::mostBlocks), with numbers;
/// Unavailable/PredecessorsBlocks where only blocks of an older network of the same name stand in
/// the way; else the API server's error. `attempts`: names tried after a list.
[[nodiscard]] Result<LeasedBlock> leaseBlock(Blocks& blocks, const Orders::Lease& lease,
                                             const NodeName& node, int attempts);

}  // namespace multinet::agent::addresses
