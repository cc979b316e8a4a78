#include "lib/tls/reloading_certificate.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>

#include "lib/tls/certificate.h"

namespace multinet::tls {
namespace {

using namespace std::chrono_literals;

/// A directory like a mounted Secret: names lead through `..data` into a versioned directory.
class SecretDirectory {
 public:
  SecretDirectory() {
    std::string name = "/tmp/multinet-tls-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~SecretDirectory() { std::filesystem::remove_all(path_); }
  SecretDirectory(const SecretDirectory&) = delete;
  SecretDirectory& operator=(const SecretDirectory&) = delete;

  [[nodiscard]] std::string str() const { return path_; }

  void put(const std::string& certificate, const std::string& key) {
    const auto version = path_ / ("..v" + std::to_string(++version_));
    std::filesystem::create_directory(version);
    std::ofstream(version / "tls.crt") << certificate;
    std::ofstream(version / "tls.key") << key;
    std::filesystem::create_symlink(version.filename(), path_ / "..data_tmp");
    std::filesystem::rename(path_ / "..data_tmp", path_ / "..data");
    for (const char* file : {"tls.crt", "tls.key"}) {
      std::error_code exists;
      std::filesystem::create_symlink(std::filesystem::path("..data") / file, path_ / file, exists);
    }
  }

 private:
  std::filesystem::path path_;
  int version_ = 0;
};

/// Waits for results of reloads instead of sleeping.
class Reloads {
 public:
  ReloadingCertificate::Observer observer() {
    return [this](const Status& result) {
      const std::lock_guard lock(mutex_);
      results_.push_back(result);
      changed_.notify_all();
    };
  }
  /// True when a result that fits came within 5 s.
  bool await(const std::function<bool(const Status&)>& fits) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 5s,
                             [&] { return std::any_of(results_.begin(), results_.end(), fits); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Status> results_;
};

bool good(const Status& result) {
  return result.has_value();
}

class ReloadingCertificateTest : public testing::Test {
 protected:
  [[nodiscard]] KeyPair leaf(Duration lifetime) const {
    return *signLeaf(ca_, {.commonName = "w", .dnsNames = {"w"}, .lifetime = lifetime}, now_);
  }
  [[nodiscard]] WallTime end(const KeyPair& pair) const {
    return parseCertificate(pair.certificatePem)->notAfter;
  }

  WallTime now_ = SystemClock().wall();
  KeyPair ca_ = *makeCa({.commonName = "ca"}, now_);
  SecretDirectory directory_;
  Reloads reloads_;
};

TEST_F(ReloadingCertificateTest, ReadsAtOnceAndFollowsTheSymlink) {
  const auto first = leaf(24h);
  const auto second = leaf(48h);
  directory_.put(first.certificatePem, first.keyPem);
  // A poll of an hour: only inotify can see the change in time.
  ReloadingCertificate certificate({.directory = directory_.str(), .poll = 1h});
  ASSERT_TRUE(certificate.loaded());
  EXPECT_EQ(certificate.notAfter(), end(first));
  const auto held = certificate.context();

  directory_.put(second.certificatePem, second.keyPem);
  for (int i = 0; i < 500 && certificate.notAfter() != end(second); ++i) usleep(10'000);
  EXPECT_EQ(certificate.notAfter(), end(second));
  EXPECT_NE(certificate.context(), held);
  EXPECT_NE(SSL_CTX_get0_certificate(held.get()), nullptr) << "a connection's own context lives";
}

TEST_F(ReloadingCertificateTest, WaitsForFilesThatAreNotThereYet) {
  ReloadingCertificate certificate({.directory = directory_.str(), .poll = 1h},
                                   reloads_.observer());
  EXPECT_FALSE(certificate.loaded());
  EXPECT_FALSE(certificate.lastResult());
  const auto pair = leaf(24h);
  directory_.put(pair.certificatePem, pair.keyPem);
  EXPECT_TRUE(reloads_.await(good));
  EXPECT_TRUE(certificate.loaded());
}

TEST_F(ReloadingCertificateTest, KeepsTheGoodPairWhenABrokenOneComes) {
  const auto pair = leaf(24h);
  const auto other = leaf(48h);
  directory_.put(pair.certificatePem, pair.keyPem);
  ReloadingCertificate certificate({.directory = directory_.str(), .poll = 1h},
                                   reloads_.observer());
  const auto held = certificate.context();
  directory_.put(other.certificatePem, pair.keyPem);
  EXPECT_TRUE(reloads_.await(
      [](const Status& result) { return !result && result.error().reason == "KeyMismatch"; }));
  EXPECT_EQ(certificate.context(), held);
  EXPECT_EQ(certificate.notAfter(), end(pair));
  EXPECT_EQ(certificate.lastResult().error().reason, "KeyMismatch");
}

TEST_F(ReloadingCertificateTest, PollFindsADirectoryThatCameLate) {
  const auto pair = leaf(24h);
  const std::string missing = directory_.str() + "/later";
  ReloadingCertificate certificate({.directory = missing, .poll = 20ms}, reloads_.observer());
  EXPECT_FALSE(certificate.loaded());
  std::filesystem::create_directory(missing);
  std::ofstream(missing + "/tls.key") << pair.keyPem;
  std::ofstream(missing + "/tls.crt") << pair.certificatePem;
  EXPECT_TRUE(reloads_.await(good));
}

TEST_F(ReloadingCertificateTest, ServesTheWholeChainAndNothingOld) {
  const auto pair = leaf(24h);
  const auto context = makeServerContext(pair.certificatePem + ca_.certificatePem, pair.keyPem);
  ASSERT_TRUE(context) << context.error().message;
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context->get(), static_cast<void*>(&chain));
  EXPECT_EQ(sk_X509_num(chain), 1);
  EXPECT_EQ(SSL_CTX_get_min_proto_version(context->get()), TLS1_2_VERSION);
}

}  // namespace
}  // namespace multinet::tls
