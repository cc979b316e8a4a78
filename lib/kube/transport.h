// The one seam to HTTP: everything above it speaks of requests and bytes, only *_transport.cc knows
// an HTTP library.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "lib/kube/config.h"

namespace multinet::kube {

enum class Method { Get, Post, Put, Patch, Delete };
[[nodiscard]] std::string_view name(Method method);

struct HttpRequest {
  Method method = Method::Get;
  std::string target;  ///< path and query, percent-encoded, for example `/api/v1/pods?limit=500`
  std::string contentType;  ///< of the body; empty means JSON
  std::string body;
};

struct HttpResponse {
  int status = 0;
  std::string body;
  std::optional<Duration> retryAfter;  ///< the server's Retry-After, if it named seconds
};

/// Bytes of a stream as they come, in no particular cut. What it returns ends the stream when it is
/// an error. Called on the thread that called `stream`.
using ByteSink = std::function<Status(std::string_view bytes)>;

/// Sends requests to one API server with one identity. Thread-safe. No method throws.
/// A server's answer, whatever its status, is a value. An Error means that no whole answer came
/// (Unavailable, DeadlineExceeded, Cancelled), so the request may or may not have been carried out.
class Transport {
 public:
  virtual ~Transport() = default;
  /// One request and its whole answer, within `deadline` in total.
  [[nodiscard]] virtual Result<HttpResponse> call(const HttpRequest& request,
                                                  Duration deadline) = 0;
  /// Blocks until the server ends the stream, `stop` is asked for (Cancelled) or nothing at all
  /// came for `patience()` (DeadlineExceeded), which is asked before each wait. A status other than
  /// 200 returns its body, at most 64 KiB, without calling `sink`; otherwise `body` stays empty.
  [[nodiscard]] virtual Result<HttpResponse> stream(const HttpRequest& request,
                                                    const std::function<Duration()>& patience,
                                                    const ByteSink& sink,
                                                    const std::stop_token& stop) = 0;
};

/// The transport over cpprestsdk's client. Certificates and tokens that stand in files are read
/// again when the files change. End the process with `_exit` after its users are gone.
[[nodiscard]] Result<std::unique_ptr<Transport>> makeTransport(const Config& config);

/// Sets the threads that all transports of the process share and the environment that they need;
/// the first call counts. Call it in main before other threads; makeTransport calls it with 1,
/// which is also what keeps the library's I/O, timers and cancellation off each other's feet.
void boundTransportThreads(std::size_t threads);

}  // namespace multinet::kube
