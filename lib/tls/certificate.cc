#include "lib/tls/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "lib/base/ip.h"
#include "lib/tls/openssl.h"

namespace multinet::tls {
namespace {

using internal::BioPtr;
using internal::ExtensionPtr;
using internal::KeyPtr;
using internal::StorePtr;
using internal::X509Ptr;

Result<std::string> bioText(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  if (size <= 0) return fail(internal::opensslError("encode PEM"));
  return std::string(data, static_cast<std::size_t>(size));
}

Result<std::string> certificateToPem(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate) != 1) {
    return fail(internal::opensslError("encode certificate"));
  }
  return bioText(bio.get());
}

Result<std::string> keyToPem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr ||
      PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return fail(internal::opensslError("encode private key"));
  }
  return bioText(bio.get());
}

std::time_t seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// RFC 5280 section 4.1.2.2: positive, unique, at most 20 octets; 127 random bits.
bool setSerial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7FU) | 0x40U);
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr), &BN_free);
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool setName(X509_NAME* name, const std::string& commonName) {
  const auto* text = reinterpret_cast<const unsigned char*>(commonName.data());
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text,
                                    static_cast<int>(commonName.size()), -1, 0) == 1;
}

bool addExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

struct Draft {
  X509Ptr certificate;
  KeyPtr key;
};

Result<Draft> draft(const std::string& commonName, WallTime notBefore, WallTime notAfter) {
  if (commonName.empty() || commonName.size() > 64) {
    return fail(Code::InvalidArgument, "BadCommonName",
                "make certificate: common name \"" + commonName + "\" must have 1 to 64 bytes");
  }
  Draft made{X509Ptr(X509_new()), KeyPtr(EVP_EC_gen("P-256"))};
  X509* certificate = made.certificate.get();
  if (certificate == nullptr || made.key == nullptr || X509_set_version(certificate, 2) != 1 ||
      !setSerial(certificate) || !setName(X509_get_subject_name(certificate), commonName) ||
      X509_set_pubkey(certificate, made.key.get()) != 1 ||
      ASN1_TIME_set(X509_getm_notBefore(certificate), seconds(notBefore)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate), seconds(notAfter)) == nullptr) {
    return fail(internal::opensslError("make certificate " + commonName));
  }
  return made;
}

Result<KeyPair> sign(const Draft& made, EVP_PKEY* signer, const std::string& commonName) {
  if (X509_sign(made.certificate.get(), signer, EVP_sha256()) == 0) {
    return fail(internal::opensslError("sign certificate " + commonName));
  }
  KeyPair pair;
  MULTINET_TRY(pair.certificatePem, certificateToPem(made.certificate.get()));
  MULTINET_TRY(pair.keyPem, keyToPem(made.key.get()));
  return pair;
}

/// The value of subjectAltName in OpenSSL's configuration syntax. DNS names are checked, since a
/// comma in one would start another entry.
Result<std::string> alternativeNames(const LeafRequest& request) {
  std::string text;
  const auto append = [&text](std::string_view kind, const std::string& value) {
    if (!text.empty()) text += ',';
    text += std::string(kind) + ":" + value;
  };
  for (const auto& name : request.dnsNames) {
    const bool plain = !name.empty() && name.size() <= 253 &&
                       name.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "0123456789.-*") == std::string::npos;
    if (!plain) {
      return fail(Code::InvalidArgument, "BadDnsName",
                  "make certificate " + request.commonName + ": \"" + name +
                      "\" is no DNS name; letters, digits, '-' and '.' are");
    }
    append("DNS", name);
  }
  for (const auto& literal : request.ipAddresses) {
    MULTINET_TRY(const auto address, IpAddress::parse(literal));
    append("IP", address.str());
  }
  if (text.empty()) {
    return fail(Code::InvalidArgument, "NoName",
                "make certificate " + request.commonName +
                    ": no DNS name and no address given; clients check these, not the common name");
  }
  return text;
}

WallTime fromAsn1(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return WallTime(std::chrono::seconds(timegm(&parts)));
}

std::string nameText(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  return bioText(bio.get()).value_or(std::string());
}

void readAlternativeNames(X509* certificate, CertificateInfo& info) {
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  if (names == nullptr) return;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      const ASN1_STRING* text = name->d.dNSName;
      info.dnsNames.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                 static_cast<std::size_t>(ASN1_STRING_length(text)));
    } else if (name->type == GEN_IPADD) {
      const unsigned char* data = ASN1_STRING_get0_data(name->d.iPAddress);
      if (ASN1_STRING_length(name->d.iPAddress) == 4) {
        std::array<std::uint8_t, 4> bytes{};
        std::copy_n(data, bytes.size(), bytes.begin());
        info.ipAddresses.push_back(IpAddress::fromV4(bytes).str());
      } else if (ASN1_STRING_length(name->d.iPAddress) == 16) {
        std::array<std::uint8_t, 16> bytes{};
        std::copy_n(data, bytes.size(), bytes.begin());
        info.ipAddresses.push_back(IpAddress::fromV6(bytes).str());
      }
    }
  }
}

}  // namespace

