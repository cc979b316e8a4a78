#include "lib/kube/config.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
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
const std::string kExec = "command: aws, apiVersion: client.authentication.k8s.io/v1";

Result<Config> parse(const std::string& text) {
  return parseKubeconfig(text, "", "/etc/kube/config");
}

TEST(Kubeconfig, ReadsWhatItNames) {
  const auto config = parse(kubeconfig(
      kGood + ", tls-server-name: inside",
      "client-certificate-data: aGVsbG8=, client-key: keys/k.pem, token: t, tokenFile: /run/t"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "https://api.test:6443");
  EXPECT_EQ(config->serverName, "inside");
  EXPECT_EQ(config->nameSpace, "shop");
  EXPECT_EQ(config->certificateAuthority.file, "/etc/kube/ca.crt");
  EXPECT_EQ(config->clientCertificate.inlined, "hello");
  EXPECT_EQ(config->clientKey.file, "/etc/kube/keys/k.pem");
  EXPECT_EQ(config->token.inlined, "t");
  EXPECT_EQ(config->token.file, "/run/t");
}

TEST(Kubeconfig, ReadsAPlugin) {
  const auto config = parse(
      kubeconfig(kGood,
                 "exec: {command: ./bin/login, args: [get, token], env: [{name: A, value: b}], "
                 "apiVersion: client.authentication.k8s.io/v1beta1, provideClusterInfo: true, "
                 "installHint: see the manual}"));
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_TRUE(config->exec);
  EXPECT_EQ(config->exec->command, "/etc/kube/./bin/login");
  EXPECT_THAT(config->exec->arguments, ::testing::ElementsAre("get", "token"));
  EXPECT_THAT(config->exec->environment, ::testing::ElementsAre(::testing::Pair("A", "b")));
  EXPECT_TRUE(config->exec->providesCluster);
  EXPECT_EQ(config->exec->installHint, "see the manual");
  const auto bare = parse(kubeconfig(kGood, "exec: {" + kExec + ", interactiveMode: Never}"));
  ASSERT_TRUE(bare) << bare.error().message;
  EXPECT_EQ(bare->exec->command, "aws") << "for the PATH";
}

TEST(Kubeconfig, AsksNoPluginWhereACredentialIsThere) {
  const std::string exec = ", exec: {" + kExec + ", interactiveMode: Never}";
  for (const std::string user :
       {"token: t", "tokenFile: t", "client-certificate: c, client-key: k"}) {
    const auto config = parse(kubeconfig(kGood, user + exec));
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_FALSE(config->exec) << user;
  }
}

TEST(Kubeconfig, ShowsNoCredentialToWhoeverListens) {
  const auto config = parse(kubeconfig("server: 'http://127.0.0.1:8001'", "token: t"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->token.empty());
}

TEST(Kubeconfig, NeedsNoUser) {
  const auto config = parse(
      "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
      "clusters: [{name: c, cluster: {" +
      kGood + "}}]\n");
  EXPECT_TRUE(config) << config.error().message;
}

struct Refusal {
  std::string what;
  std::string text;
  std::string message;
};
class Refused : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refused, WithOneSentenceThatNamesIt) {
  const auto config = parse(GetParam().text);
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().code, Code::InvalidArgument);
  EXPECT_THAT(config.error().message, HasSubstr("load kubeconfig \"/etc/kube/config\": "));
  EXPECT_THAT(config.error().message, HasSubstr(GetParam().message));
  EXPECT_THAT(config.error().message, ::testing::Not(HasSubstr("hidden")));
}

