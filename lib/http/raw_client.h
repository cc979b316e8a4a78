// A client for tests that sends exactly the bytes it is told to, over TLS or plain.
#pragma once

#include <openssl/ssl.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <string_view>

#include "lib/base/fd.h"
#include "lib/tls/certificate.h"

namespace multinet::http::testing {

class RawClient {
 public:
  /// Connects to the loopback address, from `source`; reads give up after 5 s.
  explicit RawClient(std::uint16_t port, const char* source = "127.0.0.1");
  /// Handshake, accepting any certificate and showing `own`, where it isn't empty. False where it
  /// failed; a server that refuses `own` may say so only when it is read from.
  [[nodiscard]] bool startTls(const tls::KeyPair& own = {});
  bool send(std::string_view bytes);
  /// Everything until the server closes or 5 s pass without a byte.
  [[nodiscard]] std::string readAll();
  /// One answer with its body by Content-Length; empty where the connection ended.
  [[nodiscard]] std::string readAnswer();
  /// True when the server closes within `seconds` and sends nothing more.
  [[nodiscard]] bool closedWithin(int seconds);
  /// notAfter and names aside, the PEM subject's common name that the server showed.
  [[nodiscard]] std::string peerName() const;

 private:
  [[nodiscard]] long readSome(char* buffer, std::size_t size);

  struct FreeContext {
    void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
  };
  struct FreeSsl {
    void operator()(SSL* s) const { SSL_free(s); }
  };
  Fd socket_;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::string pending_;
};

}  // namespace multinet::http::testing
