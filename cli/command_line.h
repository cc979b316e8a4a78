// What was typed, taken apart by the table of verbs. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/verb.h"

namespace multinet::cli {

struct CommandLine {
  const Verb* verb = nullptr;  // nullptr: nothing was asked for but help
  Arguments arguments;
};

/// Flags may stand anywhere, also before the verb; after `--` no word is a flag. InvalidArgument:
/// one sentence with the nearest right word.
[[nodiscard]] Result<CommandLine> parseCommandLine(const std::vector<std::string>& words);

/// The verb's own flags, then the common ones.
[[nodiscard]] std::vector<Flag> flagsOf(const Verb& verb);

/// `10s`, `500ms`, `2m`, `1h`; a bare number is seconds.
[[nodiscard]] Result<Duration> parseTimeout(std::string_view text);

}  // namespace multinet::cli
