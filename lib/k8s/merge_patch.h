// JSON merge patches (RFC 7386).
#pragma once

#include <nlohmann/json.hpp>

namespace multinet::k8s {

/// What makes `after` of `before`, both objects: members that differ, null for those that are gone;
/// a list is written whole. An empty object where nothing differs.
[[nodiscard]] nlohmann::json mergePatch(const nlohmann::json& before, const nlohmann::json& after);

}  // namespace multinet::k8s
