#include "lib/kube/exec_credential.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "lib/base/encoding.h"
#include "lib/base/fake_clock.h"
#include "lib/base/fd.h"
#include "lib/kube/identity.h"
#include "lib/kube/object.h"

namespace multinet::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class Plugin : public ::testing::Test {
 protected:
  Plugin() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    config_.server = "https://api.test:6443";
    config_.exec.emplace();
    config_.exec->apiVersion = "client.authentication.k8s.io/v1";
    config_.exec->command = directory_ / "plugin";
  }
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  ~Plugin() override { std::filesystem::remove_all(directory_); }

  /// What the plugin does; it counts its runs.
  void does(const std::string& script) const {
    std::ofstream(directory_ / "plugin")
        << "#!/bin/sh\necho run >>" << (directory_ / "runs") << "\n"
        << script << "\n";
    std::filesystem::permissions(directory_ / "plugin", std::filesystem::perms::owner_all);
  }
  void answers(const std::string& status) const {
    does(
        "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
        "\"status\":" +
        status + "}'");
  }
  [[nodiscard]] int runs() const {
    std::ifstream file(directory_ / "runs");
    int count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    return count;
  }
  [[nodiscard]] Result<ExecCredential> ask(Duration limit = seconds(20)) const {
    return askPlugin(config_, limit);
  }
  [[nodiscard]] std::string refusal() const {
    const auto answer = ask();
    return answer ? "none" : answer.error().message;
  }

  const std::filesystem::path directory_ =
      std::filesystem::path(::testing::TempDir()) / ("plugin-" + std::to_string(::getpid()));
  Config config_;
};

TEST_F(Plugin, SaysWhoWeAre) {
  answers(R"({"token":"t","expirationTimestamp":"2026-01-01T00:01:00Z"})");
  const auto credential = ask();
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_EQ(credential->token, "t");
  EXPECT_EQ(formatTime(*credential->expires), "2026-01-01T00:01:00Z");
  answers(R"({"clientCertificateData":"c","clientKeyData":"k"})");
  EXPECT_EQ(ask()->keyPem, "k");
  EXPECT_FALSE(ask()->expires);
}

TEST_F(Plugin, IsToldWhatItMayKnow) {
  does(R"(printf '%s\n' "$@" "$KUBERNETES_EXEC_INFO" "$OWN" "$HOME" >)" +
       (directory_ / "told").string() + "\nls /proc/self/fd >>" + (directory_ / "told").string() +
       "\ncat >>" + (directory_ / "told").string());
  config_.exec->arguments = {"get", "a; touch /tmp/never"};
  config_.exec->environment = {{"OWN", "mine"}, {"HOME", "/elsewhere"}};
  config_.exec->providesCluster = true;
  config_.serverName = "inside";
  config_.certificateAuthority.inlined = "ca";
  EXPECT_FALSE(ask());
  std::ifstream file(directory_ / "told");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  ASSERT_GE(lines.size(), 5U);
  EXPECT_EQ(lines[0], "get");
  EXPECT_EQ(lines[1], "a; touch /tmp/never");
  const auto info = Json::parse(lines[2]);
  EXPECT_EQ(info["spec"]["interactive"], false);
  EXPECT_EQ(info["spec"]["cluster"]["server"], "https://api.test:6443");
  EXPECT_EQ(info["spec"]["cluster"]["tls-server-name"], "inside");
  EXPECT_EQ(info["spec"]["cluster"]["certificate-authority-data"], encodeBase64("ca"));
  EXPECT_EQ(lines[3], "mine");
  EXPECT_EQ(lines[4], "/elsewhere");
  EXPECT_LE(lines.size(), 5U + 4U) << "none of our descriptors: 0, 1, 2 and that of ls";
}

TEST_F(Plugin, IsRefusedInASentenceThatNeverHoldsItsAnswer) {
  const std::pair<const char*, const char*> cases[] = {
      {"echo secret", "no JSON object"},
      {"echo '[\"secret\"]'", "no JSON object"},
      {"echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"secret\"}'", "of client.auth"},
      {"echo secret; exit 3", "exit code 3"},
      {"kill -9 $$", "a signal ended it"},
      {"head -c 2000000 /dev/zero", "too long"}};
  for (const auto& [script, why] : cases) {
    does(script);
    EXPECT_THAT(refusal(), HasSubstr(why)) << script;
    EXPECT_THAT(refusal(), HasSubstr("run credential plugin \"" + config_.exec->command + "\""));
    EXPECT_THAT(refusal(), ::testing::Not(HasSubstr("secret")));
  }
  const std::pair<const char*, const char*> statuses[] = {
      {"{}", "neither a token"},
      {"null", "no status"},
      {R"({"clientKeyData":"secret"})", "only one"},
      {R"({"token":"secret","expirationTimestamp":"soon"})", "expirationTimestamp"}};
  for (const auto& [status, why] : statuses) {
    answers(status);
    EXPECT_THAT(refusal(), HasSubstr(why)) << status;
    EXPECT_THAT(refusal(), ::testing::Not(HasSubstr("secret")));
  }
}

