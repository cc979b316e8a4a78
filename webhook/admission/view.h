// What admission looks at beyond the object under review.
#pragma once

#include <optional>
#include <vector>

#include "lib/api/catalog.h"
#include "lib/api/cluster_ranges.h"

namespace multinet::webhook {

/// What the webhook knows. Calls of its caches never block; a LiveView asks the API server.
class View : public api::Catalog {
 public:
  /// The attachments of a namespace that have a podSelector.
  [[nodiscard]] virtual std::vector<api::PodNetworkAttachment> selecting(
      std::string_view namespaceName) const = 0;
  /// All networks: two of them can be at odds.
  [[nodiscard]] virtual std::vector<api::PodNetwork> networks() const = 0;
  /// Ranges of Services, pods and nodes; nothing where they can't be told.
  [[nodiscard]] virtual std::optional<std::vector<api::ClusterRange>> clusterRanges() const = 0;
};

}  // namespace multinet::webhook
