// Asks the plugin of a kubeconfig who we are (client.authentication.k8s.io, kubectl's protocol).
#pragma once

#include <optional>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "lib/kube/config.h"

namespace multinet::kube {

/// A token, or a certificate with its key, or all three.
struct ExecCredential {
  std::string token;
  std::string certificatePem;
  std::string keyPem;
  std::optional<WallTime> expires;  ///< none: until the server refuses it
};

/// Runs `config.exec`: no shell, nothing to read, none of our descriptors but standard error, our
/// environment with its own additions. Blocks at most `limit`, then ends it with all that it
/// started. No error holds what it wrote, which may be a secret.
/// FailedPrecondition/NoPlugin where there is no such program, Unavailable/PluginFailed otherwise.
[[nodiscard]] Result<ExecCredential> askPlugin(const Config& config, Duration limit);

}  // namespace multinet::kube
