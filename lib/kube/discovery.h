// What this API server has.
#pragma once

#include <string>

#include "lib/kube/client.h"

namespace multinet::kube {

struct ServerVersion {
  int major = 0;
  int minor = 0;
};
[[nodiscard]] Result<ServerVersion> serverVersion(Client& client);
inline constexpr const char* kServerTooOld = "ServerTooOld";
/// FailedPrecondition/ServerTooOld where the server is older; `why` says what it lacks. Where it
/// doesn't say its version, the error of the call.
[[nodiscard]] Status requireServer(Client& client, const ServerVersion& least,
                                   const std::string& why);

}  // namespace multinet::kube
