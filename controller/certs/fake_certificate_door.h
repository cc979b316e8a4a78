// The objects of CertificateDoor in memory, with versions.
#pragma once

#include <functional>

#include "controller/certs/keeper.h"

namespace multinet::controller {

class FakeCertificateDoor final : public CertificateDoor {
 public:
  Result<std::optional<VersionedSecret>> readSecret(const std::string& name) override {
    const auto found = secrets.find(name);
    if (found == secrets.end()) return std::nullopt;
    return found->second;
  }
  Status createSecret(const std::string& name, const SecretData& data) override {
    if (beforeWrite) beforeWrite();
    if (secrets.contains(name)) return fail(Code::AlreadyExists, "AlreadyExists", "create " + name);
    secrets[name] = {data, std::to_string(++revision)};
    log.push_back("create " + name);
    return {};
  }
  Status replaceSecret(const std::string& name, const VersionedSecret& secret) override {
    if (beforeWrite) beforeWrite();
    if (secrets[name].resourceVersion != secret.resourceVersion) {
      return fail(Code::Aborted, "Conflict", "replace " + name);
    }
    secrets[name] = {secret.data, std::to_string(++revision)};
    log.push_back("replace " + name);
    return {};
  }
  Result<std::optional<VersionedBundles>> readBundles(const std::string& name) override {
    const auto found = bundles.find(name);
    if (found == bundles.end()) return std::nullopt;
    return VersionedBundles{found->second, std::to_string(versions[name])};
  }
  Status writeBundle(const std::string& name, const std::string& bundle,
                     const std::string& resourceVersion) override {
    if (beforeWrite) beforeWrite();
    if (std::to_string(versions[name]) != resourceVersion) {
      return fail(Code::Aborted, "Conflict", "patch " + name);
    }
    ++versions[name];
    for (auto& one : bundles[name]) one = bundle;
    log.push_back("bundle " + name);
    return {};
  }

  std::map<std::string, VersionedSecret> secrets;
  std::map<std::string, std::vector<std::string>> bundles;
  std::map<std::string, int> versions;  ///< of the configurations
  std::function<void()> beforeWrite;    // what another leader does just before
  std::vector<std::string> log;
  int revision = 0;
};

}  // namespace multinet::controller
