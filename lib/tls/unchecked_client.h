// One TLS connection of a client without its socket: bytes come in, what they mean goes out, what
// is said becomes bytes in output(). The server's certificate is not checked: this is for asking
// whether somebody answers, and nothing that is secret may be said.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/result.h"

struct ssl_st;

namespace multinet::tls {

/// One thread at a time. Not thread-safe; nothing in it waits.
class UncheckedClient {
 public:
  /// TLS 1.2 or newer, without a name of the server: it is known by its address alone.
  [[nodiscard]] static Result<UncheckedClient> begin();

  /// Goes out once the handshake is over.
  void send(std::string_view bytes) { unsent_.append(bytes); }
  /// What came. After an error the connection is over: write output(), which tells the server why.
  [[nodiscard]] Status receive(std::string_view bytes);
  /// What the server said since the last call.
  [[nodiscard]] std::string take() { return std::exchange(said_, {}); }
  [[nodiscard]] bool established() const { return established_; }

  /// Bytes for the socket.
  [[nodiscard]] std::string_view output() const { return output_; }
  /// That many of them are written.
  void wrote(std::size_t bytes) { output_.erase(0, bytes); }

 private:
  struct Free {
    void operator()(ssl_st* session) const;
  };
  explicit UncheckedClient(std::unique_ptr<ssl_st, Free> session) : session_(std::move(session)) {}
  /// As far as it goes with what came so far.
  [[nodiscard]] Status goOn();
  /// Nothing where it only lacks bytes.
  [[nodiscard]] Status after(int result, const char* doing);
  void drain();

  std::unique_ptr<ssl_st, Free> session_;
  bool established_ = false;
  std::string unsent_;
  std::string said_;
  std::string output_;
};

}  // namespace multinet::tls
