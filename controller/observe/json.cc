#include "controller/observe/json.h"

namespace multinet::controller::json {
namespace {

ConditionWish::Status statusOf(const std::string& text) {
  if (text == "True") return ConditionWish::Status::True;
  if (text == "False") return ConditionWish::Status::False;
  return ConditionWish::Status::Unknown;
}

}  // namespace

std::optional<Element> at(const Element& object, std::string_view pointer) {
  Element found;
  if (object.at_pointer(pointer).get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

std::string text(const Element& object, std::string_view pointer) {
  std::string_view found;
  if (object.at_pointer(pointer).get(found) != simdjson::SUCCESS) return {};
  return std::string(found);
}

std::optional<std::int64_t> number(const Element& object, std::string_view pointer) {
  std::int64_t found = 0;
  if (object.at_pointer(pointer).get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

std::optional<bool> flag(const Element& object, std::string_view pointer) {
  bool found = false;
  if (object.at_pointer(pointer).get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

std::vector<Element> list(const Element& object, std::string_view pointer) {
  simdjson::dom::array found;
  if (object.at_pointer(pointer).get(found) != simdjson::SUCCESS) return {};
  std::vector<Element> items;
  for (const auto item : found) items.push_back(item);
  return items;
}

std::optional<WallTime> time(const Element& object, std::string_view pointer) {
  const auto written = text(object, pointer);
  if (written.empty()) return std::nullopt;
  const auto parsed = parseTime(written);
  return parsed.has_value() ? std::optional(*parsed) : std::nullopt;
}

Result<Meta> meta(const Element& object) {
  Meta meta;
  meta.namespaceName = text(object, "/metadata/namespace");
  meta.name = text(object, "/metadata/name");
  meta.uid = text(object, "/metadata/uid");
  if (meta.name.empty() || meta.uid.empty()) {
    return fail(Code::InvalidArgument, "Incomplete",
                "read object \"" + meta.name + "\": metadata.name and metadata.uid are required");
  }
  meta.resourceVersion = text(object, "/metadata/resourceVersion");
  meta.generation = number(object, "/metadata/generation").value_or(0);
  meta.created = time(object, "/metadata/creationTimestamp").value_or(WallTime());
  meta.deleted = time(object, "/metadata/deletionTimestamp");
  for (const auto& item : list(object, "/metadata/finalizers")) {
    std::string_view name;
    if (item.get(name) == simdjson::SUCCESS) meta.finalizers.emplace_back(name);
  }
  return meta;
}

std::vector<StandingCondition> conditions(const Element& object, std::string_view pointer) {
  std::vector<StandingCondition> found;
  for (const auto& item : list(object, pointer)) {
    StandingCondition condition;
    condition.wish = {text(item, "/type"), statusOf(text(item, "/status")), text(item, "/reason"),
                      text(item, "/message")};
    condition.since = time(item, "/lastTransitionTime").value_or(WallTime());
    condition.observedGeneration = number(item, "/observedGeneration").value_or(0);
    found.push_back(std::move(condition));
  }
  return found;
}

}  // namespace multinet::controller::json
