// Who we are and whom we trust, read again when the files behind it change, asked again of a plugin
// when what it said has expired. OpenSSL only, no HTTP.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "lib/kube/config.h"
#include "lib/kube/exec_credential.h"

namespace multinet::kube {

/// One reading of all credentials. Immutable; thread-safe.
class Credentials {
 public:
  [[nodiscard]] static Result<std::shared_ptr<const Credentials>> read(const Config& config);
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;
  ~Credentials();

  /// Makes `context` trust the cluster's CA alone (its store is *replaced*: HTTP libraries load the
  /// system's CAs first), present our certificate, and speak TLS 1.2 or later. Where the server has
  /// a name of its own (tls-server-name), that name is asked for and checked instead of any other.
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
  std::string serverName_;
  X509_STORE* store_ = nullptr;
};

/// How long a plugin may take.
inline constexpr Duration kPluginPatience = std::chrono::seconds(20);

/// Gives out the newest credentials. Thread-safe.
class Identity {
 public:
  /// Reads once, and asks the plugin if there is one; what can't be had now is an error.
  [[nodiscard]] static Result<std::unique_ptr<Identity>> make(const Config& config,
                                                              const Clock& clock);
  /// Reads the files again at most once a minute, and asks the plugin once what it said has
  /// expired; keeps the last good ones while that fails. One caller does it, which for a plugin may
  /// take kPluginPatience; the others get the last ones meanwhile.
  [[nodiscard]] std::shared_ptr<const Credentials> current();
  /// The server refused us: the next `current` reads again, at most once a second, and asks a
  /// plugin again, at most each ten seconds.
  void refused();

 private:
  /// What one reading brought. The plugin's answer is kept beside what is made of it.
  struct Reading {
    std::shared_ptr<const Credentials> credentials;
    std::optional<ExecCredential> answer;
  };
  static Result<Reading> read(const Config& config, std::optional<ExecCredential> answer);

  Identity(Config config, const Clock& clock, Reading first);
  /// Both under the lock.
  [[nodiscard]] bool expired() const;
  [[nodiscard]] Duration patience() const;

  const Config config_;
  const Clock& clock_;
  std::mutex mutex_;
  Reading current_;
  BootTime readAt_;
  bool refused_ = false;
  bool failed_ = false;
  bool reading_ = false;
};

}  // namespace multinet::kube
