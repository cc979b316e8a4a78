#include "lib/k8s/merge_patch.h"

namespace multinet::k8s {

nlohmann::json mergePatch(const nlohmann::json& before, const nlohmann::json& after) {
  nlohmann::json patch = nlohmann::json::object();
  for (const auto& [key, value] : before.items()) {
    if (!after.contains(key)) patch[key] = nullptr;
  }
  for (const auto& [key, value] : after.items()) {
    const auto standing = before.find(key);
    if (standing == before.end()) {
      patch[key] = value;
    } else if (*standing != value) {
      patch[key] =
          standing->is_object() && value.is_object() ? mergePatch(*standing, value) : value;
    }
  }
  return patch;
}

}  // namespace multinet::k8s
