// What a request asks of an API server, and the answer of a store to it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "test/support/object_store.h"

namespace multinet::testing {

/// A request taken apart.
struct Ask {
  std::string method;
  std::string target;
  ResourcePath path;
  std::map<std::string, std::string> query;
  Json body;  ///< discarded where it is no JSON
  std::string contentType;

  [[nodiscard]] static Ask parse(std::string method, std::string target, std::string_view body,
                                 std::string contentType);
  /// Of the query; empty where it is missing.
  [[nodiscard]] std::string at(const std::string& key) const;
  [[nodiscard]] std::uint64_t number(const std::string& key) const;
};

/// All but watches.
[[nodiscard]] StoreAnswer execute(ObjectStore& store, const Ask& ask);

}  // namespace multinet::testing
