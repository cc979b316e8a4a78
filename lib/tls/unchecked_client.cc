#include "lib/tls/unchecked_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <climits>

#include "lib/tls/openssl.h"

namespace multinet::tls {
namespace {

using ContextPtr = std::unique_ptr<SSL_CTX, internal::Free<&SSL_CTX_free>>;

int sizeOf(std::string_view bytes) {
  return static_cast<int>(std::min<std::size_t>(bytes.size(), INT_MAX));
}

Error tlsError(const char* doing) {
  Error error = internal::opensslError(doing);
  error.code = Code::Unavailable;
  error.reason = "TlsFailed";
  return error;
}

}  // namespace

void UncheckedClient::Free::operator()(ssl_st* session) const {
  SSL_free(session);
}

Result<UncheckedClient> UncheckedClient::begin() {
  const ContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return fail(tlsError("make a TLS client"));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  // A key that is too short for Debian's own level says nothing against whoever answers with it.
  SSL_CTX_set_security_level(context.get(), 1);
  std::unique_ptr<ssl_st, Free> session(SSL_new(context.get()));
  internal::BioPtr in(BIO_new(BIO_s_mem()));
  internal::BioPtr out(BIO_new(BIO_s_mem()));
  if (session == nullptr || in == nullptr || out == nullptr) {
    return fail(tlsError("make a TLS client"));
  }
  BIO_set_mem_eof_return(in.get(), -1);  // no bytes yet isn't the end
  SSL_set_bio(session.get(), in.release(), out.release());
  SSL_set_connect_state(session.get());
  UncheckedClient client(std::move(session));
  MULTINET_CHECK(client.goOn());
  return client;
}

Status UncheckedClient::receive(std::string_view bytes) {
  if (BIO_write(SSL_get_rbio(session_.get()), bytes.data(), sizeOf(bytes)) != sizeOf(bytes)) {
    return fail(tlsError("take bytes of TLS"));
  }
  return goOn();
}

Status UncheckedClient::goOn() {
  ERR_clear_error();
  if (!established_) {
    const int result = SSL_do_handshake(session_.get());
    established_ = result == 1;
    const Status done = after(result, "TLS handshake");
    drain();
    if (!done || !established_) return done;
  }
  if (!unsent_.empty()) {
    const int written = SSL_write(session_.get(), unsent_.data(), sizeOf(unsent_));
    const Status done = after(written, "write by TLS");
    if (!done) return done;
    if (written > 0) unsent_.erase(0, static_cast<std::size_t>(written));
  }
  std::array<char, 4096> text{};
  int got = 0;
  while ((got = SSL_read(session_.get(), text.data(), static_cast<int>(text.size()))) > 0) {
    said_.append(text.data(), static_cast<std::size_t>(got));
  }
  const Status done = after(got, "read by TLS");
  drain();
  return done;
}

Status UncheckedClient::after(int result, const char* doing) {
  if (result > 0) return {};
  const int error = SSL_get_error(session_.get(), result);
  // The other end's orderly goodbye is told by its closing the socket.
  const bool lacksBytes = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN;
  return lacksBytes ? Status() : Status(fail(tlsError(doing)));
}

void UncheckedClient::drain() {
  std::array<char, 4096> bytes{};
  BIO* out = SSL_get_wbio(session_.get());
  int got = 0;
  while ((got = BIO_read(out, bytes.data(), static_cast<int>(bytes.size()))) > 0) {
    output_.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace multinet::tls