INSTANTIATE_TEST_SUITE_P(
    Kubeconfig, Refused,
    ::testing::Values(
        Refusal{"NoTls", kubeconfig(kGood + ", insecure-skip-tls-verify: true", ""),
                "cluster \"c\": insecure-skip-tls-verify \"true\" isn't served"},
        Refusal{"NoTlsInOtherWords", kubeconfig(kGood + ", insecure-skip-tls-verify: Yes", ""),
                "insecure-skip-tls-verify"},
        Refusal{"NoTlsPerhaps", kubeconfig(kGood + ", insecure-skip-tls-verify: perhaps", ""),
                "must be true or false"},
        Refusal{"Proxy", kubeconfig(kGood + ", proxy-url: 'http://me:hidden@p:3128'", ""),
                "cluster \"c\": proxy-url \"http://p:3128\" isn't served; take it out"},
        Refusal{"Ipv6", kubeconfig("server: 'https://[fd00::1]:6443'", ""), "IPv6 literal"},
        Refusal{"NoUrl", kubeconfig("server: api.test", ""),
                "server \"api.test\" is no https:// or http:// URL; give https://HOST:PORT"},
        Refusal{"NoServer", kubeconfig("certificate-authority: x", ""), "names nobody"},
        Refusal{"ServerIsAMap", kubeconfig("server: {a: b}", ""), "server must be a text"},
        Refusal{"NoCa", kubeconfig("server: 'https://api.test'", ""),
                "there is no certificate-authority"},
        Refusal{"TwoCas", kubeconfig(kGood + ", certificate-authority-data: aGk=", ""),
                "certificate-authority \"/etc/kube/ca.crt\" and certificate-authority-data are "
                "both there; take one out"},
        Refusal{"AuthProvider", kubeconfig(kGood, "auth-provider: {name: gcp}"),
                "user \"u\": auth-provider isn't served"},
        Refusal{"Basic", kubeconfig(kGood, "username: x, password: hidden"), "username isn't"},
        Refusal{"As", kubeconfig(kGood, "token: hidden, as: root"), "as isn't served"},
        Refusal{"AsGroups", kubeconfig(kGood, "as-groups: [x]"), "as-groups isn't served"},
        Refusal{"HalfAPair", kubeconfig(kGood, "client-certificate: x"), "give client-key too"},
        Refusal{"OtherHalf", kubeconfig(kGood, "client-key: x"), "give client-certificate too"},
        Refusal{"TwoKeys",
                kubeconfig(kGood, "client-certificate: x, client-key: k, client-key-data: aGk="),
                "client-key-data are both there"},
        Refusal{"NotBase64", kubeconfig(kGood, "client-certificate-data: '%%%%'"), "isn't base64"},
        Refusal{"CutBase64", kubeconfig(kGood, "client-certificate-data: abc"), "isn't base64"},
        Refusal{"ExecVersion",
                kubeconfig(kGood,
                           "exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}"),
                "user \"u\": exec: apiVersion \"client.authentication.k8s.io/v1alpha1\" isn't "
                "served; use client.authentication.k8s.io/v1"},
        Refusal{"ExecWithoutCommand",
                kubeconfig(kGood, "exec: {apiVersion: client.authentication.k8s.io/v1}"),
                "command is missing"},
        Refusal{"ExecMode", kubeconfig(kGood, "exec: {" + kExec + "}"),
                "interactiveMode \"\" must be"},
        Refusal{"ExecTerminal", kubeconfig(kGood, "exec: {" + kExec + ", interactiveMode: Always}"),
                "interactiveMode \"Always\" isn't served"},
        Refusal{"ExecArguments",
                kubeconfig(kGood, "exec: {" + kExec + ", interactiveMode: Never, args: x}"),
                "args must be a list of texts"},
        Refusal{
            "ExecVariable",
            kubeconfig(kGood, "exec: {" + kExec + ", interactiveMode: Never, env: [{value: x}]}"),
            "env has an entry without a name"},
        Refusal{
            "ExecExtension",
            kubeconfig(kGood + ", extensions: [{name: client.authentication.k8s.io/exec, "
                               "extension: {a: b}}]",
                       "exec: {" + kExec + ", interactiveMode: Never, provideClusterInfo: true}"),
            "isn't handed to plugins"},
        Refusal{"NoContext", "clusters: []\nusers: []\n", "no current-context"},
        Refusal{"Empty", "", "no current-context"},
        Refusal{"LostContext", "current-context: gone\n", "no entry \"gone\" in contexts"},
        Refusal{"LostUser",
                "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: gone}}]\n"
                "clusters: [{name: c, cluster: {" +
                    kGood + "}}]\n",
                "no entry \"gone\" in users"},
        Refusal{"LostCluster", "current-context: x\ncontexts: [{name: x, context: {user: u}}]\n",
                "no entry \"\" in clusters"},
        Refusal{"Twice", "current-context: x\ncontexts: [{name: x}, {name: y}, {name: x}]\n",
                "contexts has two entries \"x\"; take one out"},
        Refusal{"NoMap", "- a\n- b\n", "no YAML map"},
        Refusal{"BrokenYaml", "a: [b\n", "load kubeconfig"},
        Refusal{"WrongShape", "current-context: x\ncontexts: [{name: x, context: [1]}]\n",
                "context \"x\" must be a map"}),
    [](const auto& tested) { return tested.param.what; });

class Files : public ::testing::Test {
 protected:
  Files() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_ / "second");
  }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
    return (directory_ / name).string();
  }
  const std::filesystem::path directory_ =
      std::filesystem::path(::testing::TempDir()) / ("kubeconfigs-" + std::to_string(::getpid()));
};

