#include "lib/http/server.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <charconv>
#include <thread>
#include <vector>

#include "lib/http/connection.h"

namespace multinet::http {
namespace {

using internal::ErrorCode;
using internal::Tcp;
namespace net = internal::net;
namespace beast = internal::beast;

using PlainConnection = internal::StreamConnection<beast::tcp_stream>;
using TlsConnection = internal::StreamConnection<beast::ssl_stream<beast::tcp_stream>>;

/// Descriptors that a full process waits before it accepts again.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

struct ListenAddress {
  std::string host;  // empty: every address of both families
  std::uint16_t port = 0;
};

Result<ListenAddress> parseListen(const std::string& text) {
  const auto refuse = [&text] {
    return fail(Code::InvalidArgument, "BadListenAddress",
                "listen on \"" + text + "\": want ADDRESS:PORT, [IPV6]:PORT or :PORT");
  };
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return refuse();
  ListenAddress address;
  address.host = text.substr(0, colon);
  if (address.host.size() >= 2 && address.host.front() == '[' && address.host.back() == ']') {
    address.host = address.host.substr(1, address.host.size() - 2);
  } else if (address.host.find(':') != std::string::npos) {
    return refuse();
  }
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, address.port);
  if (parsed.ec != std::errc() || parsed.ptr != end) return refuse();
  return address;
}

Error listenError(const std::string& text, const ErrorCode& error) {
  return {Code::Unavailable, "ListenFailed", "listen on \"" + text + "\": " + error.message()};
}

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, AsyncHandler handler)
      : options_(std::move(options)),
        connections_(options_.limits, std::move(handler)),
        context_(static_cast<int>(options_.threads)),
        acceptor_(net::make_strand(context_)),
        pause_(acceptor_.get_executor()) {}

  ~Impl() {
    context_.stop();
    threads_.clear();  // joins; what is left of connections goes with context_
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status listen() {
    MULTINET_TRY(const auto address, parseListen(options_.listen));
    ErrorCode error;
    if (!address.host.empty()) {
      const auto host = net::ip::make_address(address.host, error);
      if (error) return fail(listenError(options_.listen, error));
      error = bind({host, address.port});
    } else {
      error = bind({net::ip::address_v6::any(), address.port});
      // A host without IPv6 refuses the family, not the port.
      if (error == net::error::address_family_not_supported) {
        error = bind({net::ip::address_v4::any(), address.port});
      }
    }
    if (error) return fail(listenError(options_.listen, error));
    port_ = acceptor_.local_endpoint(error).port();
    accept();
    for (unsigned i = 0; i < std::max(1U, options_.threads); ++i) {
      threads_.emplace_back([this] { run(); });
    }
    return {};
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }

  [[nodiscard]] ServerCounts counts() const {
    return {.accepted = connections_.accepted,
            .refusedByCap = connections_.refusedByCap,
            .evicted = connections_.evicted,
            .handshakeFailed = connections_.handshakeFailed,
            .timedOut = connections_.timedOut,
            .malformed = connections_.malformed,
            .answered = connections_.answered,
            .open = connections_.size()};
  }

  bool drain(Duration deadline) {
    connections_.draining = true;
    net::post(acceptor_.get_executor(), [this] {
      ErrorCode ignored;
      acceptor_.close(ignored);
      pause_.cancel(ignored);
    });
    connections_.forEach([](internal::Connection& connection) { connection.closeIfIdle(); });
    const bool clean = connections_.awaitEmpty(deadline);
    if (!clean) connections_.forEach([](internal::Connection& connection) { connection.cut(); });
    return clean;
  }

 private:
  ErrorCode bind(const Tcp::endpoint& endpoint) {
    ErrorCode error;
    if (acceptor_.open(endpoint.protocol(), error)) return error;
    acceptor_.set_option(net::socket_base::reuse_address(true), error);
    if (endpoint.address().is_v6() && endpoint.address().is_unspecified()) {
      acceptor_.set_option(net::ip::v6_only(false), error);
    }
    if (acceptor_.bind(endpoint, error)) {
      ErrorCode ignored;
      acceptor_.close(ignored);
      return error;
    }
    acceptor_.listen(net::socket_base::max_listen_connections, error);
    return error;
  }

  void run() {
    while (true) {
      try {
        context_.run();
        return;
      } catch (const std::exception& error) {
        // Only memory can fail here; the connection at fault is gone with its handler.
        log::error("connection dropped", {{"error", error.what()}});
      }
    }
  }

  void accept() {
    acceptor_.async_accept(net::make_strand(context_), [this](ErrorCode error, Tcp::socket socket) {
      if (error == net::error::operation_aborted) return;
      if (connections_.draining) return;
      if (error) return acceptLater();
      begin(std::move(socket));
      accept();
    });
  }

  /// Out of descriptors or memory: what closes meanwhile makes room; no busy loop.
  void acceptLater() {
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([this](ErrorCode error) {
      if (!error && !connections_.draining) accept();
    });
  }

  void begin(Tcp::socket socket) {
    ErrorCode ignored;
    const auto source = socket.remote_endpoint(ignored).address().to_string();
    if (!connections_.admit(source)) {
      ++connections_.refusedByCap;
      return;  // the socket closes here
    }
    ++connections_.accepted;
    socket.set_option(Tcp::no_delay(true), ignored);
    if (options_.certificate == nullptr) {
      std::make_shared<PlainConnection>(connections_, source, std::move(socket))->start();
      return;
    }
    const auto context = options_.certificate->context();
    if (context == nullptr || SSL_CTX_up_ref(context.get()) != 1) {
      ++connections_.handshakeFailed;
      return;
    }
    // Takes the reference just counted; the connection's SSL object holds one of its own.
    net::ssl::context wrapped(context.get());
    std::make_shared<TlsConnection>(connections_, source, beast::tcp_stream(std::move(socket)),
                                    wrapped)
        ->start();
  }

  const ServerOptions options_;
  internal::Connections connections_;  // before context_: pending handlers hold connections
  net::io_context context_;
  Tcp::acceptor acceptor_;
  net::steady_timer pause_;
  std::uint16_t port_ = 0;
  std::vector<std::jthread> threads_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler handler) {
  return startAsync(std::move(options),
                    [handler = std::move(handler)](const Request& request, const Reply& reply) {
                      reply(handler(request));
                    });
}

Result<std::unique_ptr<Server>> Server::startAsync(ServerOptions options, AsyncHandler handler) {
  const std::string listen = options.listen;
  try {
    auto impl = std::make_unique<Impl>(std::move(options), std::move(handler));
    MULTINET_CHECK(impl->listen());
    return std::unique_ptr<Server>(new Server(std::move(impl)));
  } catch (const std::exception& error) {
    return fail(Code::Unavailable, "ListenFailed", "listen on \"" + listen + "\": " + error.what());
  }
}

std::uint16_t Server::port() const {
  return impl_->port();
}
ServerCounts Server::counts() const {
  return impl_->counts();
}
bool Server::drain(Duration deadline) {
  return impl_->drain(deadline);
}

}  // namespace multinet::http
