#include "lib/kube/kept_connections.h"

#include <mutex>
#include <utility>
#include <vector>

#include "lib/kube/connection.h"

namespace multinet::kube {
namespace {

namespace asio = boost::asio;
using Time = Connection::Time;
using TlsContext = Connection::TlsContext;

constexpr auto kIdle = std::chrono::seconds(30);
constexpr std::size_t kMostIdle = 8;
/// About what stands before a body.
constexpr std::size_t kHeaders = 512;

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

  Result<HttpResponse> follow(const HttpRequest& request,
                              const std::shared_ptr<const Credentials>& credentials,
                              const std::function<Duration()>& patience, const ByteSink& sink,
                              const std::stop_token& stop) {
    MULTINET_TRY(const auto context, contextOf(credentials));
    Connection connection(address_, context);
    MULTINET_CHECK(connection.open(std::chrono::steady_clock::now() + patience(), stop));
    return connection.follow(build(request, *credentials), patience, sink, stop);
  }

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    Time since;
  };

  /// A request as it goes over the wire.
  std::string build(const HttpRequest& request, const Credentials& credentials) const {
    std::string text;
    text.reserve(kHeaders + credentials.token().size() + request.body.size());
    const auto header = [&text](std::string_view name, std::string_view value) {
      text.append(name).append(": ").append(value).append("\r\n");
    };
    text.append(name(request.method)).append(" ").append(address_.base).append(request.target);
    text.append(" HTTP/1.1\r\n");
    header("Host", address_.host + ":" + address_.port);
    header("Accept", "application/json");
    header("User-Agent", userAgent_);
    if (!asUser_.empty()) header("Impersonate-User", asUser_);
    if (!asGroup_.empty()) header("Impersonate-Group", asGroup_);
    if (!credentials.token().empty()) header("Authorization", "Bearer " + credentials.token());
    if (!request.body.empty()) {
      header("Content-Type",
             request.contentType.empty() ? "application/json" : request.contentType);
    }
    if (!request.body.empty() || request.method == Method::Post) {
      header("Content-Length", std::to_string(request.body.size()));
    }
    return text.append("\r\n").append(request.body);
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

Result<HttpResponse> KeptConnections::follow(const HttpRequest& request,
                                             const std::shared_ptr<const Credentials>& credentials,
                                             const std::function<Duration()>& patience,
                                             const ByteSink& sink, const std::stop_token& stop) {
  return pool_->follow(request, credentials, patience, sink, stop);
}

}  // namespace multinet::kube
