#include "lib/k8s/describe.h"

#include <algorithm>
#include <limits>

namespace multinet::k8s {

const Fields* Fields::find(std::string_view field) const {
  const auto found = std::ranges::find(inside, field, &Fields::name);
  return found == inside.end() ? nullptr : &*found;
}

namespace detail {

std::string Path::str() const {
  if (up == nullptr) return "";
  const std::string before = up->str();
  if (name.empty()) return before + "[" + std::to_string(index) + "]";
  return before.empty() ? std::string(name) : before + "." + std::string(name);
}

void Failure::note(const Path& path, const std::string& detail) {
  if (error) return;
  const std::string where = path.str();
  error = Error{Code::InvalidArgument, "InvalidField",
                (where.empty() ? "object" : where) + ": " + detail};
}

std::string_view typeName(simdjson::dom::element element) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::ARRAY:
      return "a list";
    case element_type::OBJECT:
      return "an object";
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE:
      return "a number";
    case element_type::STRING:
      return "a string";
    case element_type::BOOL:
      return "a boolean";
    case element_type::NULL_VALUE:
      return "null";
  }
  return "unknown";
}

void read(simdjson::dom::element element, std::string& out, const Path& path, Failure& failure) {
  std::string_view text;
  if (element.get(text) != simdjson::SUCCESS) {
    return failure.note(path, "must be a string, is " + std::string(typeName(element)));
  }
  out = text;
}

void read(simdjson::dom::element element, bool& out, const Path& path, Failure& failure) {
  if (element.get(out) != simdjson::SUCCESS) {
    failure.note(path, "must be true or false, is " + std::string(typeName(element)));
  }
}

void read(simdjson::dom::element element, WallTime& out, const Path& path, Failure& failure) {
  std::string text;
  read(element, text, path, failure);
  const auto time = parseTime(text);
  if (time) {
    out = *time;
  } else {
    failure.note(path, "is \"" + text + "\", must be a time such as 2026-09-01T12:00:00Z");
  }
}

void read(simdjson::dom::element element, IntOrString& out, const Path& path, Failure& failure) {
  out = {};
  if (element.is_string()) return read(element, out.name, path, failure);
  using Limits = std::numeric_limits<std::int32_t>;
  const auto number = readInteger(element, Limits::min(), Limits::max(), path, failure);
  if (number) out.number = static_cast<std::int32_t>(*number);
}

bool passes(simdjson::dom::element item,
            const std::pair<std::string_view, std::string_view>& only) {
  if (only.first.empty()) return true;
  std::string_view word;
  if (item[only.first].get(word) != simdjson::SUCCESS) return false;
  std::string_view rest = only.second;
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find('|'));
    if (word == one) return true;
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
  }
  return false;
}

void read(simdjson::dom::element element, StringMap& out, const Path& path, Failure& failure,
          const Fields* keys) {
  simdjson::dom::object object;
  if (element.get(object) != simdjson::SUCCESS) {
    return failure.note(path, "must be an object, is " + std::string(typeName(element)));
  }
  out.clear();
  for (const auto [key, value] : object) {
    if (keys != nullptr && keys->find(key) == nullptr) continue;
    read(value, out[std::string(key)], {&path, key, 0}, failure);
  }
}

std::optional<std::int64_t> readInteger(simdjson::dom::element element, std::int64_t low,
                                        std::int64_t high, const Path& path, Failure& failure) {
  std::int64_t number = 0;
  if (element.get(number) == simdjson::SUCCESS && number >= low && number <= high) return number;
  const bool numeric = element.is_number();
  failure.note(path, "must be a whole number from " + std::to_string(low) + " to " +
                         std::to_string(high) + (numeric ? "" : ", is ") +
                         (numeric ? "" : std::string(typeName(element))));
  return std::nullopt;
}

}  // namespace detail
}  // namespace multinet::k8s
