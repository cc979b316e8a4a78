// Carries out planCertificates against the API server, one step after the other.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/certs/plan.h"
#include "lib/base/clock.h"

namespace multinet::controller {

inline constexpr auto kAuthoritySecret = "multinet-webhook-ca";
inline constexpr auto kServingSecret = "multinet-webhook-tls";
inline constexpr auto kMutateConfiguration = "multinet-mutate";
inline constexpr auto kValidateConfiguration = "multinet-validate";

/// A Secret with the version that a write must still find.
struct VersionedSecret {
  SecretData data;
  std::string resourceVersion;
};

/// The caBundle (PEM) of each webhook of a configuration, with its version.
struct VersionedBundles {
  std::vector<std::string> bundles;
  std::string resourceVersion;
};

/// The few objects that certificates live in. Every call blocks, with a deadline of its own.
class CertificateDoor {
 public:
  virtual ~CertificateDoor() = default;
  /// Absent: there is no such Secret.
  [[nodiscard]] virtual Result<std::optional<VersionedSecret>> readSecret(
      const std::string& name) = 0;
  /// AlreadyExists where another leader was first.
  [[nodiscard]] virtual Status createSecret(const std::string& name, const SecretData& data) = 0;
  /// Aborted where it changed meanwhile.
  [[nodiscard]] virtual Status replaceSecret(const std::string& name,
                                             const VersionedSecret& secret) = 0;
  /// Absent: there is no such configuration.
  [[nodiscard]] virtual Result<std::optional<VersionedBundles>> readBundles(
      const std::string& configuration) = 0;
  /// Into each of its webhooks. Aborted where the configuration isn't of that version any more: who
  /// was held up since the look may undo a rotation.
  [[nodiscard]] virtual Status writeBundle(const std::string& configuration,
                                           const std::string& bundle,
                                           const std::string& resourceVersion) = 0;
};

/// What a look at the certificates found, or has made.
struct Kept {
  bool wrote = false;
  std::optional<WallTime> authorityEnds;
  std::optional<WallTime> servingEnds;
};

/// Steps until nothing is left to do; asks `mayWrite` before each. A leader that lost a race gets
/// Aborted or AlreadyExists, and reads the winner's state the next time; one that may write no more
/// gets Aborted/NotLeading.
[[nodiscard]] Result<Kept> keepCertificates(CertificateDoor& door,
                                            const std::vector<std::string>& dnsNames,
                                            const Clock& clock,
                                            const std::function<bool()>& mayWrite);

}  // namespace multinet::controller
