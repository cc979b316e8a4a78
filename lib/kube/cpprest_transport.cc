// The transport over cpprestsdk's client, which reads; writes and watches go by kept_connections.h.
// Nothing else in the tree includes the library. What it needs:
//  - one thread for all of the library's I/O, timers and continuations, and cancellation posted to
//    that thread: cpprest closes a socket from the canceller's thread otherwise, while an SSL
//    operation may run (cpprestsdk #1547, #1109);
//  - an own response buffer, which bounds the answer;
//  - the TLS context's store replaced: the library trusts the system's CAs before its callback;
//  - no redirect followed: all headers, Authorization included, would go to any host;
//  - its inactivity timer out of the way (it counts while our consumer works): time limits are
//  ours;
//  - a new client when certificates rotate, since pooled connections keep the old identity;
//  - no exception out of a continuation: it would end the process.
#include <cpprest/astreambuf.h>
#include <cpprest/http_client.h>
#include <pplx/threadpool.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "lib/base/log.h"
#include "lib/kube/identity.h"
#include "lib/kube/kept_connections.h"
#include "lib/kube/longest_body.h"
#include "lib/kube/retry_after.h"
#include "lib/kube/transport.h"

namespace multinet::kube {
namespace {

namespace http = web::http;

/// How long a cancelled request may take to let go of our memory before it is left to itself.
constexpr auto kLetGo = std::chrono::seconds(2);

using Client = http::client::http_client;

/// What the library's thread and the caller share about one request.
class Exchange {
 public:
  // Library's side.
  void headers(int status, std::optional<Duration> retryAfter);
  void finished(std::string failure);
  pplx::task<std::size_t> bytes(std::string_view bytes);

  // Caller's side.
  /// Waits for the end of the answer; false at `deadline`.
  bool wait(std::chrono::steady_clock::time_point deadline);
  /// Nothing that still comes is wanted.
  void abandon();
  bool waitFinished(Duration limit);

  bool done() { return locked(done_); }
  std::string failure() { return locked(failure_); }
  HttpResponse takeResponse() {
    const std::lock_guard lock(mutex_);
    return std::move(response_);
  }

 private:
  template <class T>
  T locked(const T& value) {
    const std::lock_guard lock(mutex_);
    return value;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  HttpResponse response_;
  std::string failure_;
  bool done_ = false;
  bool abandoned_ = false;
  bool tooLong_ = false;
};

void Exchange::headers(int status, std::optional<Duration> retryAfter) {
  const std::lock_guard lock(mutex_);
  response_.status = status;
  response_.retryAfter = retryAfter;
}

void Exchange::finished(std::string failure) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = std::move(failure);
    done_ = true;
  }
  changed_.notify_all();
}

pplx::task<std::size_t> Exchange::bytes(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  // Never a failed task: the library then closes the stream with a blocking wait on its own thread,
  // for a continuation that needs that thread, and all of its calls stand still for ever. What
  // nobody wants is thrown away until the cancellation closes the connection.
  if (abandoned_ || tooLong_) return pplx::task_from_result(bytes.size());
  if (response_.body.size() + bytes.size() > kLongestBody) {
    tooLong_ = true;
    failure_ = "the answer is too long";
    changed_.notify_all();
  } else {
    response_.body.append(bytes);
  }
  return pplx::task_from_result(bytes.size());
}

bool Exchange::wait(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [this] { return done_ || tooLong_; });
}

void Exchange::abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
}

bool Exchange::waitFinished(Duration limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [this] { return done_; });
}

