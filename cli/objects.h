// Looking into objects as the server sent them: what isn't there, or is something else, is empty.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace multinet::cli {

/// A string as it is, a number or flag as JSON; empty for anything else.
[[nodiscard]] std::string text(const nlohmann::json& object, const std::string& pointer);
/// Empty where there is no list.
[[nodiscard]] nlohmann::json list(const nlohmann::json& object, const std::string& pointer);
/// Joined by commas, of a member of each item; of the items themselves where `member` is empty.
[[nodiscard]] std::string joined(const nlohmann::json& items, const std::string& member);
/// The condition of that type in a list of them; an empty object where there is none.
[[nodiscard]] nlohmann::json conditionOf(const nlohmann::json& object, const std::string& pointer,
                                         const std::string& type);
/// Nobody reads them; kubectl leaves them out too.
void dropManagedFields(nlohmann::json& object);
[[nodiscard]] std::string nameOf(const nlohmann::json& object);
/// `default/web-0`.
[[nodiscard]] std::string podOf(const nlohmann::json& set);

}  // namespace multinet::cli
