// A server's certificate that follows its files.
//
// Kubernetes swaps a mounted Secret by moving the symlink `..data`, so the directory is watched,
// not the files; a poll finds what inotify missed (another file system, an overflow). Half of a
// pair, a key that doesn't match or a file that isn't there changes nothing: the pair before stays
// in service, and `lastResult()` says why.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "lib/async/runner.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/result.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace multinet::tls {

/// An OpenSSL server context; each connection holds the one it began with.
using ServerContext = std::shared_ptr<ssl_ctx_st>;

/// A context for TLS 1.2 and later with this pair, without session tickets or renegotiation. With
/// `clientCaPem`, a bundle, the handshake of a client without a certificate by one of those fails.
[[nodiscard]] Result<ServerContext> makeServerContext(const std::string& certificatePem,
                                                      const std::string& keyPem,
                                                      const std::string& clientCaPem = {});

/// Follows `<directory>/tls.crt` and `<directory>/tls.key`. Thread-safe. Owns one thread, joined by
/// the destructor within milliseconds.
class ReloadingCertificate {
 public:
  struct Options {
    std::string directory;
    std::string certificateFile = "tls.crt";
    std::string keyFile = "tls.key";
    /// Path of a bundle of CAs, one of which must have signed the client's certificate; empty:
    /// clients show none. Followed by the poll. Where it can't be read nothing is put in service.
    std::string clientCaFile = {};
    Duration poll = std::chrono::seconds(10);
  };
  /// Called on the watching thread after each attempt that read something new.
  using Observer = std::function<void(const Status&)>;

  /// Reads once before it returns; nothing there yet is no error, the watch goes on.
  explicit ReloadingCertificate(Options options, Observer observer = {});
  ~ReloadingCertificate();
  ReloadingCertificate(const ReloadingCertificate&) = delete;
  ReloadingCertificate& operator=(const ReloadingCertificate&) = delete;

  /// The newest good context; null until a pair was read.
  [[nodiscard]] ServerContext context() const;
  [[nodiscard]] bool loaded() const { return context() != nullptr; }
  /// End of the certificate in service; the epoch where there is none.
  [[nodiscard]] WallTime notAfter() const;
  /// Unavailable where there is none to serve, or where it ended before `now`: clients refuse it.
  [[nodiscard]] Status usable(WallTime now) const;
  /// What came of the newest attempt.
  [[nodiscard]] Status lastResult() const;

 private:
  [[nodiscard]] async::Task waitForChange();
  void reload();
  [[nodiscard]] Status readAndSwap();
  void watchDirectory();

  Options options_;
  Observer observer_;
  Fd inotify_;
  Fd wake_;
  std::atomic<bool> stopping_ = false;
  int watch_ = -1;
  std::string seen_;  // content of the last attempt; only the watching thread after construction
  mutable std::mutex mutex_;
  ServerContext context_;
  WallTime notAfter_{};
  Status lastResult_;
  std::unique_ptr<async::Runner> runner_;  // last: it uses all of the above
};

}  // namespace multinet::tls
