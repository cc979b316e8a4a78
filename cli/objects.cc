#include "cli/objects.h"

namespace multinet::cli {

using nlohmann::json;

namespace {

const json* at(const json& object, const std::string& pointer) {
  const json::json_pointer where(pointer);
  return object.contains(where) ? &object.at(where) : nullptr;
}

}  // namespace

std::string text(const json& object, const std::string& pointer) {
  const auto* found = at(object, pointer);
  if (found == nullptr) return {};
  if (found->is_string()) return found->get<std::string>();
  return found->is_number() || found->is_boolean() ? found->dump() : std::string();
}

json list(const json& object, const std::string& pointer) {
  const auto* found = at(object, pointer);
  return found != nullptr && found->is_array() ? *found : json::array();
}

std::string joined(const json& items, const std::string& member) {
  std::string out;
  for (const auto& item : items) {
    const auto one = member.empty() ? text(json{{"x", item}}, "/x") : text(item, member);
    if (one.empty()) continue;
    out += (out.empty() ? "" : ",") + one;
  }
  return out;
}

json conditionOf(const json& object, const std::string& pointer, const std::string& type) {
  for (const auto& condition : list(object, pointer)) {
    if (text(condition, "/type") == type) return condition;
  }
  return json::object();
}

void dropManagedFields(json& object) {
  if (object.contains("metadata")) object["metadata"].erase("managedFields");
}

std::string nameOf(const json& object) {
  return text(object, "/metadata/name");
}

std::string podOf(const json& set) {
  return text(set, "/metadata/namespace") + "/" + text(set, "/pod/name");
}

}  // namespace multinet::cli
