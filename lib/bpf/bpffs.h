// A bpffs of one's own, in which maps and links outlive the process that made them.
#pragma once

#include <string>

#include "lib/base/result.h"

namespace multinet::bpf {

/// Has a bpffs at that directory, which is made where it is missing. What another process pinned
/// there is there again: that mount is taken as it is.
[[nodiscard]] Status mountBpffs(const std::string& directory);

/// Keeps the map or link that is kept at `from` also at `to`, so that it outlives that place.
/// Nothing at `from`, or something at `to`, is success.
[[nodiscard]] Status keepAlso(const std::string& from, const std::string& to);

/// Takes it away with all that is pinned in it: links are detached, maps end with their last user.
/// Nothing there is success.
[[nodiscard]] Status forgetBpffs(const std::string& directory);

}  // namespace multinet::bpf
