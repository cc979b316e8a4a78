// A connection to an API server by Boost.Beast: HTTP/1.1, over TLS or not.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>

// After <utility>: Boost 1.74 forgets it (asio #944).
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

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
  using Request = boost::beast::http::request<boost::beast::http::string_body>;
  using TlsContext = std::shared_ptr<boost::asio::ssl::context>;
  using Time = std::chrono::steady_clock::time_point;

  Connection(Address address, TlsContext context);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() = default;

  [[nodiscard]] const TlsContext& context() const { return context_; }

  /// Connected, the server's name looked up and its certificate checked. Fails as soon as `stop` is
  /// asked for.
  [[nodiscard]] Status open(Time until, const std::stop_token& stop = {});
  /// One request and its whole answer.
  [[nodiscard]] Result<HttpResponse> exchange(const Request& request, Time until);
  /// As Transport::stream, without the server's name in errors.
  [[nodiscard]] Result<HttpResponse> follow(const Request& request,
                                            const std::function<Duration()>& patience,
                                            const ByteSink& sink, const std::stop_token& stop);
  /// Whether it may serve again, as far as was heard of the other end. Anything that comes unasked,
  /// an end above all, means no.
  [[nodiscard]] bool serves();

 private:
  using Plain = boost::beast::tcp_stream;
  using Tls = boost::beast::ssl_stream<boost::beast::tcp_stream>;

  [[nodiscard]] std::variant<Plain, Tls> make();
  [[nodiscard]] boost::beast::tcp_stream& lowest();
  [[nodiscard]] Status expectServer(SSL* ssl) const;
  template <class Begin>
  [[nodiscard]] Status await(Time until, const Begin& begin);
  /// The timer for until_; one that is set for sooner sets itself again, since what comes and is
  /// followed by a wait for the next shouldn't cost a change of it.
  void arm();
  /// `await` for something on the stream, whichever it is.
  template <class Begin>
  [[nodiscard]] Status onStream(Time until, const Begin& begin);

  const Address address_;
  const TlsContext context_;
  boost::asio::io_context io_{1};
  boost::asio::steady_timer timer_{io_};
  std::optional<Time> armed_;
  Time until_;         ///< of what is awaited
  bool late_ = false;  ///< until_ has come: the connection is over
  std::variant<Plain, Tls> stream_;
  boost::beast::flat_buffer buffer_;
  bool serves_ = false;
};

}  // namespace multinet::kube
