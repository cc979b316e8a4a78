// A view of plain maps, for tests.
#pragma once

#include "lib/api/fake_catalog.h"
#include "webhook/admission/view.h"

namespace multinet::webhook {

class FakeView final : public View {
 public:
  [[nodiscard]] std::optional<api::PodNetwork> network(std::string_view name) const override {
    return catalog.network(name);
  }
  [[nodiscard]] std::optional<api::PodNetworkAttachment> attachment(
      std::string_view namespaceName, std::string_view name) const override {
    return catalog.attachment(namespaceName, name);
  }
  [[nodiscard]] std::optional<k8s::StringMap> namespaceLabels(
      std::string_view name) const override {
    return catalog.namespaceLabels(name);
  }
  [[nodiscard]] std::vector<api::PodNetworkAttachment> selecting(
      std::string_view namespaceName) const override {
    std::vector<api::PodNetworkAttachment> all;
    for (const auto& [key, attachment] : catalog.attachments) {
      if (key.first != namespaceName || !attachment.spec.podSelector->has_value()) continue;
      all.push_back(attachment);
    }
    return all;
  }
  [[nodiscard]] std::vector<api::PodNetwork> networks() const override {
    std::vector<api::PodNetwork> all;
    for (const auto& [name, network] : catalog.networks) all.push_back(network);
    return all;
  }
  [[nodiscard]] std::optional<std::vector<api::ClusterRange>> clusterRanges() const override {
    return ranges;
  }

  api::FakeCatalog catalog;
  std::optional<std::vector<api::ClusterRange>> ranges = std::vector<api::ClusterRange>();
};

}  // namespace multinet::webhook
