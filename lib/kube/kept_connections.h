// Connections for what changes something, kept from one request to the next and never used to send
// a request twice; and for watches, each with one of its own.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "lib/kube/config.h"
#include "lib/kube/identity.h"
#include "lib/kube/transport.h"

namespace multinet::kube {

/// To one API server, HTTP/1.1. A handshake costs both ends more than most writes do, so a
/// connection serves again for half a minute. The server keeps an idle one three times as long, so
/// it hardly ever ends one just as we write. Thread-safe; each call runs on its caller's thread.
class KeptConnections {
 public:
  explicit KeptConnections(const Config& config);
  KeptConnections(const KeptConnections&) = delete;
  KeptConnections& operator=(const KeptConnections&) = delete;
  ~KeptConnections();

  /// One request, sent once, and its whole answer within `deadline` in total, whatever it waits
  /// for: a name, a connection, the server. Its error (Unavailable, DeadlineExceeded) is a word on
  /// the connection; the request may or may not have been carried out.
  [[nodiscard]] Result<HttpResponse> call(const HttpRequest& request,
                                          const std::shared_ptr<const Credentials>& credentials,
                                          Duration deadline);

  /// As Transport::stream, on a connection of its own.
  [[nodiscard]] Result<HttpResponse> follow(const HttpRequest& request,
                                            const std::shared_ptr<const Credentials>& credentials,
                                            const std::function<Duration()>& patience,
                                            const ByteSink& sink, const std::stop_token& stop);

 private:
  class Pool;
  const std::unique_ptr<Pool> pool_;
};

}  // namespace multinet::kube
