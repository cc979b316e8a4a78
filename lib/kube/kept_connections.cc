#include "lib/kube/kept_connections.h"

#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>

#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

// After <utility>: Boost 1.74 forgets it (asio #944).
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include "lib/kube/longest_body.h"
#include "lib/kube/retry_after.h"

namespace multinet::kube {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using ErrorCode = beast::error_code;
using Time = std::chrono::steady_clock::time_point;
using Plain = beast::tcp_stream;
using Tls = beast::ssl_stream<beast::tcp_stream>;
using TlsContext = std::shared_ptr<asio::ssl::context>;

/// The server's warnings come as headers.
constexpr std::uint32_t kLongestHeaders = 256U << 10U;
constexpr auto kIdle = std::chrono::seconds(30);
constexpr std::size_t kMostIdle = 8;

/// Where the server is.
struct Address {
  bool tls = true;
  std::string host;
  std::string port;
  std::string base;      ///< what stands before each path; mostly empty
  bool isNamed = false;  ///< its certificate's name is another, which the TLS context checks

  static Address of(const Config& config) {
    Address address;
    std::string_view server = config.server;
    address.isNamed = !config.serverName.empty();
    address.tls = server.starts_with("https:");
    server.remove_prefix(server.find("//") + 2);
    const auto slash = std::min(server.find('/'), server.size());
    address.base = server.substr(slash);
    server = server.substr(0, slash);
    const auto colon = server.find(':');
    address.host = server.substr(0, colon);
    address.port = colon == std::string_view::npos ? std::string(address.tls ? "443" : "80")
                                                   : std::string(server.substr(colon + 1));
    return address;
  }
};

tl::unexpected<Error> late() {
  return fail(Code::DeadlineExceeded, "", "no whole answer in time");
}

/// What the system's resolver says; it can't be interrupted.
Result<std::vector<tcp::endpoint>> lookUp(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); code != 0) {
    return fail(Code::Unavailable, "", "look up \"" + host + "\": " + gai_strerror(code));
  }
  std::vector<tcp::endpoint> endpoints;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    tcp::endpoint endpoint;
    if (one->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), one->ai_addr, one->ai_addrlen);
    endpoint.resize(one->ai_addrlen);
    endpoints.push_back(endpoint);
  }
  freeaddrinfo(found);
  return endpoints;
}

Result<std::vector<tcp::endpoint>> resolve(const Address& address, Time until) {
  ErrorCode none;
  const auto literal = asio::ip::make_address(address.host, none);
  if (!none) return lookUp(literal.to_string(), address.port);  // asks nobody
  auto said = std::make_shared<std::promise<Result<std::vector<tcp::endpoint>>>>();
  auto future = said->get_future();
  // Left to itself where nobody answers: it ends with the resolver's own patience.
  try {
    std::thread([said, host = address.host, port = address.port] {
      pthread_setname_np(pthread_self(), "api-lookup");
      said->set_value(lookUp(host, port));
    }).detach();
  } catch (const std::system_error& error) {
    return fail(Code::Unavailable, "", "look up \"" + address.host + "\": " + error.what());
  }
  if (future.wait_until(until) != std::future_status::ready) return late();
  return future.get();
}

bool setName(SSL* ssl, std::string host) {
  return SSL_set1_host(ssl, host.c_str()) == 1 &&
         SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data()) == 1;
}

/// One connection and what runs on it, one thing at a time, on the caller's thread.
class Connection {
 public:
  Connection(Address address, TlsContext context)
      : address_(std::move(address)), context_(std::move(context)), stream_(make()) {}

  [[nodiscard]] const TlsContext& context() const { return context_; }

