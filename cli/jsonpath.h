// The template language of `-o jsonpath=`, as far as kubectl's users use it:
// `{.items[*].metadata.name}`, `{range .items[*]}{.metadata.name}{"\n"}{end}`,
// `{.items[?(@.spec.type=="VXLAN")].status.vni}`, `['key.with/dots']`, `[0]`, `[-1]`, `..name`.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace multinet::cli {

/// What several matches are is separated by spaces; what isn't there is nothing. InvalidArgument
/// names the place that can't be read.
[[nodiscard]] Result<std::string> runJsonPath(std::string_view tmpl, const nlohmann::json& object);

}  // namespace multinet::cli
