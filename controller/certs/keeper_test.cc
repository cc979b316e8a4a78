#include "controller/certs/keeper.h"

#include <gtest/gtest.h>

#include <functional>

#include "lib/base/encoding.h"
#include "lib/base/fake_clock.h"
#include "lib/kube/fake_transport.h"

namespace multinet::controller {
namespace {

using nlohmann::json;

const std::string kSecrets = "/api/v1/namespaces/multinet-system/secrets/";
const std::string kConfigurations = "/apis/admissionregistration.k8s.io/v1/";

/// An API server of one cluster, and who keeps the certificates there.
class Cluster {
 public:
  Cluster() {
    auto transport = std::make_unique<kube::FakeTransport>(store_);
    transport->before = [this](const kube::HttpRequest& request) {
      if (request.method != kube::Method::Get) writing(request);
      return std::nullopt;
    };
    client_ = std::make_unique<kube::Client>(std::move(transport));
    certificates_ = std::make_unique<CertificateStore>(*client_, "multinet-system");
  }

  Result<Kept> keep(const std::function<bool()>& mayWrite = [] { return true; }) {
    return keepCertificates(*certificates_, {"multinet-webhook.multinet-system.svc"}, clock,
                            mayWrite);
  }
  /// Both configurations, as they are applied.
  void configure() {
    configure(kMutateConfiguration, 1);
    configure(kValidateConfiguration, 1);
  }
  /// Of as many webhooks, whose bundle is `bundle`.
  void configure(const char* name, int webhooks, const std::string& bundle = "") {
    json all = json::array();
    for (int i = 0; i < webhooks; ++i) {
      all.push_back({{"clientConfig", {{"caBundle", encodeBase64(bundle)}}}});
    }
    const bool mutates = std::string(name) == kMutateConfiguration;
    const auto path = testing::ResourcePath::parse(
        kConfigurations + (mutates ? "mutating" : "validating") + "webhookconfigurations/" + name);
    store_.patch(path, {{"metadata", {{"name", name}}}, {"webhooks", std::move(all)}},
                 testing::ObjectStore::IfAbsent::Create);
  }
  std::vector<std::string> bundles(const char* name) {
    return certificates_->readBundles(name)->value().bundles;
  }
  std::optional<SecretData> secret(const char* name) {
    const auto found = certificates_->readSecret(name).value();
    return found ? std::optional(found->data) : std::nullopt;
  }
  void put(const char* name, const SecretData& data) {
    EXPECT_TRUE(certificates_->createSecret(name, data));
  }
  void erase(const char* name) {
    store_.remove(testing::ResourcePath::parse(kSecrets + name), json::object());
  }

  FakeClock clock;
  std::function<void()> beforeWrite;  ///< what another leader does just before, once
  std::vector<std::string> writes;    ///< `POST multinet-webhook-ca`

 private:
  void writing(const kube::HttpRequest& request) {
    if (isHook_) return;
    isHook_ = true;
    if (beforeWrite) beforeWrite();
    isHook_ = false;
    const std::string path = request.target.substr(0, request.target.find('?'));
    std::string name = testing::ResourcePath::parse(path).name;
    if (name.empty()) name = json::parse(request.body)["metadata"]["name"];
    writes.push_back(std::string(kube::name(request.method)) + " " + name);
  }

