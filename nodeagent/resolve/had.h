// Networks that a pod has had: a verdict on one (disabled, in conflict, being deleted, closed to
// the namespace) stops new pods, and takes it from none that was on it. A node that boots again, or
// a sandbox that is made anew, gives it back.
#pragma once

#include <set>
#include <utility>

#include "lib/api/catalog_over.h"
#include "lib/base/ids.h"
#include "lib/k8s/core.h"

namespace multinet::agent::resolve {

/// Those that admission wrote down for a pod whose containers ran: no sandbox of a pod with a
/// request comes without its networks. None of a pod that still waits for its first one. Pure.
[[nodiscard]] std::set<NetworkUid> hadBy(const k8s::Pod& pod);

/// The catalog with the verdict for these networks in their favour. `all` outlives it.
class InFavour final : public api::CatalogOver {
 public:
  InFavour(const api::Catalog& all, std::set<NetworkUid> had)
      : CatalogOver(all), had_(std::move(had)) {}

  [[nodiscard]] std::optional<api::PodNetwork> network(std::string_view name) const override;
  [[nodiscard]] std::optional<api::PodNetworkAttachment> attachment(
      std::string_view namespaceName, std::string_view name) const override;

 private:
  const std::set<NetworkUid> had_;
};

}  // namespace multinet::agent::resolve
