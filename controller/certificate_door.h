// CertificateDoor over the API server. Only the two Secrets by name are ever asked for.
#pragma once

#include <string>

#include "controller/certs/keeper.h"
#include "lib/kube/client.h"

namespace multinet::controller {

class KubeCertificateDoor final : public CertificateDoor {
 public:
  KubeCertificateDoor(kube::Client& client, std::string nameSpace)
      : client_(client), nameSpace_(std::move(nameSpace)) {}

  [[nodiscard]] Result<std::optional<VersionedSecret>> readSecret(const std::string& name) override;
  [[nodiscard]] Status createSecret(const std::string& name, const SecretData& data) override;
  [[nodiscard]] Status replaceSecret(const std::string& name,
                                     const VersionedSecret& secret) override;
  [[nodiscard]] Result<std::optional<VersionedBundles>> readBundles(
      const std::string& configuration) override;
  [[nodiscard]] Status writeBundle(const std::string& configuration, const std::string& bundle,
                                   const std::string& resourceVersion) override;

 private:
  [[nodiscard]] Result<std::optional<nlohmann::json>> read(const kube::Kind& kind,
                                                           const kube::ObjectKey& key);

  kube::Client& client_;
  std::string nameSpace_;
};

}  // namespace multinet::controller
