// One page of a list, taken apart. Inside this room.
#pragma once

#include <functional>
#include <string>

#include "lib/kube/client.h"

namespace multinet::kube {

struct PageEnd {
  std::string resume;    ///< the next page's continue token; empty: there is none
  std::string revision;  ///< the list's resourceVersion
};

/// Calls `item` for each object. `what` reads `list pods`.
[[nodiscard]] Status readPage(const simdjson::dom::element& page, const std::string& what,
                              const std::function<Status(const simdjson::dom::element&)>& item,
                              PageEnd& end);

}  // namespace multinet::kube