/// Where the library writes an answer: straight to the exchange, nothing is stored between.
class ResponseBuffer final
    : public Concurrency::streams::details::streambuf_state_manager<std::uint8_t> {
 public:
  explicit ResponseBuffer(std::shared_ptr<Exchange> exchange)
      : streambuf_state_manager(std::ios_base::out), exchange_(std::move(exchange)) {}

  // The base closes by a continuation and waits for it, on the one thread that would run it.
  using streambuf_state_manager::close;
  pplx::task<void> close(std::ios_base::openmode) override {
    m_stream_can_read = false;
    m_stream_can_write = false;
    return pplx::task_from_result();
  }
  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  std::size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(std::size_t, std::ios_base::openmode) override {}
  std::size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return traits::eof(); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return traits::eof(); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return traits::eof();
  }
  bool acquire(std::uint8_t*& pointer, std::size_t& count) override {
    pointer = nullptr;
    count = 0;
    return false;
  }
  void release(std::uint8_t*, std::size_t) override {}

 protected:
  pplx::task<std::size_t> _putn(const std::uint8_t* bytes, std::size_t count) override {
    return exchange_->bytes({reinterpret_cast<const char*>(bytes), count});
  }
  pplx::task<int_type> _putc(std::uint8_t byte) override {
    // The exchange may keep a view until the task is done, so the byte lives as long.
    auto kept = std::make_shared<std::uint8_t>(byte);
    return _putn(kept.get(), 1).then([kept](std::size_t) -> int_type { return *kept; });
  }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  std::uint8_t* _alloc(std::size_t) override { return nullptr; }
  void _commit(std::size_t) override {}
  // Never read from.
  pplx::task<int_type> _bumpc() override { return endOfFile(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return endOfFile(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return endOfFile(); }
  pplx::task<int_type> _ungetc() override { return endOfFile(); }
  pplx::task<std::size_t> _getn(std::uint8_t*, std::size_t) override {
    return pplx::task_from_result<std::size_t>(0);
  }
  std::size_t _scopy(std::uint8_t*, std::size_t) override { return 0; }

 private:
  static pplx::task<int_type> endOfFile() {
    return pplx::task_from_result<int_type>(traits::eof());
  }

  const std::shared_ptr<Exchange> exchange_;
};

std::optional<Duration> retryAfter(const http::http_headers& headers) {
  const auto found = headers.find("Retry-After");
  return found == headers.end() ? std::nullopt : retryAfterOf(found->second);
}

/// What a failed task says. Never throws.
std::string failureOf(const std::exception& error) {
  const std::string text = error.what();
  return text.empty() ? "the connection failed" : text;
}

/// A request under way: cancelled on the library's thread, and let go of at the end.
class Running {
 public:
  Running(const std::shared_ptr<Client>& client, http::http_request request,
          std::shared_ptr<Exchange> exchange)
      : client_(client), exchange_(std::move(exchange)) {
    request.set_response_stream(
        Concurrency::streams::ostream(Concurrency::streams::streambuf<std::uint8_t>(
            std::make_shared<ResponseBuffer>(exchange_))));
    client_->request(request, cancel_.get_token())
        .then([exchange = exchange_](const http::http_response& response) {
          exchange->headers(response.status_code(), retryAfter(response.headers()));
          return response.content_ready();
        })
        // The client stays alive until its last continuation has run.
        .then([exchange = exchange_, held = client_](const pplx::task<http::http_response>& task) {
          try {
            task.get();
            exchange->finished({});
          } catch (const std::exception& error) {
            exchange->finished(failureOf(error));
          }
        });
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (exchange_->done()) return;
    exchange_->abandon();
    crossplat::threadpool::shared_instance().service().post(
        [cancel = cancel_] { cancel.cancel(); });
    exchange_->waitFinished(kLetGo);
  }

 private:
  const std::shared_ptr<Client> client_;
  const std::shared_ptr<Exchange> exchange_;
  pplx::cancellation_token_source cancel_;
};

class CpprestTransport final : public Transport {
 public:
  CpprestTransport(Config config, std::unique_ptr<Identity> identity)
      : config_(std::move(config)), identity_(std::move(identity)), own_(config_) {}

  Result<HttpResponse> call(const HttpRequest& request, Duration deadline) override;
  Result<HttpResponse> stream(const HttpRequest& request, const std::function<Duration()>& patience,
                              const ByteSink& sink, const std::stop_token& stop) override;

 private:
  /// The client for connections of these credentials; made anew after a rotation. Writes aren't the
  /// library's: on a used connection it repeats a request whose reply was lost, and nobody hears of
  /// it (cpprestsdk #592).
  std::shared_ptr<Client> clientFor(const std::shared_ptr<const Credentials>& credentials);
  http::http_request build(const HttpRequest& request, const Credentials& credentials) const;
  Error failed(const HttpRequest& request, Code code, const std::string& why) const;
  Result<HttpResponse> read(const HttpRequest& request,
                            const std::shared_ptr<const Credentials>& credentials,
                            Duration deadline);
  Result<HttpResponse> write(const HttpRequest& request,
                             const std::shared_ptr<const Credentials>& credentials,
                             Duration deadline);

  const Config config_;
  const std::unique_ptr<Identity> identity_;
  KeptConnections own_;
  std::mutex mutex_;
  std::shared_ptr<const Credentials> clientOf_;
  std::shared_ptr<Client> client_;
};

std::shared_ptr<Client> makeClient(const std::string& server,
                                   const std::shared_ptr<const Credentials>& credentials) {
  http::client::http_client_config config;
  config.set_max_redirects(0);
  config.set_proxy(web::web_proxy(web::web_proxy::disabled));
  config.set_timeout(std::chrono::hours(24));
  config.set_validate_certificates(true);
  config.set_ssl_context_callback([credentials](boost::asio::ssl::context& context) {
    if (const auto applied = credentials->apply(context.native_handle()); !applied) {
      log::error("present credentials", {{"error", applied.error()}});
    }
  });
  return std::make_shared<Client>(server, config);
}

std::shared_ptr<Client> CpprestTransport::clientFor(
    const std::shared_ptr<const Credentials>& credentials) {
  const std::lock_guard lock(mutex_);
  if (!clientOf_ || !clientOf_->sameConnection(*credentials)) {
    client_ = makeClient(config_.server, credentials);
    clientOf_ = credentials;
  }
  return client_;
}

http::http_request CpprestTransport::build(const HttpRequest& request,
                                           const Credentials& credentials) const {
  http::http_request built(http::methods::GET);
  built.set_request_uri(web::uri(request.target));
  auto& headers = built.headers();
  headers.add("Accept", "application/json");
  headers.add("User-Agent", config_.userAgent);
  if (!credentials.token().empty()) headers.add("Authorization", "Bearer " + credentials.token());
  if (!config_.asUser.empty()) headers.add("Impersonate-User", config_.asUser);
  if (!config_.asGroup.empty()) headers.add("Impersonate-Group", config_.asGroup);
  return built;
}

Error CpprestTransport::failed(const HttpRequest& request, Code code,
                               const std::string& why) const {
  const auto path = request.target.substr(0, request.target.find('?'));
  return Error{code,
               code == Code::DeadlineExceeded ? "Timeout"
               : code == Code::Cancelled      ? "Cancelled"
                                              : "Unreachable",
               std::string(name(request.method)) + " " + config_.server + path + ": " + why};
}

std::string milliseconds(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) +
         " ms";
}