TEST_F(Files, TheFirstThatNamesAnEntryWinsWithAllOfIt) {
  const auto first =
      write("first", "users: [{name: u, user: {token: mine}}]\ncurrent-context: ''\n");
  const auto second = write(
      "second/config", kubeconfig(kGood, "client-certificate: c, client-key: k, token: theirs"));
  const auto config = loadKubeconfigs(
      first + "::" + (directory_ / "missing").string() + ":" + second + ":" + first, "");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->token.inlined, "mine");
  EXPECT_TRUE(config->clientCertificate.empty()) << "nothing is mixed";
  EXPECT_EQ(config->certificateAuthority.file, (directory_ / "second/ca.crt").string());
}

TEST_F(Files, TheFirstCurrentContextWins) {
  const auto first = write("first", "current-context: there\n");
  const auto second = write("second/config", kubeconfig(kGood, ""));
  EXPECT_THAT(loadKubeconfigs(first + ":" + second, "").error().message,
              HasSubstr("no entry \"there\" in contexts of this file or those after it"));
  EXPECT_EQ(loadKubeconfigs(first + ":" + second, "here")->nameSpace, "shop") << "asked for";
}

TEST_F(Files, AFileThatIsBrokenIsNotPassedOver) {
  const auto good = write("good", kubeconfig(kGood, ""));
  const auto broken = write("broken", "a: [b\n");
  const auto config = loadKubeconfigs(good + ":" + broken, "");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr(broken));
  EXPECT_THAT(loadKubeconfigs(good + ":" + directory_.string(), "").error().message,
              HasSubstr(directory_.string()));
}

TEST_F(Files, AnAskedOneMustBeThereAndAColonIsPartOfItsName) {
  EXPECT_THAT(loadKubeconfig("/nonexistent/kubeconfig", "").error().message,
              HasSubstr("/nonexistent/kubeconfig"));
  const auto odd = write("odd:name", kubeconfig(kGood, ""));
  EXPECT_TRUE(loadKubeconfig(odd, ""));
  EXPECT_EQ(loadKubeconfigs((directory_ / "a").string() + ":" + (directory_ / "b").string(), "")
                .error()
                .reason,
            "NoKubeconfig");
}

TEST_F(Files, ATokensFileCountsWhileItCanBeRead) {
  const auto config =
      loadKubeconfig(write("config", kubeconfig(kGood, "token: old, tokenFile: fresh")), "");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(*config->token.read(), "old");
  write("fresh", "new");
  EXPECT_EQ(*config->token.read(), "new");
}

/// The environment of one test.
class Environment : public Files {
 public:
  Environment() = default;
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 protected:
  void set(const char* name, const std::string& value) {
    const char* old = std::getenv(name);
    before_.emplace_back(name, old == nullptr ? std::nullopt : std::optional<std::string>(old));
    ::setenv(name, value.c_str(), 1);
  }
  ~Environment() override {
    for (auto one = before_.rbegin(); one != before_.rend(); ++one) {
      if (one->second) {
        ::setenv(one->first, one->second->c_str(), 1);
      } else {
        ::unsetenv(one->first);
      }
    }
  }

 private:
  std::vector<std::pair<const char*, std::optional<std::string>>> before_;
};

TEST_F(Environment, FindsTheClusterInKubectlsOrder) {
  std::filesystem::create_directories(directory_ / ".kube");
  const auto named = [](const std::string& nameSpace) {
    auto text = kubeconfig(kGood, "");
    return text.replace(text.find("shop"), 4, nameSpace);
  };
  set("HOME", directory_.string());
  set("KUBECONFIG", "");
  set("KUBERNETES_SERVICE_HOST", "");
  EXPECT_EQ(loadConfig("", "").error().reason, "NoKubeconfig");
  write(".kube/config", named("home"));
  set("KUBERNETES_SERVICE_HOST", "10.96.0.1");
  set("KUBERNETES_SERVICE_PORT", "443");
  EXPECT_EQ(loadConfig("", "")->nameSpace, "home") << "before the pod's own account";
  set("KUBECONFIG", write("variable", named("variable")));
  EXPECT_EQ(loadConfig("", "")->nameSpace, "variable");
  EXPECT_EQ(loadConfig(write("flag", named("flag")), "")->nameSpace, "flag");
  set("KUBECONFIG", (directory_ / "missing").string());
  EXPECT_THAT(loadConfig("", "").error().message, HasSubstr("serviceaccount"))
      << "where there is none, the pod's own account";
  EXPECT_EQ(loadConfig("", "asked").error().reason, "NoKubeconfig");
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
