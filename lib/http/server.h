// An HTTP/1.1 server, with TLS or without, that a hostile client can't exhaust: every phase of a
// connection has a time limit, every size and count a cap, and no input throws.
//
// Not cpprest's listener: one malformed chunk ends its process (docs/decisions).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "lib/http/message.h"
#include "lib/tls/reloading_certificate.h"

namespace multinet::http {

/// Limits of one server. The defaults are a webhook's.
struct Limits {
  std::size_t body = 3U << 20U;  ///< bytes; more is answered 413 (etcd takes 1.5 MiB an object)
  std::uint32_t header = 16U << 10U;  ///< bytes of request line and header; more is answered 431
  /// At one more than this the idlest connection of the source (address) that has most is closed
  /// for it, so that nobody keeps others out by keeping connections open. One whose request is
  /// being answered is never closed so.
  std::size_t connections = 1024;
  std::size_t perSource = 512;  ///< likewise, among those of one source
  Duration handshake = std::chrono::seconds(5);
  Duration headerTime = std::chrono::seconds(5);  ///< from its first byte to its last
  Duration bodyTime = std::chrono::seconds(10);
  Duration writeTime = std::chrono::seconds(10);
  Duration idle = std::chrono::seconds(90);  ///< between requests; the API server's own is 90 s
};

struct ServerOptions {
  /// `:8443` (both families), `127.0.0.1:0`, `[::1]:8443`. Port 0: the kernel chooses.
  std::string listen = ":8443";
  /// Null: plain HTTP. Must outlive the server. Until it has a pair, connections are closed.
  const tls::ReloadingCertificate* certificate = nullptr;
  Limits limits = {};
  unsigned threads = 2;
};

/// What happened since the start; for metrics.
struct ServerCounts {
  std::uint64_t accepted = 0;
  std::uint64_t refusedByCap = 0;  ///< all were being answered
  std::uint64_t evicted = 0;       ///< closed for another
  std::uint64_t handshakeFailed = 0;
  std::uint64_t timedOut = 0;
  std::uint64_t malformed = 0;
  std::uint64_t answered = 0;
  std::size_t open = 0;
};

/// Serves from `start` until `drain` or destruction. Its methods are thread-safe, except that the
/// destructor runs once, not from a handler.
class Server {
 public:
  /// Binds and starts its threads. Unavailable/ListenFailed names the address and the reason.
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(ServerOptions options,
                                                             Handler handler);
  [[nodiscard]] static Result<std::unique_ptr<Server>> startAsync(ServerOptions options,
                                                                  AsyncHandler handler);
  /// Cuts whatever is still open.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] ServerCounts counts() const;

  /// Stops accepting, closes idle connections, lets requests under way finish with
  /// `Connection: close`. True when all were gone before `deadline` passed; the rest is cut.
  bool drain(Duration deadline);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace multinet::http