  testing::ObjectStore store_;
  bool isHook_ = false;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<CertificateStore> certificates_;
};

TEST(KeepCertificates, FromNothingTrustComesBeforeUse) {
  Cluster cluster;
  cluster.configure(kMutateConfiguration, 1);
  cluster.configure(kValidateConfiguration, 2);
  const auto kept = cluster.keep();
  ASSERT_TRUE(kept.has_value()) << kept.error().message;
  EXPECT_TRUE(kept->wrote);
  EXPECT_EQ(kept->servingEnds, cluster.clock.wall() + kLeafLifetime);
  EXPECT_EQ(kept->authorityEnds, cluster.clock.wall() + kCaLifetime);
  EXPECT_EQ(cluster.writes,
            (std::vector<std::string>{"POST multinet-webhook-ca", "PATCH multinet-mutate",
                                      "PATCH multinet-validate", "POST multinet-webhook-tls"}));
  EXPECT_EQ(cluster.bundles(kValidateConfiguration),
            std::vector<std::string>(2, cluster.secret(kAuthoritySecret)->at("ca.crt")));
}

// At an installation the configurations are applied last. A webhook that is ready before them is
// called with a certificate that nobody vouches for.
TEST(KeepCertificates, TheFirstCertificateWaitsForBothConfigurations) {
  Cluster cluster;
  cluster.configure(kMutateConfiguration, 1);
  auto kept = cluster.keep();
  ASSERT_TRUE(kept.has_value()) << kept.error().message;
  EXPECT_EQ(kept->waitsFor, kValidateConfiguration);
  EXPECT_FALSE(cluster.secret(kServingSecret));
  cluster.configure(kValidateConfiguration, 1);
  kept = cluster.keep();
  ASSERT_TRUE(kept.has_value()) << kept.error().message;
  EXPECT_EQ(kept->waitsFor, "");
  EXPECT_EQ(cluster.bundles(kValidateConfiguration),
            std::vector<std::string>(1, cluster.secret(kAuthoritySecret)->at("ca.crt")));
  EXPECT_TRUE(cluster.secret(kServingSecret));
}

TEST(KeepCertificates, IdleWritesNothing) {
  Cluster cluster;
  cluster.configure();
  ASSERT_TRUE(cluster.keep().has_value());
  cluster.writes.clear();
  const auto kept = cluster.keep();
  ASSERT_TRUE(kept.has_value());
  EXPECT_FALSE(kept->wrote);
  EXPECT_TRUE(cluster.writes.empty());
}

TEST(KeepCertificates, AStaleLeaderLosesAndTakesOverTheWinnersCa) {
  Cluster other;
  ASSERT_TRUE(other.keep().has_value());
  const SecretData winners = *other.secret(kAuthoritySecret);
  Cluster cluster;
  cluster.configure();
  cluster.beforeWrite = [&] {
    cluster.beforeWrite = nullptr;
    cluster.put(kAuthoritySecret, winners);
  };
  const auto lost = cluster.keep();
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, Code::AlreadyExists);
  ASSERT_TRUE(cluster.keep().has_value());
  EXPECT_EQ(cluster.secret(kServingSecret)->at("ca.crt"), winners.at("ca.crt"));
}

TEST(KeepCertificates, GivesUpWhereSomebodyUndoesEachStep) {
  Cluster cluster;
  cluster.configure();
  ASSERT_TRUE(cluster.keep().has_value());
  cluster.erase(kServingSecret);
  cluster.beforeWrite = [&] { cluster.erase(kAuthoritySecret); };
  const auto result = cluster.keep();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().reason, "NotConverging");
}

TEST(KeepCertificates, AStaleLeaderDoesNotUndoANewersBundle) {
  Cluster cluster;
  cluster.configure();
  ASSERT_TRUE(cluster.keep().has_value());
  cluster.configure(kMutateConfiguration, 1, "applied again");
  cluster.beforeWrite = [&] {  // it was held up between its look and its write
    cluster.beforeWrite = nullptr;
    cluster.configure(kMutateConfiguration, 1, "rotated");
  };
  const auto lost = cluster.keep();
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, Code::Aborted);
  EXPECT_EQ(cluster.bundles(kMutateConfiguration), std::vector<std::string>{"rotated"});
}

TEST(KeepCertificates, WhoLeadsNoMoreWritesNoStepMore) {
  Cluster cluster;
  cluster.configure();
  int steps = 0;
  const auto stopped = cluster.keep([&] { return ++steps < 2; });
  ASSERT_FALSE(stopped.has_value());
  EXPECT_EQ(stopped.error().reason, "NotLeading");
  EXPECT_EQ(cluster.writes, std::vector<std::string>{"POST multinet-webhook-ca"});
}

}  // namespace
}  // namespace multinet::controller
