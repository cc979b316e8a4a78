// OpenSSL's objects as owners, and its error queue as one Error. For lib/tls alone.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace multinet::tls::internal {

/// Frees with one of OpenSSL's functions.
template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using BioPtr = std::unique_ptr<BIO, Free<&BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free<&EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Free<&X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Free<&X509_EXTENSION_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Free<&X509_STORE_free>>;

/// `context: what OpenSSL said last`; empties its queue, which else taints the next call.
[[nodiscard]] Error opensslError(std::string_view context);

/// The first certificate of a PEM text.
[[nodiscard]] Result<X509Ptr> readCertificate(std::string_view pem);
/// All of them, at least one.
[[nodiscard]] Result<std::vector<X509Ptr>> readCertificates(std::string_view pem);
/// An unencrypted private key; an encrypted one is refused, never asked about on a terminal.
[[nodiscard]] Result<KeyPtr> readKey(std::string_view pem);

}  // namespace multinet::tls::internal