TEST_F(Plugin, ThatHangsEndsWithAllThatItStarted) {
  does("sleep 1000 & echo $! >" + (directory_ / "child").string() + "\nwait");
  Result<std::string> child = fail(Code::NotFound, "", "");
  // A machine that is busy may take its time until the plugin has a child.
  for (const Duration limit : {milliseconds(300), milliseconds(3000), milliseconds(20000)}) {
    const auto late = ask(limit);
    ASSERT_FALSE(late);
    EXPECT_THAT(late.error().message, HasSubstr("in time"));
    child = readFile((directory_ / "child").string());
    if (child && !child->empty()) break;
  }
  ASSERT_TRUE(child) << child.error().message;
  // Gone, or dead and waiting for whoever inherited it; a signal takes its time to arrive.
  const auto until = std::chrono::steady_clock::now() + seconds(10);
  Result<std::string> state = fail(Code::NotFound, "", "");
  do {
    state = readFile("/proc/" + std::to_string(std::stoi(*child)) + "/stat");
  } while (state && state->find(") Z ") == std::string::npos &&
           std::chrono::steady_clock::now() < until);
  EXPECT_TRUE(!state || state->find(") Z ") != std::string::npos) << *state;
}

TEST_F(Plugin, ThatIsMissingIsNamedWithTheWayToGetIt) {
  config_.exec->installHint = "read\x1b[1m the manual";
  EXPECT_THAT(refusal(), HasSubstr("there is no such program; install it: read [1m the manual"));
  config_.exec->command = "surely-no-program";
  EXPECT_EQ(ask().error().reason, "NoPlugin");
}

TEST_F(Plugin, IsFoundOnThePathButNeverInTheWorkingDirectory) {
  answers(R"({"token":"t"})");
  config_.exec->command = "plugin";
  const std::string old = std::getenv("PATH");
  ::setenv("PATH", (old + "::.:" + directory_.string()).c_str(), 1);
  EXPECT_TRUE(ask());
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(directory_);
  ::setenv("PATH", (old + "::.").c_str(), 1);
  EXPECT_EQ(ask().error().reason, "NoPlugin");
  std::filesystem::current_path(here);
  ::setenv("PATH", old.c_str(), 1);
}

TEST_F(Plugin, IsAskedAgainWhenWhatItSaidHasExpired) {
  FakeClock clock;
  answers(R"({"token":"one","expirationTimestamp":")" + formatTime(clock.wall() + seconds(100)) +
          R"("})");
  const auto identity = Identity::make(config_, clock).value();
  answers(R"({"token":"two"})");
  clock.advance(seconds(99));
  EXPECT_EQ(identity->current()->token(), "one");
  EXPECT_EQ(runs(), 1);
  clock.advance(seconds(2));
  EXPECT_EQ(identity->current()->token(), "two");
  clock.advance(std::chrono::hours(24));
  EXPECT_EQ(identity->current()->token(), "two");
  EXPECT_EQ(runs(), 2) << "it named no end";
}

TEST_F(Plugin, IsAskedAgainWhenTheServerRefusesUsButNotAllTheTime) {
  FakeClock clock;
  answers(R"({"token":"one"})");
  const auto identity = Identity::make(config_, clock).value();
  answers(R"({"token":"two"})");
  identity->refused();
  EXPECT_EQ(identity->current()->token(), "one");
  clock.advance(seconds(10));
  EXPECT_EQ(identity->current()->token(), "two");
  does("exit 1");
  identity->refused();
  clock.advance(seconds(10));
  EXPECT_EQ(identity->current()->token(), "two") << "kept while it fails";
  EXPECT_EQ(identity->current()->token(), "two");
  EXPECT_EQ(runs(), 3);
}

TEST_F(Plugin, ThatFailsAtTheStartIsAnError) {
  const FakeClock clock;
  does("exit 1");
  EXPECT_EQ(Identity::make(config_, clock).error().reason, "PluginFailed");
}

}  // namespace
}  // namespace multinet::kube
