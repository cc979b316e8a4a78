// Who we are and whom we trust, read again when the files behind it change. OpenSSL only, no HTTP.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "lib/kube/config.h"

namespace multinet::kube {

/// One reading of all credentials. Immutable; thread-safe.
class Credentials {
 public:
  [[nodiscard]] static Result<std::shared_ptr<const Credentials>> read(const Config& config);
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;
  ~Credentials();

  /// Makes `context` trust the cluster's CA alone (its store is *replaced*: HTTP libraries load the
  /// system's CAs first), present our certificate, and speak TLS 1.2 or later.
  [[nodiscard]] Status apply(SSL_CTX* context) const;
  /// Empty where the certificate says who we are.
  [[nodiscard]] const std::string& token() const { return token_; }
  /// True if a connection made with `other` still shows the same identity and trust.
  [[nodiscard]] bool sameConnection(const Credentials& other) const;

 private:
  Credentials() = default;

  std::string authorityPem_;
  std::string certificatePem_;
  std::string keyPem_;
  std::string token_;
  X509_STORE* store_ = nullptr;
};

/// Gives out the newest credentials. Thread-safe.
class Identity {
 public:
  /// Reads once; what can't be read now is an error.
  [[nodiscard]] static Result<std::unique_ptr<Identity>> make(const Config& config,
                                                              const Clock& clock);
  /// Reads the files again at most once a minute; keeps the last good ones while they are broken.
  [[nodiscard]] std::shared_ptr<const Credentials> current();
  /// The server refused us: the next `current` reads again, at most once a second.
  void refused();

 private:
  Identity(Config config, const Clock& clock, std::shared_ptr<const Credentials> first);

  const Config config_;
  const Clock& clock_;
  std::mutex mutex_;
  std::shared_ptr<const Credentials> current_;
  BootTime readAt_;
  bool refused_ = false;
};

}  // namespace multinet::kube
