// What a namespace may know of networks: those that are open to it.
#pragma once

#include <string>

#include "lib/api/catalog_over.h"

namespace multinet::webhook {

/// A catalog in which a network that isn't open to the namespace isn't there, nor is an attachment
/// to one. Who sent a review, and for whom, can't be known (decision 0085), so its answer says of
/// a name that the namespace may not use the same whether there is such a network or not. Of a
/// network that is open, the words of its condition are left out: they name others.
/// For one review, on one thread.
class OpenTo final : public api::CatalogOver {
 public:
  /// `all` outlives it.
  OpenTo(const api::Catalog& all, std::string nameSpace)
      : CatalogOver(all), nameSpace_(std::move(nameSpace)) {}

  [[nodiscard]] std::optional<api::PodNetwork> network(std::string_view name) const override;
  [[nodiscard]] std::optional<api::PodNetworkAttachment> attachment(
      std::string_view namespaceName, std::string_view name) const override;
  [[nodiscard]] bool showsAll() const override { return false; }

 private:
  const std::string nameSpace_;
};

}  // namespace multinet::webhook
