// What this API server has.
#pragma once

#include <set>
#include <string>

#include "lib/kube/client.h"

namespace multinet::kube {

struct ServerVersion {
  int major = 0;
  int minor = 0;
};
[[nodiscard]] Result<ServerVersion> serverVersion(Client& client);

/// True if the server serves this kind at this version. NotFound of the group is false, no error.
[[nodiscard]] Result<bool> serves(Client& client, const Kind& kind);

}  // namespace multinet::kube
