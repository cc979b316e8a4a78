// Requests for all of one kind that a table has: of this room only.
#pragma once

#include <string>

#include "lib/netlink/codec.h"
#include "lib/nft/model.h"

namespace multinet::nft {

/// `get`: NFT_MSG_GETCHAIN and its like; of elements those of `set`. The kernel tells of some kinds
/// for all tables of the family.
[[nodiscard]] netlink::Message dumpRequest(unsigned get, const Table& table,
                                           const std::string& set = "");
/// Of objects the named counters.
[[nodiscard]] netlink::Message counterRequest(const Table& table);

}  // namespace multinet::nft
