// How much is in a table, without reading what it is: who has NET_ADMIN in a pod may put millions
// of elements into a table there, and listing them takes a kilobyte of memory each.
#pragma once

#include <cstddef>

#include "lib/base/result.h"
#include "lib/nft/batch.h"
#include "lib/nft/model.h"

namespace multinet::nft {

/// Whether chains, rules, sets, elements and objects of the table of that name and family are few
/// enough: each of `most` may have 128 bytes in the kernel's words. Those of other tables count
/// where the kernel tells of them, too. `socket` is of no use afterwards.
[[nodiscard]] Result<bool> isWithin(BatchSocket socket, const Table& table, std::size_t most);

}  // namespace multinet::nft
