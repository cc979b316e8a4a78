#include "controller/certs/certificate_store.h"

#include <gtest/gtest.h>

#include "lib/base/encoding.h"
#include "lib/kube/fake_transport.h"

namespace multinet::controller {
namespace {

using nlohmann::json;

const std::string kConfigurations =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/";
const std::string kSecrets = "/api/v1/namespaces/multinet-system/secrets/";

class CertificateStoreTest : public ::testing::Test {
 protected:
  json get(const std::string& path) const {
    return store_.get(testing::ResourcePath::parse(path)).body;
  }

  testing::ObjectStore store_;
  kube::Client client_{std::make_unique<kube::FakeTransport>(store_)};
  CertificateStore certificates_{client_, "multinet-system"};
};

TEST_F(CertificateStoreTest, ReadsASecretBackAsItWasWritten) {
  EXPECT_FALSE(certificates_.readSecret("tls")->has_value());
  const SecretData data{{"tls.crt", "a certificate"}, {"tls.key", std::string("\0\xff", 2)}};
  ASSERT_TRUE(certificates_.createSecret("tls", data));
  EXPECT_EQ(get(kSecrets + "tls")["data"]["tls.crt"], encodeBase64("a certificate"));
  EXPECT_EQ(certificates_.readSecret("tls")->value().data, data);
  EXPECT_EQ(certificates_.createSecret("tls", data).error().code, Code::AlreadyExists);
}

TEST_F(CertificateStoreTest, WhatIsNoBase64ReadsAsNothing) {
  store_.create(testing::ResourcePath::parse(kSecrets + "tls"),
                {{"metadata", {{"name", "tls"}}}, {"data", {{"tls.crt", "%%"}, {"tls.key", 7}}}});
  EXPECT_EQ(certificates_.readSecret("tls")->value().data,
            (SecretData{{"tls.crt", ""}, {"tls.key", ""}}));
}

TEST_F(CertificateStoreTest, ReplacesASecretOnlyAsItWasSeen) {
  ASSERT_TRUE(certificates_.createSecret("tls", {{"tls.crt", "one"}}));
  VersionedSecret seen = certificates_.readSecret("tls")->value();
  seen.data["tls.crt"] = "two";
  ASSERT_TRUE(certificates_.replaceSecret("tls", seen));
  seen.data["tls.crt"] = "three";
  EXPECT_EQ(certificates_.replaceSecret("tls", seen).error().code, Code::Aborted);
  EXPECT_EQ(certificates_.readSecret("tls")->value().data.at("tls.crt"), "two");
}

TEST_F(CertificateStoreTest, WritesABundleIntoAllWebhooksOnlyAsTheyWereSeen) {
  EXPECT_FALSE(certificates_.readBundles("multinet")->has_value());
  EXPECT_TRUE(certificates_.writeBundle("multinet", "x", "1"))
      << "there is nothing to write it into";
  store_.create(testing::ResourcePath::parse(kConfigurations + "multinet"),
                {{"metadata", {{"name", "multinet"}}},
                 {"webhooks",
                  {{{"name", "a"}, {"clientConfig", {{"service", {{"name", "webhook"}}}}}},
                   {{"name", "b"}, {"clientConfig", json::object()}}}}});
  const VersionedBundles seen = certificates_.readBundles("multinet")->value();
  EXPECT_EQ(seen.bundles, (std::vector<std::string>{"", ""}));
  ASSERT_TRUE(certificates_.writeBundle("multinet", "a CA", seen.resourceVersion));
  EXPECT_EQ(certificates_.readBundles("multinet")->value().bundles,
            (std::vector<std::string>{"a CA", "a CA"}));
  EXPECT_EQ(get(kConfigurations + "multinet")["webhooks"][0]["clientConfig"]["service"]["name"],
            "webhook");
  EXPECT_EQ(certificates_.writeBundle("multinet", "an older CA", seen.resourceVersion).error().code,
            Code::Aborted);
}

}  // namespace
}  // namespace multinet::controller