Result<KeyPair> makeCa(const CaRequest& request, WallTime now) {
  MULTINET_TRY(const auto made,
               draft(request.commonName, now - std::chrono::hours(1), now + request.lifetime));
  X509* certificate = made.certificate.get();
  if (X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) != 1 ||
      !addExtension(certificate, certificate, NID_basic_constraints,
                    "critical,CA:TRUE,pathlen:0") ||
      !addExtension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !addExtension(certificate, certificate, NID_subject_key_identifier, "hash")) {
    return fail(internal::opensslError("make CA " + request.commonName));
  }
  return sign(made, made.key.get(), request.commonName);
}

Result<KeyPair> signLeaf(const KeyPair& ca, const LeafRequest& request, WallTime now) {
  MULTINET_TRY(const auto issuer, internal::readCertificate(ca.certificatePem));
  MULTINET_TRY(const auto issuerKey, internal::readKey(ca.keyPem));
  if (X509_check_private_key(issuer.get(), issuerKey.get()) != 1) {
    return fail(Code::InvalidArgument, "KeyMismatch",
                "sign certificate " + request.commonName + ": the CA's key is another CA's");
  }
  MULTINET_TRY(const auto names, alternativeNames(request));
  const WallTime end = std::min(now + request.lifetime, fromAsn1(X509_get0_notAfter(issuer.get())));
  if (end <= now) {
    return fail(Code::FailedPrecondition, "CaExpired",
                "sign certificate " + request.commonName + ": the CA ended at " + formatTime(end));
  }
  MULTINET_TRY(const auto made, draft(request.commonName, now - std::chrono::hours(1), end));
  X509* certificate = made.certificate.get();
  if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer.get())) != 1 ||
      !addExtension(certificate, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !addExtension(certificate, issuer.get(), NID_key_usage, "critical,digitalSignature") ||
      !addExtension(certificate, issuer.get(), NID_ext_key_usage, request.usage) ||
      !addExtension(certificate, issuer.get(), NID_authority_key_identifier, "keyid") ||
      !addExtension(certificate, issuer.get(), NID_subject_alt_name, names)) {
    return fail(internal::opensslError("make certificate " + request.commonName));
  }
  return sign(made, issuerKey.get(), request.commonName);
}

Result<CertificateInfo> parseCertificate(std::string_view pem) {
  MULTINET_TRY(const auto certificate, internal::readCertificate(pem));
  CertificateInfo info;
  info.subject = nameText(X509_get_subject_name(certificate.get()));
  info.issuer = nameText(X509_get_issuer_name(certificate.get()));
  info.notBefore = fromAsn1(X509_get0_notBefore(certificate.get()));
  info.notAfter = fromAsn1(X509_get0_notAfter(certificate.get()));
  info.isCa = X509_check_ca(certificate.get()) == 1;
  readAlternativeNames(certificate.get(), info);
  return info;
}

Result<std::vector<std::string>> splitBundle(std::string_view pem) {
  std::vector<std::string> found;
  MULTINET_TRY(const auto certificates, internal::readCertificates(pem));
  for (const auto& certificate : certificates) {
    MULTINET_TRY(auto text, certificateToPem(certificate.get()));
    found.push_back(std::move(text));
  }
  return found;
}

Status checkPair(const KeyPair& pair) {
  MULTINET_TRY(const auto certificate, internal::readCertificate(pair.certificatePem));
  MULTINET_TRY(const auto key, internal::readKey(pair.keyPem));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return fail(Code::InvalidArgument, "KeyMismatch",
                "check certificate " + nameText(X509_get_subject_name(certificate.get())) +
                    ": the key is another certificate's");
  }
  return {};
}

Status checkSignedBy(std::string_view pem, std::string_view caBundlePem, WallTime now) {
  MULTINET_TRY(const auto certificate, internal::readCertificate(pem));
  MULTINET_TRY(const auto authorities, internal::readCertificates(caBundlePem));
  const StorePtr store(X509_STORE_new());
  const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> context(
      X509_STORE_CTX_new(), &X509_STORE_CTX_free);
  if (store == nullptr || context == nullptr) return fail(internal::opensslError("check CA"));
  for (const auto& authority : authorities) X509_STORE_add_cert(store.get(), authority.get());
  if (X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr) != 1) {
    return fail(internal::opensslError("check CA"));
  }
  X509_STORE_CTX_set_time(context.get(), 0, seconds(now));
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_SERVER);
  if (X509_verify_cert(context.get()) == 1) return {};
  const int reason = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  return fail(Code::FailedPrecondition, "NotTrusted",
              "check certificate " + nameText(X509_get_subject_name(certificate.get())) + ": " +
                  X509_verify_cert_error_string(reason));
}

}  // namespace multinet::tls
