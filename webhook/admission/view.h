// What admission looks at beyond the object under review.
#pragma once

#include <vector>

#include "lib/api/catalog.h"

namespace multinet::webhook {

/// What the webhook knows. Calls of its caches never block; a LiveView asks the API server.
class View : public api::Catalog {
 public:
  /// All networks: two of them can be at odds.
  [[nodiscard]] virtual std::vector<api::PodNetwork> networks() const = 0;
};

}  // namespace multinet::webhook
