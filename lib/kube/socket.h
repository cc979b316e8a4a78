// A connection's bytes, TCP or TLS over it. Its calls wait on the caller's thread, and no longer
// than they may.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

// After <utility>: Boost 1.74 forgets it (asio #944).
#include <openssl/ssl.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include "lib/base/clock.h"
#include "lib/base/fd.h"

namespace multinet::kube {

/// One thread, but `end`. Of the kind that Boost.Beast reads from (SyncReadStream). A call that has
/// failed is the last one: `timed_out` at the limit, `eof` where the other end has said that it
/// ends, and over TLS, where it didn't say so, an error.
class Socket {
 public:
  using ErrorCode = boost::system::error_code;
  using Time = std::chrono::steady_clock::time_point;
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

  Socket() = default;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() = default;

  /// Until when each call that follows may wait.
  void limit(Time until) { until_ = until; }
  /// Once it had to wait for something to read, and that came sooner than this, it lets so much
  /// time pass before it waits again: much of what comes in close order is read at once.
  void gather(Duration time) { gather_ = time; }

  /// To the first of them that answers; the last one's error.
  [[nodiscard]] ErrorCode connect(const Endpoints& endpoints);
  /// Bytes go through TLS from now on, which knows already whose certificate is right.
  [[nodiscard]] ErrorCode handshake(std::unique_ptr<SSL, decltype(&SSL_free)> tls);
  /// All of it.
  [[nodiscard]] ErrorCode write(std::string_view bytes);
  /// What is there, at least a byte; waits for it.
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, ErrorCode& error) {  // NOLINT: Beast's name
    const boost::asio::mutable_buffer buffer = *boost::asio::buffer_sequence_begin(buffers);
    return read(static_cast<char*>(buffer.data()), buffer.size(), error);
  }
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers) {  // NOLINT: Beast's name
    ErrorCode error;
    const auto size = read_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return size;
  }
  /// Nothing was heard that wasn't read, an end neither. Doesn't wait.
  [[nodiscard]] bool silent();
  /// Any thread: whatever waits fails, and all that comes later.
  void end();

 private:
  [[nodiscard]] ErrorCode connect(const boost::asio::ip::tcp::endpoint& endpoint);
  [[nodiscard]] bool use(Fd socket);
  [[nodiscard]] std::size_t read(char* data, std::size_t size, ErrorCode& error);
  /// Of the TCP connection; at most -1 with failure_ set.
  [[nodiscard]] int receive(char* data, std::size_t size);
  [[nodiscard]] int send(const char* data, std::size_t size);
  [[nodiscard]] bool await(short events);
  void pause() const;
  /// Why TLS failed.
  [[nodiscard]] ErrorCode tlsFailure() const;
  [[nodiscard]] static BIO_METHOD* bioMethod();

  std::mutex mutex_;  ///< whoever ends it uses the descriptor, which nobody may close then
  bool ended_ = false;
  Fd fd_;
  std::unique_ptr<SSL, decltype(&SSL_free)> tls_{nullptr, &SSL_free};
  Time until_;
  Duration gather_{};
  bool drained_ = true;  ///< nothing was left when it was last read
  bool quick_ = false;   ///< what it last waited for came sooner than gather_
  Time came_;            ///< when that was
  ErrorCode failure_;
};

}  // namespace multinet::kube
