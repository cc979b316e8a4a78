// One lease: finds a free block of a pool and creates it. Blocks; for the lane that calls the API.
#pragma once

#include <string>
#include <vector>

#include "nodeagent/addresses/addresses.h"
#include "nodeagent/addresses/block_api.h"

namespace multinet::agent::addresses {

/// The reason of an error that says that every block of a family is leased.
inline constexpr const char* kPoolExhausted = "PoolExhausted";

/// A block that this node has now. ResourceExhausted/PoolExhausted where every block of the family
/// is leased, or this node has as many as one may (ipam::mostBlocks), with numbers;
/// Unavailable/PredecessorsBlocks where only blocks of an older network of the same name stand in
/// the way; else the API server's error.
[[nodiscard]] Result<LeasedBlock> leaseBlock(BlockApi& api, const Pool& pool, IpFamily family,
                                             const NodeName& node, int attempts);

}  // namespace multinet::agent::addresses
