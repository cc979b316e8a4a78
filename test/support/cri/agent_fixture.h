// The whole agent, as the program that ships, for its tests.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "nodeagent/cri/server.h"
#include "test/support/cri/channel.h"
#include "test/support/cri/kubelet.h"
#include "test/support/cri/runtime.h"

namespace multinet::agent {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

inline const support::KubeletPod kPlain{"u1", "plain", {}};
inline const support::KubeletPod kAsking{"u2", "web", {{"multinet.dev/networks", "blue"}}};

/// One process of the agent.
class Process {
 public:
  /// `inherited` becomes descriptor 3, as from a systemd socket unit; -1: none.
  Process(std::vector<std::string> arguments, const std::string& failpoints, int inherited = -1) {
    std::string environment = "MULTINET_FAILPOINTS=" + failpoints;
    if (inherited >= 0) {
      // LISTEN_PID is known to the process alone.
      std::vector<std::string> shell = {"/bin/sh", "-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"",
                                        "sh"};
      arguments.insert(arguments.begin(), shell.begin(), shell.end());
    }
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::vector<char*> envp = {environment.data(), nullptr};
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    if (inherited >= 0) posix_spawn_file_actions_adddup2(&actions, inherited, 3);
    if (posix_spawn(&pid_, argv.front(), &actions, nullptr, argv.data(), envp.data()) != 0) {
      pid_ = 0;
    }
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Process() { end(SIGKILL); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// How it ended, as waitpid tells it.
  int end(int signal) {
    if (pid_ > 0) ::kill(pid_, signal);
    return wait();
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  void tell(int signal) const {
    if (pid_ > 0) ::kill(pid_, signal);
  }
  /// Waits for an end of its own.
  int wait() {
    int status = 0;
    if (pid_ > 0) waitpid(std::exchange(pid_, 0), &status, 0);
    return status;
  }

 private:
  pid_t pid_ = 0;
};

class AgentTest : public testing::Test {
 protected:
  AgentTest() {
    std::string pattern = testing::TempDir() + "/agentXXXXXX";
    directory_ = mkdtemp(pattern.data());
    runtime_.emplace(directory_);
    runtime_->start();
  }
  ~AgentTest() override {
    process_.reset();
    runtime_.reset();
    std::filesystem::remove_all(directory_);
  }

  void launch(const std::string& failpoints = "", std::vector<std::string> more = {}) {
    process_.reset();
    process_.emplace(arguments(std::move(more)), failpoints, inherited_);
  }
  std::vector<std::string> arguments(std::vector<std::string> more) const {
    std::vector<std::string> all = {MULTINET_NODEAGENT,
                                    "--node-name=n1",
                                    "--kubeconfig=" + directory_ + "/kubeconfig",
                                    "--listen=" + socket(),
                                    "--runtime-endpoint=" + runtime_->endpoint(),
                                    "--runtime-state-dir=" + runtime_->stateDir(),
                                    "--state-dir=" + state(),
                                    "--switch-netns=none",
                                    "--log-level=error"};
    for (std::string& argument : more) all.push_back(std::move(argument));
    return all;
  }
  /// Calls the program with --cleanup, in a network namespace of its own; its exit code.
  int cleanUp() const {
    std::vector<std::string> command = {"/usr/bin/unshare", "--user", "--map-root-user", "--net"};
    for (std::string& argument : arguments({"--cleanup"})) command.push_back(std::move(argument));
    return WEXITSTATUS(Process(std::move(command), "").wait());
  }
  std::string socket() const { return directory_ + "/agent.sock"; }
  std::string state() const { return directory_ + "/state"; }

  support::Kubelet kubelet() const {
    return support::Kubelet(support::criChannel("unix:" + socket()));
  }
  /// The reason of MultiNetworkReady, or what the call came to, once it is `wanted`.
  std::string reason(const std::string& wanted) {
    const auto end = Clock::now() + seconds(30);
    while (true) {
      const auto condition = kubelet().multiNetworkReady();
      const std::string found = condition.type().empty() ? "no answer" : condition.reason();
      if (found == wanted || Clock::now() > end) return found;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  void expectPlainPodsGo() {
    auto node = kubelet();
    const auto started = node.sync(kPlain);
    EXPECT_TRUE(started.status.ok()) << started.failedCall << started.status.error_message();
    EXPECT_TRUE(node.kill(kPlain).ok());
  }
  /// Of the one pod that asks; empty where it got its sandbox.
  std::string refusal(grpc::StatusCode code = grpc::StatusCode::UNAVAILABLE) {
    const auto begin = Clock::now();
    const auto refused = kubelet().sync(kAsking);
    // It waits for 4 s and looks at the time each second; what it guards against is a minute.
    EXPECT_LT(Clock::now() - begin, seconds(10));
    EXPECT_EQ(refused.failedCall, "RunPodSandbox");
    EXPECT_EQ(refused.status.error_code(), code);
    return refused.status.error_message();
  }
  /// Up, then dead: what `starts` holds is read before anything is served for networks.
  void crash() {
    launch("", {"--safe-mode-for=1s"});
    const std::string before = reason("NotConnected");
    ASSERT_EQ(before, "NotConnected");
    process_->end(SIGKILL);
  }

  std::string directory_;
  std::optional<support::Runtime> runtime_;
  std::optional<Process> process_;
  int inherited_ = -1;  ///< a listening socket for those that are launched next
};

}  // namespace multinet::agent
