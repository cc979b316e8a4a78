// Which Node object is this node's.
#pragma once

#include <string>

#include "lib/base/result.h"

namespace multinet::agent {

/// `told` by the command line or the environment; without, the host's name in lower case, as the
/// kubelet has it. InvalidArgument/BadNodeName: no Node can be called so.
[[nodiscard]] Result<std::string> nodeNameOf(const std::string& told);

}  // namespace multinet::agent
