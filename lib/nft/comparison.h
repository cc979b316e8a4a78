// A table of the kernel's against one that it should be, by the kernel's own messages: read until
// the first thing that it shouldn't have. So what somebody else put in, who may have NET_ADMIN in
// the pod whose table it is, costs nothing.
#pragma once

#include <optional>

#include "lib/base/result.h"
#include "lib/nft/batch.h"
#include "lib/nft/model.h"

namespace multinet::nft {

/// As Listing::matches() says it of a table that is there. nullopt: bytesOf() doesn't know one of
/// its elements. `socket` is of no use afterwards.
[[nodiscard]] Result<std::optional<bool>> compare(BatchSocket socket, const Table& table);

}  // namespace multinet::nft
