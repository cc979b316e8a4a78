// The program but for its process: words in, words and an exit code out.
#pragma once

#include <string>
#include <vector>

#include "cli/call.h"

namespace multinet::cli {

/// `words` without the program's own name. Never throws.
[[nodiscard]] int run(const std::vector<std::string>& words, Streams streams, const Clock& clock,
                      const Call::Rest& rest);

}  // namespace multinet::cli
