// Help and manual page, made of the table of verbs. Pure.
#pragma once

#include <string>

#include "cli/verb.h"

namespace multinet::cli {

[[nodiscard]] std::string helpOfAll();
[[nodiscard]] std::string helpOf(const Verb& verb);
/// In the words of man(7).
[[nodiscard]] std::string manualPage();

}  // namespace multinet::cli
