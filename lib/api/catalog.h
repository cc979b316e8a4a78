// What the rules look at beyond the object itself: a view of a caller's caches.
#pragma once

#include <optional>
#include <string_view>

#include "lib/api/pod_network.h"
#include "lib/api/pod_network_attachment.h"

namespace multinet::api {

/// Answers must come of one moment as far as a caller can make it so; a call never blocks.
class Catalog {
 public:
  virtual ~Catalog() = default;
  /// Nothing where there is no such network.
  [[nodiscard]] virtual std::optional<PodNetwork> network(std::string_view name) const = 0;
  [[nodiscard]] virtual std::optional<PodNetworkAttachment> attachment(
      std::string_view namespaceName, std::string_view name) const = 0;
  /// Nothing where the namespace isn't known (yet).
  [[nodiscard]] virtual std::optional<k8s::StringMap> namespaceLabels(
      std::string_view name) const = 0;
  /// False where networks that aren't open to the namespace asked for are left out, so that nobody
  /// learns from the rules' words whether there is such a network.
  [[nodiscard]] virtual bool showsAll() const { return true; }
};

}  // namespace multinet::api
