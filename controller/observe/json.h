// Reading a few fields out of an object that somebody else's schema describes: what is absent or of
// another type reads as empty. Rules are lib/api's; here nothing is judged.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/model/model.h"

namespace multinet::controller::json {

using Element = simdjson::dom::element;

/// The member at a JSON pointer, `/spec/vxlan/vni`.
[[nodiscard]] std::optional<Element> at(const Element& object, std::string_view pointer);
[[nodiscard]] std::string text(const Element& object, std::string_view pointer);
[[nodiscard]] std::optional<std::int64_t> number(const Element& object, std::string_view pointer);
[[nodiscard]] std::optional<bool> flag(const Element& object, std::string_view pointer);
/// The list at a pointer; empty where there is none.
[[nodiscard]] std::vector<Element> list(const Element& object, std::string_view pointer);
[[nodiscard]] std::optional<WallTime> time(const Element& object, std::string_view pointer);

/// Name and UID are required: InvalidArgument names what is missing.
[[nodiscard]] Result<Meta> meta(const Element& object);
/// `status.conditions`.
[[nodiscard]] std::vector<StandingCondition> conditions(const Element& object,
                                                        std::string_view pointer);

}  // namespace multinet::controller::json
