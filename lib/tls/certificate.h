// Certificates as PEM text: make a CA, sign with it, read one, check that a pair fits.
//
// Keys are EC P-256: signing costs 0.05 ms where RSA costs 1 ms and making one costs nothing.
// Everything here is pure (OpenSSL's random numbers aside) and thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/result.h"

namespace multinet::tls {

/// A certificate (first of a chain, where there is one) and its private key, both PEM.
struct KeyPair {
  std::string certificatePem;
  std::string keyPem;
};

/// What a certificate says of itself.
struct CertificateInfo {
  std::string subject;  ///< RFC 2253, for example `CN=multinet-webhook`
  std::string issuer;
  WallTime notBefore;
  WallTime notAfter;
  std::vector<std::string> dnsNames;
  std::vector<std::string> ipAddresses;
  bool isCa = false;
};

struct CaRequest {
  std::string commonName;
  Duration lifetime = std::chrono::hours(24 * 365 * 10);
};

/// What a server's or a client's certificate is to say. `ipAddresses` are literals of either
/// family.
struct LeafRequest {
  std::string commonName;
  std::vector<std::string> dnsNames = {};
  std::vector<std::string> ipAddresses = {};
  Duration lifetime = std::chrono::hours(24 * 90);
  std::string usage = "serverAuth";  ///< extended key usage; a client's is `clientAuth`
};

/// A self-signed CA. Valid from an hour before `now`, so that a clock that lags still takes it.
[[nodiscard]] Result<KeyPair> makeCa(const CaRequest& request, WallTime now);

/// A certificate signed by `ca`. It never outlives the CA: its end is cut to the CA's.
/// InvalidArgument: no name at all, or an address that is none.
[[nodiscard]] Result<KeyPair> signLeaf(const KeyPair& ca, const LeafRequest& request, WallTime now);

/// Reads the first certificate of a PEM text.
[[nodiscard]] Result<CertificateInfo> parseCertificate(std::string_view pem);

/// Splits a bundle into single certificates, each re-encoded. Text between them is dropped, as is
/// usual in bundles; a block that doesn't decode is an error.
[[nodiscard]] Result<std::vector<std::string>> splitBundle(std::string_view pem);

/// That the key belongs to the first certificate, and that both can be read.
[[nodiscard]] Status checkPair(const KeyPair& pair);

/// That a certificate of `caBundlePem` signed the first one of `pem`, and that both are valid at
/// `now`. What a Kubernetes API server will check of a webhook, its name aside.
[[nodiscard]] Status checkSignedBy(std::string_view pem, std::string_view caBundlePem,
                                   WallTime now);

}  // namespace multinet::tls
