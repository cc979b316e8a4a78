// What somebody may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace multinet::cli {

/// The candidate that takes the fewest changes of letters; empty where none is near.
[[nodiscard]] std::string nearest(std::string_view word,
                                  const std::vector<std::string>& candidates);
/// `: did you mean "networks"?`, or nothing.
[[nodiscard]] std::string didYouMean(std::string_view word,
                                     const std::vector<std::string>& candidates);

}  // namespace multinet::cli
