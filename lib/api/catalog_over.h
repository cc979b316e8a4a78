// A catalog over another, for views that show it in part or in another light.
#pragma once

#include "lib/api/catalog.h"

namespace multinet::api {

/// What isn't overridden is the other's, which outlives it.
class CatalogOver : public Catalog {
 public:
  explicit CatalogOver(const Catalog& all) : all_(all) {}
  [[nodiscard]] std::optional<k8s::StringMap> namespaceLabels(
      std::string_view name) const override {
    return all_.namespaceLabels(name);
  }
  [[nodiscard]] bool showsAll() const override { return all_.showsAll(); }

 protected:
  [[nodiscard]] const Catalog& all() const { return all_; }

 private:
  const Catalog& all_;
};

}  // namespace multinet::api
