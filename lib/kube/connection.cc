#include "lib/kube/connection.h"

#include <netdb.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

// After <utility>: Boost 1.74 forgets it (asio #944).
#include <boost/asio/error.hpp>
#include <boost/beast/http.hpp>

#include "lib/kube/longest_body.h"
#include "lib/kube/retry_after.h"

namespace multinet::kube {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using ErrorCode = Socket::ErrorCode;
using Time = Socket::Time;
using Endpoints = Socket::Endpoints;

/// The server's warnings come as headers.
constexpr std::uint32_t kLongestHeaders = 256U << 10U;
constexpr std::size_t kLongestErrorBody = 64U << 10U;
/// A TLS record at most.
constexpr std::size_t kChunk = 16U << 10U;
/// What comes of a watch in closer order than this may come late by as much: a thread that is woken
/// for each of a thousand events takes more than they do.
constexpr Duration kGather = std::chrono::milliseconds(2);

Time after(Duration duration) {
  return std::chrono::steady_clock::now() + duration;
}

tl::unexpected<Error> late() {
  return fail(Code::DeadlineExceeded, "", "no whole answer in time");
}

Status over(ErrorCode code) {
  if (!code) return {};
  if (code == asio::error::timed_out) return late();
  return fail(Code::Unavailable, "", code.message());
}

/// What the system's resolver says; it can't be interrupted.
Result<Endpoints> lookUp(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); code != 0) {
    return fail(Code::Unavailable, "", "look up \"" + host + "\": " + gai_strerror(code));
  }
  Endpoints endpoints;
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

/// Left to itself where nobody answers: it ends with the resolver's own patience.
struct LookUp {
  std::mutex mutex;
  std::condition_variable_any said;
  std::optional<Result<Endpoints>> result;
};

Result<Endpoints> resolve(const Address& address, Time until, const std::stop_token& stop) {
  ErrorCode none;
  const auto literal = asio::ip::make_address(address.host, none);
  if (!none) return lookUp(literal.to_string(), address.port);  // asks nobody
  const auto shared = std::make_shared<LookUp>();
  try {
    std::thread([shared, host = address.host, port = address.port] {
      pthread_setname_np(pthread_self(), "api-lookup");
      auto result = lookUp(host, port);
      const std::lock_guard lock(shared->mutex);
      shared->result = std::move(result);
      shared->said.notify_all();
    }).detach();
  } catch (const std::system_error& error) {
    return fail(Code::Unavailable, "", "look up \"" + address.host + "\": " + error.what());
  }
  std::unique_lock lock(shared->mutex);
  if (shared->said.wait_until(lock, stop, until, [&] { return shared->result.has_value(); })) {
    return *std::move(shared->result);
  }
  return late();
}

bool setName(SSL* ssl, std::string host) {
  return SSL_set1_host(ssl, host.c_str()) == 1 &&
         SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data()) == 1;
}

template <class Message>
HttpResponse headOf(const Message& message) {
  HttpResponse response;
  response.status = static_cast<int>(message.result_int());
  const auto retry = message[http::field::retry_after];
  response.retryAfter = retryAfterOf({retry.data(), retry.size()});
  return response;
}

}  // namespace

Address Address::of(const Config& config) {
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

/// Whose certificate is right (RFC 6125; an address stands in one of its own kind).
Status Connection::expectServer(SSL* ssl) const {
  if (address_.isNamed) return {};
  ErrorCode isName;
  static_cast<void>(asio::ip::make_address(address_.host, isName));
  const bool set =
      isName ? setName(ssl, address_.host)
             : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address_.host.c_str()) == 1;
  if (set) return {};
  return fail(Code::Unavailable, "", "the server's name can't be checked");
}

Status Connection::open(Time until, const std::stop_token& stop) {
  const std::stop_callback ends(stop, [this] { socket_.end(); });
  MULTINET_TRY(const auto endpoints, resolve(address_, until, stop));
  socket_.limit(until);
  MULTINET_CHECK(over(socket_.connect(endpoints)));
  if (!address_.tls) return {};
  std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context_->native_handle()), &SSL_free);
  if (tls == nullptr) return fail(Code::Unavailable, "", "no memory for TLS");
  MULTINET_CHECK(expectServer(tls.get()));
  return over(socket_.handshake(std::move(tls)));
}

Result<HttpResponse> Connection::exchange(std::string_view request, Time until) {
  http::response_parser<http::string_body> parser;
  parser.body_limit(kLongestBody);
  parser.header_limit(kLongestHeaders);
  buffer_.reserve(kChunk);
  socket_.limit(until);
  MULTINET_CHECK(over(socket_.write(request)));
  ErrorCode error;
  http::read(socket_, buffer_, parser, error);
  MULTINET_CHECK(over(error));
  serves_ = parser.get().keep_alive() && buffer_.size() == 0;
  HttpResponse response = headOf(parser.get());
  response.body = std::move(parser.get().body());
  return response;
}

Result<HttpResponse> Connection::follow(std::string_view request,
                                        const std::function<Duration()>& patience,
                                        const ByteSink& sink, const std::stop_token& stop) {
  const std::stop_callback ends(stop, [this] { socket_.end(); });
  http::response_parser<http::buffer_body> parser;
  // Not boost::none, than which Boost 1.74 finds every announced length greater.
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  parser.header_limit(kLongestHeaders);
  buffer_.reserve(kChunk);
  std::vector<char> chunk(kChunk);
  socket_.limit(after(patience()));
  MULTINET_CHECK(over(socket_.write(request)));
  ErrorCode error;
  http::read_header(socket_, buffer_, parser, error);
  MULTINET_CHECK(over(error));
  HttpResponse response = headOf(parser.get());
  socket_.gather(kGather);
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body = {chunk.data(), chunk.size(), true};
    socket_.limit(after(patience()));
    http::read_some(socket_, buffer_, parser, error);
    // A chunk that is full: its bytes are taken, and it is read on.
    if (error != http::error::need_buffer) MULTINET_CHECK(over(error));
    const std::string_view bytes(chunk.data(), chunk.size() - body.size);
    if (response.status != static_cast<int>(http::status::ok)) {
      const std::size_t left = kLongestErrorBody - response.body.size();
      response.body.append(bytes.substr(0, left));
      if (left == 0) break;
    } else if (!bytes.empty()) {
      MULTINET_CHECK(sink(bytes));
    }
    if (stop.stop_requested()) return fail(Code::Cancelled, "", "stopped");
  }
  return response;
}

bool Connection::serves() {
  return serves_ && socket_.silent();
}

}  // namespace multinet::kube