Result<HttpResponse> CpprestTransport::call(const HttpRequest& request, Duration deadline) {
  const auto credentials = identity_->current();
  auto response = request.method == Method::Get ? read(request, credentials, deadline)
                                                : write(request, credentials, deadline);
  if (response && response->status == http::status_codes::Unauthorized) identity_->refused();
  return response;
}

Result<HttpResponse> CpprestTransport::read(const HttpRequest& request,
                                            const std::shared_ptr<const Credentials>& credentials,
                                            Duration deadline) {
  try {
    const auto exchange = std::make_shared<Exchange>();
    const auto until = std::chrono::steady_clock::now() + deadline;
    const Running running(clientFor(credentials), build(request, *credentials), exchange);
    if (!exchange->wait(until)) {
      return fail(failed(request, Code::DeadlineExceeded,
                         "no whole answer within " + milliseconds(deadline)));
    }
    if (const auto failure = exchange->failure(); !failure.empty()) {
      return fail(failed(request, Code::Unavailable, failure));
    }
    return exchange->takeResponse();
  } catch (const std::exception& error) {
    return fail(failed(request, Code::InvalidArgument, error.what()));
  }
}

Result<HttpResponse> CpprestTransport::write(const HttpRequest& request,
                                             const std::shared_ptr<const Credentials>& credentials,
                                             Duration deadline) {
  auto response = own_.call(request, credentials, deadline);
  if (response) return response;
  const Error& error = response.error();
  const bool isLate = error.code == Code::DeadlineExceeded;
  return fail(failed(request, error.code,
                     isLate ? "no whole answer within " + milliseconds(deadline) : error.message));
}

Result<HttpResponse> CpprestTransport::stream(const HttpRequest& request,
                                              const std::function<Duration()>& patience,
                                              const ByteSink& sink, const std::stop_token& stop) {
  const auto credentials = identity_->current();
  Duration waited{};
  std::optional<Error> ours;
  auto response = own_.follow(
      request, credentials, [&] { return waited = patience(); },
      [&](std::string_view bytes) {
        const Status taken = sink(bytes);
        if (!taken) ours = taken.error();
        return taken;
      },
      stop);
  if (ours) return fail(*ours);
  if (!response && stop.stop_requested()) return fail(failed(request, Code::Cancelled, "stopped"));
  if (!response && response.error().code == Code::DeadlineExceeded) {
    return fail(
        failed(request, Code::DeadlineExceeded, "nothing came for " + milliseconds(waited)));
  }
  if (!response) return fail(failed(request, Code::Unavailable, response.error().message));
  if (response->status == http::status_codes::Unauthorized) identity_->refused();
  return response;
}

}  // namespace

void boundTransportThreads(std::size_t threads) {
  static std::once_flag once;
  std::call_once(once, [threads] {
    // The library loads the system's CAs for each connection before we replace them: 20 ms of CPU.
    ::setenv("SSL_CERT_FILE", "/dev/null", 0);
    try {
      crossplat::threadpool::initialize_with_threads(threads);
    } catch (const std::exception& error) {
      log::warn("couldn't bound the transport's threads", {{"error", error.what()}});
    }
  });
}

Result<std::unique_ptr<Transport>> makeTransport(const Config& config) {
  boundTransportThreads(1);
  static const SystemClock clock;
  MULTINET_TRY(auto identity, Identity::make(config, clock));
  return std::make_unique<CpprestTransport>(config, std::move(identity));
}

}  // namespace multinet::kube
