// Connections to the runtime's socket.
#pragma once

#include <string>

#include "lib/base/fd.h"
#include "lib/base/result.h"

namespace multinet::agent::cri {

/// InvalidArgument where `endpoint` isn't `unix:///path`, `unix:/path` or `unix:path`, as gRPC has
/// it.
[[nodiscard]] Status checkEndpoint(const std::string& endpoint);

/// Non-blocking. At once or not at all: a unix socket has no handshake that could take time. Else
/// the error of connect(2).
[[nodiscard]] Result<Fd> connectRuntime(const std::string& endpoint);

}  // namespace multinet::agent::cri
