#include "lib/kube/config.h"

#include <gmock/gmock.h>

#include <fstream>

namespace multinet::kube {
namespace {

using ::testing::HasSubstr;

/// A kubeconfig with `cluster` and `user` as its fields.
std::string kubeconfig(const std::string& cluster, const std::string& user) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
         "contexts: [{name: here, context: {cluster: c, user: u, namespace: shop}}]\n"
         "clusters: [{name: c, cluster: {" +
         cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n";
}

const std::string kGood = "server: 'https://api.test:6443/', certificate-authority: ca.crt";

TEST(Kubeconfig, ReadsWhatItNames) {
  const auto config = parseKubeconfig(
      kubeconfig(kGood, "client-certificate-data: aGVsbG8=, client-key: keys/k.pem, token: t"), "",
      "/etc/kube");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "https://api.test:6443");
  EXPECT_EQ(config->nameSpace, "shop");
  EXPECT_EQ(config->certificateAuthority.file, "/etc/kube/ca.crt");
  EXPECT_EQ(config->clientCertificate.inlined, "hello");
  EXPECT_EQ(config->clientKey.file, "/etc/kube/keys/k.pem");
  EXPECT_EQ(config->token.inlined, "t");
}

struct Refusal {
  std::string what;
  std::string text;
  std::string message;
};
class Refused : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refused, WithOneSentenceThatNamesIt) {
  const auto config = parseKubeconfig(GetParam().text, "", "/");
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().code, Code::InvalidArgument);
  EXPECT_THAT(config.error().message, HasSubstr("load kubeconfig: "));
  EXPECT_THAT(config.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Kubeconfig, Refused,
    ::testing::Values(
        Refusal{"NoTls", kubeconfig(kGood + ", insecure-skip-tls-verify: true", ""),
                "insecure-skip-tls-verify isn't served"},
        Refusal{"ServerName", kubeconfig(kGood + ", tls-server-name: x", ""), "tls-server-name"},
        Refusal{"Proxy", kubeconfig(kGood + ", proxy-url: 'http://p'", ""), "proxy-url"},
        Refusal{"Ipv6", kubeconfig("server: 'https://[fd00::1]:6443'", ""), "IPv6 literal"},
        Refusal{"NoUrl", kubeconfig("server: api.test", ""), "no https:// or http:// URL"},
        Refusal{"NoCa", kubeconfig("server: 'https://api.test'", ""), "no certificate-authority"},
        Refusal{"Exec", kubeconfig(kGood, "exec: {command: aws}"), "\"exec\" isn't served"},
        Refusal{"Basic", kubeconfig(kGood, "username: x, password: y"), "\"username\""},
        Refusal{"HalfAPair", kubeconfig(kGood, "client-certificate: x"), "go together"},
        Refusal{"NotBase64", kubeconfig(kGood, "client-certificate-data: '%%%%'"), "isn't base64"},
        Refusal{"CutBase64", kubeconfig(kGood, "client-certificate-data: abc"), "isn't base64"},
        Refusal{"NoContext", "clusters: []\nusers: []\n", "current-context"},
        Refusal{"LostContext", "current-context: gone\n", "there is no entry \"gone\""},
        Refusal{"NoMap", "- a\n- b\n", "no YAML map"}, Refusal{"Empty", "", "no YAML map"},
        Refusal{"BrokenYaml", "a: [b\n", "load kubeconfig"},
        Refusal{"WrongShape", "current-context: x\ncontexts: [{name: x, context: [1]}]\n",
                "has no \"context\""}),
    [](const auto& tested) { return tested.param.what; });

TEST(Kubeconfig, TakesTheFirstOfSeveralFilesThatNamesAnEntry) {
  const auto directory = std::filesystem::path(::testing::TempDir()) / "kubeconfigs";
  std::filesystem::create_directories(directory / "second");
  std::ofstream(directory / "first.yaml") << "current-context: here\nclusters: []\n";
  std::ofstream(directory / "second/second.yaml") << kubeconfig(kGood, "tokenFile: token");
  const auto config = loadKubeconfig(
      (directory / "first.yaml").string() + ":" + (directory / "second/second.yaml").string(), "");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->token.file, (directory / "second/token").string());
}

TEST(Kubeconfig, NamesAFileThatIsMissing) {
  const auto config = loadKubeconfig("/nonexistent/kubeconfig", "");
  ASSERT_FALSE(config.has_value());
  EXPECT_THAT(config.error().message, HasSubstr("/nonexistent/kubeconfig"));
}

class InCluster : public ::testing::Test {
 protected:
  InCluster() {
    const auto account = root_ / "var/run/secrets/kubernetes.io/serviceaccount";
    std::filesystem::create_directories(account);
    std::ofstream(account / "namespace") << "multinet-system";
    std::ofstream(account / "ca.crt") << "ca";
    std::ofstream(account / "token") << "t";
  }
  const std::filesystem::path root_ = std::filesystem::path(::testing::TempDir()) / "in-cluster";
};

TEST_F(InCluster, ReadsTheServiceAccount) {
  const auto config = inClusterConfig("10.96.0.1", "443", root_);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "https://10.96.0.1:443");
  EXPECT_EQ(config->nameSpace, "multinet-system");
}

TEST_F(InCluster, AsksForTheNameWhereTheAddressIsIpv6) {
  EXPECT_EQ(inClusterConfig("fd00::1", "443", root_)->server, "https://kubernetes.default.svc:443");
}

TEST_F(InCluster, IsRefusedOutsideAPodAndWithoutItsFiles) {
  EXPECT_EQ(inClusterConfig("", "443", root_).error().reason, "NotInCluster");
  EXPECT_FALSE(inClusterConfig("10.96.0.1", "443", "/nonexistent").has_value());
}

}  // namespace
}  // namespace multinet::kube
