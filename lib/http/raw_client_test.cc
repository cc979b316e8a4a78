#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/x509.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "lib/http/raw_client.h"
#include "lib/tls/openssl.h"

namespace multinet::http::testing {

RawClient::RawClient(std::uint16_t port, const char* source)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval limit{5, 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, source, &address.sin_addr);
  if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    socket_.reset();
  }
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    socket_.reset();
  }
}

bool RawClient::startTls(const tls::KeyPair& own) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (!own.keyPem.empty()) {
    const auto certificate = tls::internal::readCertificate(own.certificatePem);
    const auto key = tls::internal::readKey(own.keyPem);
    if (!certificate || !key) return false;
    SSL_CTX_use_certificate(context_.get(), certificate->get());
    SSL_CTX_use_PrivateKey(context_.get(), key->get());
  }
  ssl_.reset(SSL_new(context_.get()));
  SSL_set_fd(ssl_.get(), socket_.get());
  return SSL_connect(ssl_.get()) == 1;
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const long sent = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                           : ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

long RawClient::readSome(char* buffer, std::size_t size) {
  return ssl_ ? SSL_read(ssl_.get(), buffer, static_cast<int>(size))
              : ::recv(socket_.get(), buffer, size, 0);
}

std::string RawClient::readAll() {
  std::string all = std::move(pending_);
  std::array<char, 16384> buffer{};
  while (true) {
    const long got = readSome(buffer.data(), buffer.size());
    if (got <= 0) return all;
    all.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

std::string RawClient::readAnswer() {
  std::array<char, 16384> buffer{};
  while (true) {
    const auto end = pending_.find("\r\n\r\n");
    if (end != std::string::npos) {
      const auto field = pending_.find("Content-Length: ");
      const auto size = field < end ? std::stoul(pending_.substr(field + 16)) : 0;
      if (pending_.size() >= end + 4 + size) {
        std::string answer = pending_.substr(0, end + 4 + size);
        pending_.erase(0, answer.size());
        return answer;
      }
    }
    const long got = readSome(buffer.data(), buffer.size());
    if (got <= 0) return {};
    pending_.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

bool RawClient::closedWithin(int seconds) {
  const timeval limit{seconds, 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::array<char, 4096> buffer{};
  while (true) {
    const long got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got == 0) return true;
    if (got < 0) return errno == ECONNRESET;
  }
}

std::string RawClient::peerName() const {
  const std::unique_ptr<X509, decltype(&X509_free)> shown(SSL_get1_peer_certificate(ssl_.get()),
                                                          &X509_free);
  if (shown == nullptr) return {};
  std::array<char, 128> text{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, text.data(),
                            static_cast<int>(text.size()));
  return text.data();
}

}  // namespace multinet::http::testing
