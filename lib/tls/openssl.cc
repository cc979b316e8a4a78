#include "lib/tls/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>

namespace multinet::tls::internal {
namespace {

/// A year of root stores is 200 KB; more than this is no bundle.
constexpr std::size_t kPemLimit = 1U << 20U;

Result<BioPtr> open(std::string_view pem) {
  if (pem.size() > kPemLimit) {
    return fail(Code::InvalidArgument, "BadPem",
                "read PEM: " + std::to_string(pem.size()) + " bytes; at most " +
                    std::to_string(kPemLimit) + " are taken");
  }
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr) return fail(opensslError("read PEM"));
  return bio;
}

int refusePassword(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) {
  return 0;
}

}  // namespace

Error opensslError(std::string_view context) {
  std::array<char, 256> text{};
  const unsigned long code = ERR_peek_last_error();
  if (code != 0) ERR_error_string_n(code, text.data(), text.size());
  ERR_clear_error();
  return Error{Code::InvalidArgument, "BadCertificate",
               std::string(context) + ": " + (code != 0 ? text.data() : "no PEM block found")};
}

Result<X509Ptr> readCertificate(std::string_view pem) {
  MULTINET_TRY(const auto bio, open(pem));
  X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, refusePassword, nullptr));
  if (certificate == nullptr) return fail(opensslError("read certificate"));
  return certificate;
}

Result<std::vector<X509Ptr>> readCertificates(std::string_view pem) {
  MULTINET_TRY(const auto bio, open(pem));
  std::vector<X509Ptr> certificates;
  while (true) {
    X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, refusePassword, nullptr));
    if (certificate == nullptr) break;
    certificates.push_back(std::move(certificate));
  }
  const bool atEnd = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (certificates.empty() || !atEnd) return fail(opensslError("read certificates"));
  ERR_clear_error();
  return certificates;
}

Result<KeyPtr> readKey(std::string_view pem) {
  MULTINET_TRY(const auto bio, open(pem));
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refusePassword, nullptr));
  if (key == nullptr) return fail(opensslError("read private key"));
  return key;
}

}  // namespace multinet::tls::internal
