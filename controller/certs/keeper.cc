#include "controller/certs/keeper.h"

#include "lib/base/log.h"

namespace multinet::controller {
namespace {

/// From nothing: CA, certificate and bundles; in a rotation one more. Beyond it somebody undoes us.
constexpr int kMaxSteps = 6;

struct Seen {
  CertificateObservation observation;
  std::optional<VersionedSecret> authority;
  std::optional<VersionedSecret> serving;
  std::map<std::string, std::string> versions;  ///< of the configurations
};

Result<Seen> look(CertificateStore& store, const std::vector<std::string>& dnsNames) {
  Seen seen;
  seen.observation.dnsNames = dnsNames;
  MULTINET_TRY(seen.authority, store.readSecret(kAuthoritySecret));
  MULTINET_TRY(seen.serving, store.readSecret(kServingSecret));
  if (seen.authority) seen.observation.authority = seen.authority->data;
  if (seen.serving) seen.observation.serving = seen.serving->data;
  for (const std::string name : {kMutateConfiguration, kValidateConfiguration}) {
    MULTINET_TRY(auto bundles, store.readBundles(name));
    if (!bundles) {
      seen.observation.missing.push_back(name);
      continue;
    }
    seen.observation.bundles[name] = std::move(bundles->bundles);
    seen.versions[name] = std::move(bundles->resourceVersion);
  }
  return seen;
}

Status writeSecret(CertificateStore& store, const std::string& name, const SecretData& data,
                   const std::optional<VersionedSecret>& before) {
  if (!before) return store.createSecret(name, data);
  return store.replaceSecret(name, {data, before->resourceVersion});
}

std::optional<WallTime> endOf(const std::optional<SecretData>& secret, const std::string& key) {
  if (!secret || !secret->contains(key)) return std::nullopt;
  const auto info = tls::parseCertificate(secret->at(key));
  return info ? std::optional(info->notAfter) : std::nullopt;
}

Status execute(CertificateStore& store, const Seen& seen, const CertificatePlan& plan) {
  if (!plan.why.empty()) log::info("certificates change", {{"why", plan.why}});
  if (plan.authority) return writeSecret(store, kAuthoritySecret, *plan.authority, seen.authority);
  // Trust before use: the bundles come before the certificate that needs them.
  for (const auto& name : plan.configurations) {
    MULTINET_CHECK(store.writeBundle(name, plan.bundle, seen.versions.at(name)));
  }
  if (plan.serving) return writeSecret(store, kServingSecret, *plan.serving, seen.serving);
  return {};
}

}  // namespace

Result<Kept> keepCertificates(CertificateStore& store, const std::vector<std::string>& dnsNames,
                              const Clock& clock, const std::function<bool()>& mayWrite) {
  for (int step = 0; step < kMaxSteps; ++step) {
    MULTINET_TRY(const auto seen, look(store, dnsNames));
    MULTINET_TRY(const auto plan, planCertificates(seen.observation, clock.wall()));
    if (plan.converged()) {
      return Kept{step > 0, plan.waitsFor, endOf(seen.observation.authority, "ca.crt"),
                  endOf(seen.observation.serving, "tls.crt")};
    }
    if (!mayWrite()) {
      return fail(Code::Aborted, "NotLeading", "keep certificates: another replica leads by now");
    }
    MULTINET_CHECK(execute(store, seen, plan));
  }
  return fail(Code::Aborted, "NotConverging",
              "keep certificates: still not settled after " + std::to_string(kMaxSteps) +
                  " steps: somebody else writes the same Secrets or configurations");
}

}  // namespace multinet::controller
