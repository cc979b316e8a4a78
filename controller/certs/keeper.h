// Carries out planCertificates against the API server, one step after the other.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controller/certs/certificate_store.h"
#include "lib/base/clock.h"

namespace multinet::controller {

inline constexpr auto kAuthoritySecret = "multinet-webhook-ca";
inline constexpr auto kServingSecret = "multinet-webhook-tls";

/// What a look at the certificates found, or has made.
struct Kept {
  bool wrote = false;
  std::string waitsFor{};  ///< a configuration without which there is no certificate yet
  std::optional<WallTime> authorityEnds;
  std::optional<WallTime> servingEnds;
};

/// Steps until nothing is left to do; asks `mayWrite` before each. A leader that lost a race gets
/// Aborted or AlreadyExists, and reads the winner's state the next time; one that may write no more
/// gets Aborted/NotLeading.
[[nodiscard]] Result<Kept> keepCertificates(CertificateStore& store,
                                            const std::vector<std::string>& dnsNames,
                                            const Clock& clock,
                                            const std::function<bool()>& mayWrite);

}  // namespace multinet::controller
