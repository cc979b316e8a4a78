#include "lib/kube/identity.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <utility>

#include "lib/base/log.h"

namespace multinet::kube {
namespace {

constexpr auto kReadEvery = std::chrono::minutes(1);
constexpr auto kReadEveryWhenRefused = std::chrono::seconds(1);
/// A program that is started costs more than a file that is read.
constexpr auto kAskAgain = std::chrono::seconds(10);

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Bio reading(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free};
}

/// The next certificate of the PEM text, or null at its end.
Certificate nextCertificate(BIO* bio) {
  Certificate certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr), &X509_free);
  ERR_clear_error();
  return certificate;
}

tl::unexpected<Error> badMaterial(std::string_view what, std::string_view why) {
  ERR_clear_error();
  return fail(Code::InvalidArgument, "BadCredentials",
              "read " + std::string(what) + ": " + std::string(why));
}

Result<X509_STORE*> makeStore(const std::string& pem) {
  X509_STORE* store = X509_STORE_new();
  if (store == nullptr)
    return fail(Code::ResourceExhausted, "NoMemory", "make CA store: no memory");
  if (pem.empty()) return store;
  const Bio bio = reading(pem);
  int count = 0;
  while (const auto certificate = nextCertificate(bio.get())) {
    X509_STORE_add_cert(store, certificate.get());
    ++count;
  }
  ERR_clear_error();
  if (count == 0) {
    X509_STORE_free(store);
    return badMaterial("certificate authority", "it holds no PEM certificate");
  }
  return store;
}

/// Checks the chain by what stands in its parameters, the name among them. An HTTP library's own
/// check, which would be of the URL's name, is left out.
int checkChain(X509_STORE_CTX* chain, void* /*unused*/) {
  X509_STORE_CTX_set_verify_cb(chain, [](int isRight, X509_STORE_CTX*) { return isRight; });
  return X509_verify_cert(chain);
}

/// Before the first byte is sent: says whom we ask for (SNI), whatever a library has set.
void nameServer(const SSL* ssl, int where, int /*value*/) {
  if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
  SSL* own = const_cast<SSL*>(ssl);  // as OpenSSL's own callbacks do
  char* name = X509_VERIFY_PARAM_get0_host(SSL_get0_param(own), 0);
  SSL_ctrl(own, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name);
}

Status expectServer(SSL_CTX* context, const std::string& name) {
  X509_VERIFY_PARAM* expected = SSL_CTX_get0_param(context);
  const bool isAddress = X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) == 1;
  if (!isAddress && X509_VERIFY_PARAM_set1_host(expected, name.c_str(), name.size()) != 1) {
    return fail(Code::InvalidArgument, "BadServerName",
                "expect tls-server-name \"" + name + "\": it is no name of a server");
  }
  SSL_CTX_set_cert_verify_callback(context, &checkChain, nullptr);
  if (!isAddress) SSL_CTX_set_info_callback(context, &nameServer);
  return {};
}

}  // namespace

Result<std::shared_ptr<const Credentials>> Credentials::read(const Config& config) {
  std::shared_ptr<Credentials> made(new Credentials);
  MULTINET_TRY(made->authorityPem_, config.certificateAuthority.read());
  MULTINET_TRY(made->certificatePem_, config.clientCertificate.read());
  MULTINET_TRY(made->keyPem_, config.clientKey.read());
  MULTINET_TRY(made->token_, config.token.read());
  made->serverName_ = config.serverName;
  const auto end = made->token_.find_last_not_of(" \t\r\n");
  made->token_.erase(end == std::string::npos ? 0 : end + 1);
  MULTINET_TRY(made->store_, makeStore(made->authorityPem_));
  // A certificate and a key that don't fit are found here, not at some later handshake.
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> probe(SSL_CTX_new(TLS_client_method()),
                                                                &SSL_CTX_free);
  MULTINET_CHECK(made->apply(probe.get()));
  return made;
}

Credentials::~Credentials() {
  X509_STORE_free(store_);
}

Status Credentials::apply(SSL_CTX* context) const {
  X509_STORE_up_ref(store_);
  SSL_CTX_set_cert_store(context, store_);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  if (!serverName_.empty()) MULTINET_CHECK(expectServer(context, serverName_));
  if (certificatePem_.empty()) return {};
  const Bio bio = reading(certificatePem_);
  const auto leaf = nextCertificate(bio.get());
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    return badMaterial("client certificate", "it holds no PEM certificate");
  }
  SSL_CTX_clear_chain_certs(context);
  while (const auto link = nextCertificate(bio.get())) SSL_CTX_add1_chain_cert(context, link.get());
  const Bio keyBio = reading(keyPem_);
  const Key key(PEM_read_bio_PrivateKey(keyBio.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free);
  if (!key) return badMaterial("client key", "it holds no PEM private key");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return badMaterial("client key", "it doesn't belong to the client certificate");
  }
  return {};
}

bool Credentials::sameConnection(const Credentials& other) const {
  return authorityPem_ == other.authorityPem_ && certificatePem_ == other.certificatePem_ &&
         keyPem_ == other.keyPem_;
}

Identity::Identity(Config config, const Clock& clock, Reading first)
    : config_(std::move(config)), clock_(clock), current_(std::move(first)), readAt_(clock.now()) {}

Result<Identity::Reading> Identity::read(const Config& config,
                                         std::optional<ExecCredential> answer) {
  Reading made;
  if (!config.exec) {
    MULTINET_TRY(made.credentials, Credentials::read(config));
    return made;
  }
  made.answer = std::move(answer);
  if (!made.answer) {
    MULTINET_TRY(made.answer, askPlugin(config, kPluginPatience));
  }
  Config whole = config;
  whole.token.inlined = made.answer->token;
  whole.clientCertificate.inlined = made.answer->certificatePem;
  whole.clientKey.inlined = made.answer->keyPem;
  MULTINET_TRY(made.credentials, Credentials::read(whole));
  return made;
}

Result<std::unique_ptr<Identity>> Identity::make(const Config& config, const Clock& clock) {
  MULTINET_TRY(auto first, read(config, std::nullopt));
  return std::unique_ptr<Identity>(new Identity(config, clock, std::move(first)));
}

bool Identity::expired() const {
  const auto& answer = current_.answer;
  return answer && answer->expires && clock_.wall() >= *answer->expires;
}

Duration Identity::patience() const {
  if (!config_.exec) return refused_ ? Duration(kReadEveryWhenRefused) : Duration(kReadEvery);
  if (refused_ || failed_) return kAskAgain;
  return expired() ? Duration::zero() : Duration(kReadEvery);
}

std::shared_ptr<const Credentials> Identity::current() {
  std::unique_lock lock(mutex_);
  const auto now = clock_.now();
  if (reading_ || now - readAt_ < patience()) return current_.credentials;
  reading_ = true;
  readAt_ = now;
  auto answer = refused_ || expired() ? std::nullopt : current_.answer;
  refused_ = false;
  lock.unlock();
  auto fresh = read(config_, std::move(answer));
  if (!fresh) log::warn("kept the old credentials", {{"error", fresh.error()}});
  lock.lock();
  reading_ = false;
  failed_ = !fresh.has_value();
  if (fresh) current_ = *std::move(fresh);
  return current_.credentials;
}

void Identity::refused() {
  const std::lock_guard lock(mutex_);
  refused_ = true;
}

}  // namespace multinet::kube
