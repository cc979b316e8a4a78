// The few objects that the webhook's certificates live in. Only two Secrets, by name, are ever
// asked for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/certs/plan.h"
#include "lib/kube/client.h"

namespace multinet::controller {

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

/// Every call blocks, at most for the client's deadline. For one thread.
class CertificateStore {
 public:
  /// `client` outlives it; the Secrets are in `nameSpace`.
  CertificateStore(kube::Client& client, std::string nameSpace)
      : client_(client), nameSpace_(std::move(nameSpace)) {}

  /// Absent: there is no such Secret.
  [[nodiscard]] Result<std::optional<VersionedSecret>> readSecret(const std::string& name);
  /// AlreadyExists where another leader was first.
  [[nodiscard]] Status createSecret(const std::string& name, const SecretData& data);
  /// Aborted where it changed meanwhile.
  [[nodiscard]] Status replaceSecret(const std::string& name, const VersionedSecret& secret);
  /// Absent: there is no such configuration.
  [[nodiscard]] Result<std::optional<VersionedBundles>> readBundles(
      const std::string& configuration);
  /// Into each of its webhooks. Aborted where the configuration isn't of that version any more: who
  /// was held up since the look may undo a rotation.
  [[nodiscard]] Status writeBundle(const std::string& configuration, const std::string& bundle,
                                   const std::string& resourceVersion);

 private:
  [[nodiscard]] Result<std::optional<nlohmann::json>> read(const kube::Kind& kind,
                                                           const kube::ObjectKey& key);

  kube::Client& client_;
  const std::string nameSpace_;
};

}  // namespace multinet::controller