  Status open(Time until) {
    MULTINET_TRY(const auto endpoints, resolve(address_, until));
    MULTINET_CHECK(
        await(until, [&](auto done) { lowest().async_connect(endpoints, std::move(done)); }));
    ErrorCode ignored;
    lowest().socket().set_option(tcp::no_delay(true), ignored);
    auto* tls = std::get_if<Tls>(&stream_);
    if (tls == nullptr) return {};
    MULTINET_CHECK(expectServer(tls->native_handle()));
    return await(until, [&](auto done) {
      tls->async_handshake(asio::ssl::stream_base::client, std::move(done));
    });
  }

  Result<HttpResponse> exchange(const http::request<http::string_body>& request, Time until) {
    http::response_parser<http::string_body> parser;
    parser.body_limit(kLongestBody);
    parser.header_limit(kLongestHeaders);
    MULTINET_CHECK(std::visit(
        [&](auto& stream) {
          return await(until,
                       [&](auto done) { http::async_write(stream, request, std::move(done)); });
        },
        stream_));
    MULTINET_CHECK(std::visit(
        [&](auto& stream) {
          return await(until, [&](auto done) {
            http::async_read(stream, buffer_, parser, std::move(done));
          });
        },
        stream_));
    serves_ = parser.get().keep_alive() && buffer_.size() == 0;
    HttpResponse response;
    response.status = static_cast<int>(parser.get().result_int());
    const auto retry = parser.get()[http::field::retry_after];
    response.retryAfter = retryAfterOf({retry.data(), retry.size()});
    response.body = std::move(parser.get().body());
    return response;
  }

  /// Whether it may serve again, as far as was heard of the other end. Anything that comes unasked,
  /// an end above all, means no.
  [[nodiscard]] bool serves() {
    if (!serves_) return false;
    char byte = 0;
    const auto size = recv(lowest().socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size < 0 && errno == EAGAIN;
  }

 private:
  std::variant<Plain, Tls> make() {
    if (address_.tls) return std::variant<Plain, Tls>(std::in_place_type<Tls>, io_, *context_);
    return std::variant<Plain, Tls>(std::in_place_type<Plain>, io_);
  }

  beast::tcp_stream& lowest() {
    return std::visit(
        [](auto& stream) -> beast::tcp_stream& { return beast::get_lowest_layer(stream); },
        stream_);
  }

  /// Whose certificate is right (RFC 6125; an address stands in one of its own kind).
  Status expectServer(SSL* ssl) {
    if (address_.isNamed) return {};
    ErrorCode isName;
    static_cast<void>(asio::ip::make_address(address_.host, isName));
    const bool set =
        isName ? setName(ssl, address_.host)
               : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address_.host.c_str()) == 1;
    if (set) return {};
    return fail(Code::Unavailable, "", "the server's name can't be checked");
  }

  /// Runs what `begin` begins to its end. At `until` the connection is over.
  template <class Begin>
  Status await(Time until, const Begin& begin) {
    std::optional<ErrorCode> outcome;
    begin([&outcome](ErrorCode code, auto&&...) { outcome = code; });
    io_.restart();
    while (!outcome && io_.run_one_until(until) > 0) continue;
    if (!outcome) {
      lowest().close();
      io_.restart();
      while (!outcome && io_.run_one() > 0) continue;
      return late();
    }
    if (!*outcome) return {};
    return fail(Code::Unavailable, "", outcome->message());
  }

  const Address address_;
  const TlsContext context_;
  asio::io_context io_{1};
  std::variant<Plain, Tls> stream_;
  beast::flat_buffer buffer_;
  bool serves_ = false;
};

http::verb verbOf(Method method) {
  switch (method) {
    case Method::Get:
      return http::verb::get;
    case Method::Post:
      return http::verb::post;
    case Method::Put:
      return http::verb::put;
    case Method::Patch:
      return http::verb::patch;
    case Method::Delete:
      return http::verb::delete_;
  }
  return http::verb::get;
}

}  // namespace

class KeptConnections::Pool {
 public:
  explicit Pool(const Config& config)
      : address_(Address::of(config)),
        userAgent_(config.userAgent),
        asUser_(config.asUser),
        asGroup_(config.asGroup) {}

