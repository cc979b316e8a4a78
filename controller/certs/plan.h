// The webhook's certificate: made at the first start, renewed before it ends, its CA replaced
// without a moment in which the API server trusts the wrong one.
//
// All state is in two Secrets, so that any leader goes on where another stopped, and each pass does
// one step and looks again:
//   multinet-webhook-ca   ca.crt ca.key  the CA that signs
//                         next.crt next.key  its successor, already trusted, not signing yet
//                         previous.crt  CAs that still are trusted, until they end
//   multinet-webhook-tls  tls.crt tls.key  what the webhook serves; ca.crt  the bundle
// Rotation: make the successor -> have it in every caBundle for kSettle -> let it sign. Times are
// read from the certificates themselves.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "lib/tls/certificate.h"

namespace multinet::controller {

inline constexpr Duration kCaLifetime = std::chrono::hours(24 * 365);
inline constexpr Duration kCaRenewBefore = std::chrono::hours(24 * 120);
inline constexpr Duration kLeafLifetime = std::chrono::hours(24 * 90);
inline constexpr Duration kLeafRenewBefore = std::chrono::hours(24 * 30);
/// How long a successor is trusted before it signs.
inline constexpr Duration kSettle = std::chrono::hours(1);

/// A Secret's data, decoded from base64.
using SecretData = std::map<std::string, std::string>;

struct CertificateObservation {
  std::optional<SecretData> authority;  // absent: there is no such Secret
  std::optional<SecretData> serving;
  /// Configuration name -> the caBundle of each of its webhooks, as PEM.
  std::map<std::string, std::vector<std::string>> bundles;
  std::vector<std::string> missing;   // configurations that aren't there
  std::vector<std::string> dnsNames;  // that the API server calls the webhook by
};

/// One step. With none of them set the certificates are as they should be.
struct CertificatePlan {
  std::optional<SecretData> authority;  // write it, then look again
  std::optional<SecretData> serving;
  std::vector<std::string> configurations;  // whose caBundle is to be `bundle`
  std::string bundle;
  /// A configuration that isn't there yet: the first certificate waits for it, and so does whoever
  /// waits for the webhook to be ready. Else the API server would call what it can't trust yet.
  std::string waitsFor;
  std::string why;
  [[nodiscard]] bool converged() const { return !authority && !serving && configurations.empty(); }
};

/// Decides the next step; makes keys, does no I/O. What can't be read is made anew: `why` says so.
[[nodiscard]] Result<CertificatePlan> planCertificates(const CertificateObservation& observed,
                                                       WallTime now);

}  // namespace multinet::controller
