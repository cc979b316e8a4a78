// The whole agent, as the program that ships, between a kubelet's rules and a runtime, while parts
// of it or of the world are broken: plain pods never notice, pods that ask for networks are refused
// in time and told why. There is no API server in any of these.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <fstream>

#include "lib/base/fd.h"
#include "lib/http/raw_client.h"
#include "test/support/cri/agent_fixture.h"

namespace multinet::agent {
namespace {

constexpr auto kSafeModeOff = "--safe-mode=off";

/// One that nobody listens at now.
std::uint16_t freePort() {
  const Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(probe.get(), generic, size) != 0) return 0;
  return ::getsockname(probe.get(), generic, &size) == 0 ? ntohs(address.sin_port) : 0;
}

struct Broken {
  const char* failpoints;
  const char* reason;
  const char* says;
};
/// In the test's name.
void PrintTo(const Broken& broken, std::ostream* out) {
  *out << broken.failpoints << ": " << broken.reason;
}

class BrokenPart : public AgentTest, public testing::WithParamInterface<Broken> {};

TEST_P(BrokenPart, HurtsNoPlainPod) {
  launch(GetParam().failpoints);
  ASSERT_EQ(reason(GetParam().reason), GetParam().reason);
  expectPlainPodsGo();
  EXPECT_NE(refusal().find(GetParam().says), std::string::npos) << refusal();
  EXPECT_EQ(runtime_->sandboxes().size(), 0U) << "nothing may reach the runtime";
  EXPECT_EQ(WEXITSTATUS(process_->end(SIGTERM)), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Start, BrokenPart,
    testing::Values(Broken{"start.engine=error", "KernelUnusable", "CAP_NET_ADMIN"},
                    Broken{"start.networks=error", "KernelUnusable", "the node's networks"},
                    Broken{"thread.files=error", "OutOfResources", "TasksMax"},
                    Broken{"thread.recovery=error", "OutOfResources", "TasksMax"},
                    Broken{"start.boot-id=error", "BootIdUnknown", "mount /proc"},
                    Broken{"start.engine=delay:600000", "Starting", "is starting"},
                    Broken{"", "NotConnected", "kubeconfig"}));

TEST_F(AgentTest, ServesPlainPodsWithoutADiskForItsState) {
  std::ofstream(state()) << "a file where the directory should be";
  launch();
  ASSERT_EQ(reason("JournalUnusable"), "JournalUnusable");
  expectPlainPodsGo();
  EXPECT_NE(refusal().find(state()), std::string::npos);
  std::filesystem::remove(state());
  EXPECT_EQ(reason("NotConnected"), "NotConnected") << "it goes on once the disk is back";
}

TEST_F(AgentTest, StartsLaterWhatCouldNotStartAtFirst) {
  launch("start.engine@1=error;start.networks@1=error;start.boot-id@1=error");
  EXPECT_EQ(reason("NotConnected"), "NotConnected");
  expectPlainPodsGo();
}

TEST_F(AgentTest, StartsLaterThatForWhichThereWasNoThread) {
  for (int nth = 1; nth <= 16; ++nth) {
    SCOPED_TRACE(nth);
    // The first three are the relay's own.
    launch("thread.*@" + std::to_string(nth + 3) + "=error");
    EXPECT_EQ(reason("NotConnected"), "NotConnected");
    expectPlainPodsGo();
  }
}

TEST_F(AgentTest, EndsWithAWordWhereNotEvenTheRelayHasItsThreads) {
  launch("thread.starter=error");
  const int status = process_->wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
}

TEST_F(AgentTest, EndsOnlyForABadSettingOrASocketThatCantBeHad) {
  launch("", {"--quarantine=soon"});
  EXPECT_EQ(WEXITSTATUS(process_->wait()), 1);
  launch("", {"--safe-mode-for=1y"});
  EXPECT_EQ(WEXITSTATUS(process_->wait()), 1);
  launch("", {"--safe-mode=perhaps"});
  EXPECT_EQ(WEXITSTATUS(process_->wait()), 1);
  std::ofstream(socket()) << "no socket";
  launch();
  EXPECT_EQ(WEXITSTATUS(process_->wait()), 1);
}

TEST_F(AgentTest, CrashesAgainAndAgainMakeItAPlainRelayForAWhile) {
  for (int i = 0; i < 5; ++i) ASSERT_NO_FATAL_FAILURE(crash());
  launch("", {"--safe-mode-for=10s"});
  ASSERT_EQ(reason("SafeMode"), "SafeMode");
  expectPlainPodsGo();
  const std::string refused = refusal(grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(refused.find("docs/safe-mode.md"), std::string::npos) << refused;
  EXPECT_EQ(reason("NotConnected"), "NotConnected") << "it ends by itself";
  process_->end(SIGKILL);
  launch();
  EXPECT_EQ(reason("SafeMode"), "SafeMode") << "one more crash brings it back";
  launch("", {kSafeModeOff});
  EXPECT_EQ(reason("NotConnected"), "NotConnected") << "a flag ends it";
  launch("", {"--safe-mode=on"});
  EXPECT_EQ(reason("SafeMode"), "SafeMode");
}

TEST_F(AgentTest, KillsByFailpointsAreNoCrashes) {
  for (int i = 0; i < 12; ++i) {
    launch("recover.compare.*@" + std::to_string(1 + i % 2) + "=kill");
    const int status = process_->wait();
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "it must die at its start";
  }
  launch();
  EXPECT_EQ(reason("NotConnected"), "NotConnected");
}

TEST_F(AgentTest, TellsOfItselfWhereItIsAskedTo) {
  const std::uint16_t port = freePort();
  launch("", {"--metrics-listen=127.0.0.1:" + std::to_string(port)});
  ASSERT_EQ(reason("NotConnected"), "NotConnected");
  expectPlainPodsGo();
  refusal();
  std::string text;
  const auto end = Clock::now() + seconds(20);
  while (text.find("multinet_agent_ready 0") == std::string::npos && Clock::now() < end) {
    http::testing::RawClient client(port);
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    text = client.readAll();
  }
  EXPECT_NE(text.find(R"(calls_total{code="Ok",method="RunPodSandbox"} 1)"), std::string::npos);
  EXPECT_NE(text.find(R"(calls_total{code="Unavailable",method="RunPodSandbox"} 1)"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"(multinet_agent_intents{state="ATTACHED"} 0)"), std::string::npos);
}

TEST_F(AgentTest, CleansUpAfterItselfButNotWhileItRuns) {
  launch();
  ASSERT_EQ(reason("NotConnected"), "NotConnected");
  EXPECT_EQ(cleanUp(), 1) << "another agent holds the journal";
  EXPECT_TRUE(std::filesystem::exists(state() + "/journal.db"));
  process_->end(SIGKILL);
  EXPECT_EQ(cleanUp(), 0);
  EXPECT_FALSE(std::filesystem::exists(state()));
  EXPECT_EQ(cleanUp(), 0) << "there is nothing left to do";
}

TEST_F(AgentTest, RestartsAreNoCrashes) {
  for (int i = 0; i < 8; ++i) {
    launch();
    ASSERT_EQ(reason("NotConnected"), "NotConnected") << i;
    EXPECT_EQ(WEXITSTATUS(process_->end(SIGTERM)), 0);
  }
}

}  // namespace
}  // namespace multinet::agent