  Result<HttpResponse> call(const HttpRequest& request,
                            const std::shared_ptr<const Credentials>& credentials,
                            Duration deadline) {
    const Time until = std::chrono::steady_clock::now() + deadline;
    const auto built = build(request, *credentials);
    MULTINET_TRY(const auto context, contextOf(credentials));
    std::unique_ptr<Connection> connection = takeIdle();
    const bool isKept = connection != nullptr;
    if (!isKept) {
      connection = std::make_unique<Connection>(address_, context);
      MULTINET_CHECK(connection->open(until));
    }
    auto response = connection->exchange(built, until);
    if (response) {
      keep(std::move(connection));
    } else if (isKept) {
      forgetIdle();  // what ended one has mostly ended all
    }
    return response;
  }

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    Time since;
  };

  http::request<http::string_body> build(const HttpRequest& request,
                                         const Credentials& credentials) const {
    http::request<http::string_body> built(verbOf(request.method), address_.base + request.target,
                                           11);
    built.set(http::field::host, address_.host + ":" + address_.port);
    built.set(http::field::accept, "application/json");
    built.set(http::field::user_agent, userAgent_);
    if (!asUser_.empty()) built.set("Impersonate-User", asUser_);
    if (!asGroup_.empty()) built.set("Impersonate-Group", asGroup_);
    if (!credentials.token().empty()) {
      built.set(http::field::authorization, "Bearer " + credentials.token());
    }
    if (!request.body.empty()) {
      built.set(http::field::content_type,
                request.contentType.empty() ? "application/json" : request.contentType);
      built.body() = request.body;
    }
    built.prepare_payload();
    return built;
  }

  /// The context of these credentials; connections of others are over.
  Result<TlsContext> contextOf(const std::shared_ptr<const Credentials>& credentials) {
    std::vector<Idle> over;
    const std::lock_guard lock(mutex_);
    if (context_ && contextOf_->sameConnection(*credentials)) return context_;
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
    context->set_verify_mode(asio::ssl::verify_peer);
    MULTINET_CHECK(credentials->apply(context->native_handle()));
    over.swap(idle_);
    context_ = std::move(context);
    contextOf_ = credentials;
    return context_;
  }

  std::unique_ptr<Connection> takeIdle() {
    std::vector<Idle> over;
    const std::lock_guard lock(mutex_);
    const Time oldest = std::chrono::steady_clock::now() - kIdle;
    while (!idle_.empty()) {
      Idle last = std::move(idle_.back());
      idle_.pop_back();
      if (last.since >= oldest && last.connection->serves()) return std::move(last.connection);
      over.push_back(std::move(last));
    }
    return nullptr;
  }

  void keep(std::unique_ptr<Connection> connection) {
    const std::lock_guard lock(mutex_);
    if (connection->context() != context_ || idle_.size() >= kMostIdle) return;
    if (connection->serves()) {
      idle_.push_back({std::move(connection), std::chrono::steady_clock::now()});
    }
  }

  void forgetIdle() {
    std::vector<Idle> over;
    const std::lock_guard lock(mutex_);
    over.swap(idle_);
  }

  const Address address_;
  const std::string userAgent_;
  const std::string asUser_;
  const std::string asGroup_;
  std::mutex mutex_;
  TlsContext context_;
  std::shared_ptr<const Credentials> contextOf_;
  std::vector<Idle> idle_;  ///< the last one used last
};

KeptConnections::KeptConnections(const Config& config) : pool_(std::make_unique<Pool>(config)) {}
KeptConnections::~KeptConnections() = default;

Result<HttpResponse> KeptConnections::call(const HttpRequest& request,
                                           const std::shared_ptr<const Credentials>& credentials,
                                           Duration deadline) {
  return pool_->call(request, credentials, deadline);
}

}  // namespace multinet::kube
