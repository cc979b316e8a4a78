#include "controller/certs/plan.h"

#include <algorithm>

namespace multinet::controller {
namespace {

constexpr auto kCaName = "multinet-webhook-ca";

std::string valueOf(const SecretData& data, const std::string& key) {
  const auto found = data.find(key);
  return found == data.end() ? std::string() : found->second;
}

/// The CAs, as one Secret holds them.
struct Authority {
  tls::KeyPair current;
  std::optional<tls::KeyPair> next;
  std::vector<std::string> previous;

  [[nodiscard]] SecretData data() const {
    SecretData data = {{"ca.crt", current.certificatePem}, {"ca.key", current.keyPem}};
    if (next) {
      data["next.crt"] = next->certificatePem;
      data["next.key"] = next->keyPem;
    }
    std::string old;
    for (const auto& pem : previous) old += pem;
    if (!old.empty()) data["previous.crt"] = old;
    return data;
  }
  /// In a fixed order, so that equal states give equal text.
  [[nodiscard]] std::string bundle() const {
    std::string text = current.certificatePem;
    if (next) text += next->certificatePem;
    for (const auto& pem : previous) text += pem;
    return text;
  }
};

/// One that begins later was made while the clock was ahead: nobody takes what it signed.
bool validCa(const tls::KeyPair& pair, WallTime now) {
  if (!tls::checkPair(pair).has_value()) return false;
  const auto info = tls::parseCertificate(pair.certificatePem);
  return info.has_value() && info->isCa && info->notBefore <= now && info->notAfter > now;
}

/// Certificates of a bundle that still are valid CAs.
std::vector<std::string> validCas(const std::string& bundle, WallTime now) {
  std::vector<std::string> valid;
  const auto all = tls::splitBundle(bundle);
  if (!all.has_value()) return valid;
  for (const auto& pem : *all) {
    const auto info = tls::parseCertificate(pem);
    if (info.has_value() && info->isCa && info->notAfter > now) valid.push_back(pem);
  }
  return valid;
}

std::optional<Authority> parseAuthority(const SecretData& data, WallTime now) {
  Authority authority;
  authority.current = {valueOf(data, "ca.crt"), valueOf(data, "ca.key")};
  if (!validCa(authority.current, now)) return std::nullopt;
  const tls::KeyPair next = {valueOf(data, "next.crt"), valueOf(data, "next.key")};
  if (validCa(next, now)) authority.next = next;
  authority.previous = validCas(valueOf(data, "previous.crt"), now);
  return authority;
}

Result<tls::KeyPair> newCa(WallTime now) {
  return tls::makeCa({kCaName, kCaLifetime}, now);
}

/// A first CA. What the webhook serves now stays trusted until it serves something newer.
Result<CertificatePlan> beginAuthority(const CertificateObservation& observed, WallTime now) {
  Authority authority;
  MULTINET_TRY(authority.current, newCa(now));
  if (observed.serving) authority.previous = validCas(valueOf(*observed.serving, "ca.crt"), now);
  CertificatePlan plan;
  plan.authority = authority.data();
  plan.why = observed.authority ? "the CA can't be read, has ended or begins later: made another"
                                : "there is no CA yet: made one";
  return plan;
}

std::vector<std::string> stale(const CertificateObservation& observed, const std::string& bundle) {
  std::vector<std::string> names;
  for (const auto& [name, bundles] : observed.bundles) {
    const bool same = std::ranges::all_of(bundles, [&](const auto& one) { return one == bundle; });
    if (!same) names.push_back(name);
  }
  return names;
}

/// What the CA needs next; nothing where it needs nothing.
Result<std::optional<CertificatePlan>> renewAuthority(const CertificateObservation& observed,
                                                      Authority authority, WallTime now) {
  CertificatePlan plan;
  MULTINET_TRY(const auto current, tls::parseCertificate(authority.current.certificatePem));
  if (!authority.next && current.notAfter - now < kCaRenewBefore) {
    MULTINET_TRY(authority.next, newCa(now));
    plan.why = "the CA ends soon: made its successor";
  } else if (authority.next) {
    MULTINET_TRY(const auto next, tls::parseCertificate(authority.next->certificatePem));
    // lib/tls dates a CA's beginning back by an hour.
    const bool settled = now - next.notBefore >= kSettle + std::chrono::hours(1);
    if (settled && stale(observed, authority.bundle()).empty()) {
      authority.previous.push_back(authority.current.certificatePem);
      authority.current = *authority.next;
      authority.next.reset();
      plan.why = "the successor is trusted everywhere: it signs from now on";
    }
  }
  // Written also where a previous CA has ended: parseAuthority has dropped it.
  if (authority.data() == *observed.authority) return std::nullopt;
  if (plan.why.empty()) plan.why = "a previous CA has ended: dropped it";
  plan.authority = authority.data();
  return plan;
}

/// Why the pair that is served won't do; nothing where it will.
std::optional<std::string> servingFault(const CertificateObservation& observed,
                                        const Authority& authority, WallTime now) {
  if (!observed.serving) return "there is no certificate yet";
  const tls::KeyPair pair = {valueOf(*observed.serving, "tls.crt"),
                             valueOf(*observed.serving, "tls.key")};
  if (!tls::checkPair(pair).has_value()) return "the certificate can't be read";
  if (!tls::checkSignedBy(pair.certificatePem, authority.current.certificatePem, now).has_value()) {
    return "the certificate isn't the present CA's or has ended";
  }
  const auto info = tls::parseCertificate(pair.certificatePem);
  if (!info.has_value()) return "the certificate can't be read";
  if (info->notAfter - now < kLeafRenewBefore) return "the certificate ends soon";
  for (const auto& name : observed.dnsNames) {
    if (std::ranges::find(info->dnsNames, name) == info->dnsNames.end()) {
      return "the certificate lacks the name " + name;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<CertificatePlan> planCertificates(const CertificateObservation& observed, WallTime now) {
  const auto authority =
      observed.authority ? parseAuthority(*observed.authority, now) : std::nullopt;
  if (!authority) return beginAuthority(observed, now);
  MULTINET_TRY(auto renewal, renewAuthority(observed, *authority, now));
  if (renewal) return *renewal;

  CertificatePlan plan;
  plan.bundle = authority->bundle();
  plan.configurations = stale(observed, plan.bundle);
  if (!observed.serving && !observed.missing.empty()) {
    plan.waitsFor = observed.missing.front();
  } else if (const auto fault = servingFault(observed, *authority, now)) {
    MULTINET_TRY(const auto leaf,
                 tls::signLeaf(authority->current,
                               {.commonName = observed.dnsNames.empty() ? "multinet-webhook"
                                                                        : observed.dnsNames.front(),
                                .dnsNames = observed.dnsNames,
                                .lifetime = kLeafLifetime},
                               now));
    plan.serving = SecretData{
        {"ca.crt", plan.bundle}, {"tls.crt", leaf.certificatePem}, {"tls.key", leaf.keyPem}};
    plan.why = *fault + ": signed one";
  } else if (valueOf(*observed.serving, "ca.crt") != plan.bundle) {
    plan.serving = *observed.serving;
    (*plan.serving)["ca.crt"] = plan.bundle;
    plan.why = "the bundle changed";
  }
  return plan;
}

}  // namespace multinet::controller
