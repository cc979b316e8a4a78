#include "lib/tls/unchecked_client.h"

#include <gmock/gmock.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "lib/base/fake_clock.h"
#include "lib/tls/certificate.h"
#include "lib/tls/openssl.h"

namespace multinet::tls {
namespace {

using internal::Free;

/// OpenSSL's own server, in memory.
class Server {
 public:
  explicit Server(int newest = TLS1_3_VERSION) : context_(SSL_CTX_new(TLS_server_method())) {
    const auto now = FakeClock().wall();
    const auto ca = makeCa({.commonName = "nobody's"}, now).value();
    const auto pair = signLeaf(ca, {.commonName = "x", .dnsNames = {"x"}}, now).value();
    const auto certificate = internal::readCertificate(pair.certificatePem).value();
    const auto key = internal::readKey(pair.keyPem).value();
    SSL_CTX_set_max_proto_version(context_.get(), newest);
    SSL_CTX_use_certificate(context_.get(), certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), key.get());
    session_.reset(SSL_new(context_.get()));
    BIO* in = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(session_.get(), in, BIO_new(BIO_s_mem()));
    SSL_set_accept_state(session_.get());
  }

  /// What it has to say to that; it answers each line with its length.
  std::string hear(std::string_view bytes) {
    BIO_write(SSL_get_rbio(session_.get()), bytes.data(), static_cast<int>(bytes.size()));
    char text[1000];
    if (SSL_do_handshake(session_.get()) == 1) {
      const int got = SSL_read(session_.get(), text, sizeof text);
      if (got > 0) {
        heard.append(text, static_cast<std::size_t>(got));
        const std::string answer = "heard " + std::to_string(got);
        SSL_write(session_.get(), answer.data(), static_cast<int>(answer.size()));
      }
    }
    std::string out;
    int got = 0;
    while ((got = BIO_read(SSL_get_wbio(session_.get()), text, sizeof text)) > 0) {
      out.append(text, static_cast<std::size_t>(got));
    }
    return out;
  }

  std::string heard;

 private:
  std::unique_ptr<SSL_CTX, Free<&SSL_CTX_free>> context_;
  std::unique_ptr<SSL, Free<&SSL_free>> session_;
};

/// Until both are silent; `piece` bytes at a time.
Status talk(UncheckedClient& client, Server& server, std::size_t piece) {
  while (!client.output().empty()) {
    const std::string said(client.output().substr(0, piece));
    client.wrote(said.size());
    const std::string answer = server.hear(said);
    for (std::size_t at = 0; at < answer.size(); at += piece) {
      MULTINET_CHECK(client.receive(std::string_view(answer).substr(at, piece)));
    }
  }
  return {};
}

TEST(UncheckedClient, TalksToWhoeverAnswersInPiecesOfAnySize) {
  for (const int newest : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const std::size_t piece : {1U, 7U, 100'000U}) {
      Server server(newest);
      auto client = UncheckedClient::begin().value();
      EXPECT_FALSE(client.established());
      client.send("hello");
      const auto done = talk(client, server, piece);
      ASSERT_TRUE(done) << done.error().message;
      EXPECT_TRUE(client.established()) << "a certificate of nobody's is taken";
      EXPECT_EQ(server.heard, "hello");
      EXPECT_EQ(client.take(), "heard 5");
      EXPECT_EQ(client.take(), "");
    }
  }
}

TEST(UncheckedClient, WhoeverSpeaksNoTlsIsToldApart) {
  auto client = UncheckedClient::begin().value();
  const auto heard = client.receive("HTTP/1.1 400 Bad Request\r\n\r\n");
  ASSERT_FALSE(heard);
  EXPECT_EQ(heard.error().reason, "TlsFailed");
  EXPECT_THAT(heard.error().message, testing::HasSubstr("TLS handshake: "));
  EXPECT_TRUE(UncheckedClient::begin()) << "the next one is another";
}

TEST(UncheckedClient, OldVersionsAreNone) {
  Server server(TLS1_1_VERSION);
  auto client = UncheckedClient::begin().value();
  EXPECT_FALSE(talk(client, server, 1000).has_value() && client.established());
}

}  // namespace
}  // namespace multinet::tls
