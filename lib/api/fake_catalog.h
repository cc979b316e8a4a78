// A catalog of plain maps, for tests.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "lib/api/catalog.h"

namespace multinet::api {

class FakeCatalog final : public Catalog {
 public:
  [[nodiscard]] std::optional<PodNetwork> network(std::string_view name) const override {
    return lookUp(networks, std::string(name));
  }
  [[nodiscard]] std::optional<PodNetworkAttachment> attachment(
      std::string_view namespaceName, std::string_view name) const override {
    return lookUp(attachments, std::pair(std::string(namespaceName), std::string(name)));
  }
  [[nodiscard]] std::optional<k8s::StringMap> namespaceLabels(
      std::string_view name) const override {
    return lookUp(namespaces, std::string(name));
  }

  std::map<std::string, PodNetwork> networks;
  std::map<std::pair<std::string, std::string>, PodNetworkAttachment> attachments;
  std::map<std::string, k8s::StringMap> namespaces;

 private:
  template <class Key, class Value>
  static std::optional<Value> lookUp(const std::map<Key, Value>& map, const Key& key) {
    const auto found = map.find(key);
    return found == map.end() ? std::nullopt : std::optional<Value>(found->second);
  }
};

}  // namespace multinet::api
