#include "lib/tls/reloading_certificate.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "lib/tls/certificate.h"
#include "lib/tls/openssl.h"

namespace multinet::tls {
namespace {

bool useChain(SSL_CTX* context, const std::vector<internal::X509Ptr>& chain) {
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) return false;
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return false;
  }
  return true;
}

bool askClients(SSL_CTX* context, const std::vector<internal::X509Ptr>& authorities) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const auto& authority : authorities) {
    if (X509_STORE_add_cert(store, authority.get()) != 1) return false;
    if (SSL_CTX_add_client_CA(context, authority.get()) != 1) return false;
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // A client that offers a session gets a new one; without a context of its own it gets an error.
  constexpr unsigned char kSessions[] = "multinet";
  return SSL_CTX_set_session_id_context(context, kSessions, sizeof kSessions - 1) == 1;
}

}  // namespace

Result<ServerContext> makeServerContext(const std::string& certificatePem,
                                        const std::string& keyPem, const std::string& clientCaPem) {
  MULTINET_CHECK(checkPair({certificatePem, keyPem}));
  MULTINET_TRY(const auto chain, internal::readCertificates(certificatePem));
  MULTINET_TRY(const auto key, internal::readKey(keyPem));
  ServerContext context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      !useChain(context.get(), chain) || SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return fail(internal::opensslError("make TLS context"));
  }
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                         SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  // An idle connection then holds 2 KB instead of 34 KB.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  if (!clientCaPem.empty()) {
    MULTINET_TRY(const auto authorities, internal::readCertificates(clientCaPem));
    if (!askClients(context.get(), authorities)) {
      return fail(internal::opensslError("trust CAs of clients"));
    }
  }
  return context;
}

ReloadingCertificate::ReloadingCertificate(Options options, Observer observer)
    : options_(std::move(options)),
      observer_(std::move(observer)),
      inotify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      lastResult_(fail(Code::Unavailable, "NotRead", "read certificate: not tried yet")) {
  watchDirectory();  // before the read, so that nothing that happens between is lost
  reload();
  runner_ = std::make_unique<async::Runner>("certificate", kSystemClock,
                                            [this] { return waitForChange(); });
}

ReloadingCertificate::~ReloadingCertificate() {
  stopping_ = true;
  const std::uint64_t one = 1;
  static_cast<void>(!write(wake_.get(), &one, sizeof one));
}

ServerContext ReloadingCertificate::context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

WallTime ReloadingCertificate::notAfter() const {
  const std::lock_guard lock(mutex_);
  return notAfter_;
}

Status ReloadingCertificate::usable(WallTime now) const {
  if (!loaded()) return lastResult();
  const WallTime end = notAfter();
  if (now < end) return {};
  return fail(Code::Unavailable, "CertificateExpired",
              "serve certificate in " + options_.directory + ": it ended at " + formatTime(end) +
                  " and no newer one has come");
}

Status ReloadingCertificate::lastResult() const {
  const std::lock_guard lock(mutex_);
  return lastResult_;
}

void ReloadingCertificate::watchDirectory() {
  // Adding the same directory again is free and re-arms a watch that went with its directory.
  watch_ = inotify_add_watch(inotify_.get(), options_.directory.c_str(),
                             IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ONLYDIR);
}

async::Task ReloadingCertificate::waitForChange() {
  const int timeout = static_cast<int>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.poll).count());
  std::array<pollfd, 2> waits{{{inotify_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
  if (::poll(waits.data(), waits.size(), timeout) < 0 && errno != EINTR) return nullptr;
  if (stopping_) return nullptr;
  return [this] {
    // What happened doesn't matter, only that something did: the files say the rest.
    std::array<char, 4096> events{};
    while (read(inotify_.get(), events.data(), events.size()) > 0) {
    }
    watchDirectory();
    reload();
  };
}

void ReloadingCertificate::reload() {
  const std::string before = seen_;
  const Status result = readAndSwap();
  {
    const std::lock_guard lock(mutex_);
    lastResult_ = result;
  }
  if (observer_ && seen_ != before) observer_(result);
}

Status ReloadingCertificate::readAndSwap() {
  const std::string directory = options_.directory + "/";
  auto certificate = readFile(directory + options_.certificateFile);
  auto key = readFile(directory + options_.keyFile);
  const bool asksClients = !options_.clientCaFile.empty();
  auto clientCa = asksClients ? readFile(options_.clientCaFile) : Result<std::string>();
  std::string content = certificate.value_or("absent") + '\0' + key.value_or("absent") + '\0' +
                        clientCa.value_or("absent");
  if (content == seen_) return lastResult();
  seen_ = std::move(content);
  if (!certificate) return fail(certificate.error());
  if (!key) return fail(key.error());
  if (!clientCa) return fail(clientCa.error());
  if (asksClients && clientCa->empty()) {
    return fail(Code::InvalidArgument, "NoClientCA",
                "read CAs of clients: " + options_.clientCaFile + " is empty");
  }
  MULTINET_TRY(auto context, makeServerContext(*certificate, *key, *clientCa));
  MULTINET_TRY(const auto info, parseCertificate(*certificate));
  const std::lock_guard lock(mutex_);
  context_ = std::move(context);
  notAfter_ = info.notAfter;
  return {};
}

}  // namespace multinet::tls
