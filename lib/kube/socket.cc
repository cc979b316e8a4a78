#include "lib/kube/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <cerrno>
#include <limits>
#include <thread>

namespace multinet::kube {
namespace {

namespace error = boost::asio::error;

boost::system::error_code ofSystem(int number) {
  return {number, boost::system::system_category()};
}

int asInt(std::size_t size) {
  return static_cast<int>(std::min<std::size_t>(size, std::numeric_limits<int>::max()));
}

}  // namespace

Socket::ErrorCode Socket::connect(const Endpoints& endpoints) {
  ErrorCode outcome = error::host_not_found;
  for (const auto& endpoint : endpoints) {
    outcome = connect(endpoint);
    if (!outcome || outcome == error::timed_out || outcome == error::operation_aborted) break;
  }
  return outcome;
}

Socket::ErrorCode Socket::connect(const boost::asio::ip::tcp::endpoint& endpoint) {
  Fd made(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made.valid()) return ofSystem(errno);
  const int on = 1;
  static_cast<void>(::setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
  if (!use(std::move(made))) return error::operation_aborted;
  failure_ = {};
  if (::connect(fd_.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0)
    return {};
  if (errno != EINPROGRESS) return ofSystem(errno);
  if (!await(POLLOUT)) return failure_;
  int outcome = 0;
  socklen_t size = sizeof(outcome);
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &outcome, &size) != 0) return ofSystem(errno);
  return ofSystem(outcome);
}

bool Socket::use(Fd socket) {
  const std::lock_guard lock(mutex_);
  if (!ended_) fd_ = std::move(socket);
  return !ended_;
}

void Socket::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  if (fd_.valid()) ::shutdown(fd_.get(), SHUT_RDWR);
}

Socket::ErrorCode Socket::handshake(std::unique_ptr<SSL, decltype(&SSL_free)> tls) {
  BIO* bio = BIO_new(bioMethod());
  if (tls == nullptr || bio == nullptr) return error::no_memory;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  tls_ = std::move(tls);
  SSL_set_bio(tls_.get(), bio, bio);
  // Several records in one call of the kernel.
  SSL_set_read_ahead(tls_.get(), 1);
  ERR_clear_error();
  if (SSL_connect(tls_.get()) == 1) return {};
  return tlsFailure();
}

Socket::ErrorCode Socket::write(std::string_view bytes) {
  while (!bytes.empty()) {
    int size = 0;
    if (tls_ == nullptr) {
      size = send(bytes.data(), bytes.size());
      if (size < 0) return failure_;
    } else {
      ERR_clear_error();
      size = SSL_write(tls_.get(), bytes.data(), asInt(bytes.size()));
      if (size <= 0) return tlsFailure();
    }
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return {};
}

std::size_t Socket::read(char* data, std::size_t size, ErrorCode& error) {
  error = {};
  if (size == 0) return 0;
  int taken = 0;
  if (tls_ == nullptr) {
    taken = receive(data, size);
    if (taken < 0) error = failure_;
  } else {
    ERR_clear_error();
    taken = SSL_read(tls_.get(), data, asInt(size));
    if (taken <= 0) error = tlsFailure();
  }
  return static_cast<std::size_t>(std::max(taken, 0));
}

bool Socket::silent() {
  if (tls_ != nullptr && SSL_has_pending(tls_.get()) == 1) return false;
  char byte = 0;
  const auto size = ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return size < 0 && errno == EAGAIN;
}

int Socket::receive(char* data, std::size_t size) {
  while (true) {
    if (drained_) {
      pause();
      if (!await(POLLIN)) return -1;
    }
    const auto taken = ::recv(fd_.get(), data, size, MSG_DONTWAIT);
    const int number = errno;
    drained_ = taken < static_cast<ssize_t>(size);
    if (taken > 0) return static_cast<int>(taken);
    if (taken < 0 && (number == EAGAIN || number == EINTR)) continue;
    failure_ = taken == 0 ? ErrorCode(error::eof) : ofSystem(number);
    return -1;
  }
}

int Socket::send(const char* data, std::size_t size) {
  while (true) {
    const auto sent = ::send(fd_.get(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<int>(sent);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      failure_ = ofSystem(errno);
      return -1;
    }
    if (!await(POLLOUT)) return -1;
  }
}

void Socket::pause() const {
  if (quick_) std::this_thread::sleep_until(std::min(came_ + gather_, until_));
}

bool Socket::await(short events) {
  const Time begin = std::chrono::steady_clock::now();
  pollfd polled{fd_.get(), events, 0};
  for (Time now = begin;; now = std::chrono::steady_clock::now()) {
    if (now >= until_) {
      failure_ = error::timed_out;
      return false;
    }
    const auto left = std::chrono::nanoseconds(until_ - now);
    const auto whole = std::chrono::floor<std::chrono::seconds>(left);
    const timespec time{whole.count(), (left - whole).count()};
    const int ready = ::ppoll(&polled, 1, &time, nullptr);
    if (ready > 0) break;
    if (ready < 0 && errno != EINTR) {
      failure_ = ofSystem(errno);
      return false;
    }
  }
  came_ = std::chrono::steady_clock::now();
  quick_ = came_ - begin < gather_;
  return true;
}

Socket::ErrorCode Socket::tlsFailure() const {
  if (failure_ == error::eof) return boost::asio::ssl::error::stream_truncated;
  if (failure_) return failure_;
  if (tls_ != nullptr && (SSL_get_shutdown(tls_.get()) & SSL_RECEIVED_SHUTDOWN) != 0) {
    return error::eof;
  }
  const auto number = static_cast<int>(ERR_get_error());
  if (number == 0) return error::connection_aborted;
  return {number, error::get_ssl_category()};
}

BIO_METHOD* Socket::bioMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "kube socket");
    BIO_meth_set_read(made, [](BIO* bio, char* data, int size) {
      return static_cast<Socket*>(BIO_get_data(bio))->receive(data, static_cast<std::size_t>(size));
    });
    BIO_meth_set_write(made, [](BIO* bio, const char* data, int size) {
      return static_cast<Socket*>(BIO_get_data(bio))->send(data, static_cast<std::size_t>(size));
    });
    BIO_meth_set_ctrl(made, [](BIO* /*bio*/, int command, long /*number*/, void* /*data*/) -> long {
      return command == BIO_CTRL_FLUSH ? 1 : 0;
    });
    return made;
  }();
  return method;
}

}  // namespace multinet::kube
