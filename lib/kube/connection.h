// A connection to an API server: HTTP/1.1, over TLS or not, its answers parsed by Boost.Beast.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "lib/kube/socket.h"
// After it: Boost 1.74 forgets <utility> (asio #944).
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "lib/kube/config.h"
#include "lib/kube/transport.h"

namespace multinet::kube {

/// Where the server is.
struct Address {
  bool tls = true;
  std::string host;
  std::string port;
  std::string base;      ///< what stands before each path; mostly empty
  bool isNamed = false;  ///< its certificate's name is another, which the TLS context checks

  [[nodiscard]] static Address of(const Config& config);
};

/// What runs on it runs on the caller's thread, one thing at a time. Its errors (Unavailable,
/// DeadlineExceeded, Cancelled) are a word on the connection, which is over after one.
class Connection {
 public:
  using TlsContext = std::shared_ptr<boost::asio::ssl::context>;
  using Time = Socket::Time;

  Connection(Address address, TlsContext context)
      : address_(std::move(address)), context_(std::move(context)) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() = default;

  [[nodiscard]] const TlsContext& context() const { return context_; }

  /// Connected, the server's name looked up and its certificate checked. Fails as soon as `stop` is
  /// asked for.
  [[nodiscard]] Status open(Time until, const std::stop_token& stop = {});
  /// One request, as it goes over the wire, and its whole answer.
  [[nodiscard]] Result<HttpResponse> exchange(std::string_view request, Time until);
  /// As Transport::stream, without the server's name in errors.
  [[nodiscard]] Result<HttpResponse> follow(std::string_view request,
                                            const std::function<Duration()>& patience,
                                            const ByteSink& sink, const std::stop_token& stop);
  /// Whether it may serve again, as far as was heard of the other end. Anything that comes unasked,
  /// an end above all, means no.
  [[nodiscard]] bool serves();

 private:
  [[nodiscard]] Status expectServer(SSL* ssl) const;

  const Address address_;
  const TlsContext context_;
  Socket socket_;
  boost::beast::flat_buffer buffer_;  ///< what was read and isn't a part of any answer yet
  bool serves_ = false;
};

}  // namespace multinet::kube
