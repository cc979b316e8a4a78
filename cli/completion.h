// What may come next on the command line.
#pragma once

#include <string>
#include <vector>

#include "cli/verb.h"

namespace multinet::cli {

struct Candidate {
  std::string word;
  std::string says;  // empty: nothing
};

/// What fits the last of `words`, which may be empty. `namesOf` is asked where objects are named.
/// Pure but for it.
using NamesOf = std::function<std::vector<std::string>(Names names, const Arguments& soFar)>;
[[nodiscard]] std::vector<Candidate> complete(const std::vector<std::string>& words,
                                              const NamesOf& namesOf);
/// For the shell's script, also as kubectl calls `kubectl_complete-multinet`: a candidate a line,
/// then `:4`, which keeps the shell from offering files (or `:0`).
[[nodiscard]] int runCompletion(const std::vector<std::string>& words, Streams streams,
                                const Clock& clock);

/// bash, zsh or fish; empty for any other word.
[[nodiscard]] std::string completionScript(std::string_view shell);

}  // namespace multinet::cli
