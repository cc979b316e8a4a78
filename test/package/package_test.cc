// The examples of lib/kube, built as somebody else's project, against an API server.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "test/support/apiserver.h"

namespace multinet::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kPatience = 20'000;  ///< milliseconds

/// A program and what it says on standard output and error.
class Program {
 public:
  Program(const std::string& name, const std::vector<std::string>& arguments,
          const std::string& kubeconfig) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category());
    const std::string path = MULTINET_EXAMPLES "/" + name;
    child_ = fork();
    if (child_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      dup2(ends[1], STDERR_FILENO);
      setenv("KUBECONFIG", kubeconfig.c_str(), 1);
      std::vector<char*> argv{const_cast<char*>(path.c_str())};
      for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
      argv.push_back(nullptr);
      execv(path.c_str(), argv.data());
      _exit(127);
    }
    close(ends[1]);
    output_ = ends[0];
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (child_ > 0) kill(child_, SIGKILL), waitpid(child_, nullptr, 0);
    close(output_);
  }

  /// The next line; empty at the end, or when none came in time.
  std::string line() {
    for (;;) {
      if (const auto end = said_.find('\n'); end != std::string::npos) {
        const auto found = said_.substr(0, end);
        said_.erase(0, end + 1);
        return found;
      }
      pollfd ready{output_, POLLIN, 0};
      char bytes[512];
      if (poll(&ready, 1, kPatience) != 1) return {};
      const auto count = read(output_, bytes, sizeof bytes);
      if (count <= 0) return {};
      said_.append(bytes, static_cast<std::size_t>(count));
    }
  }

  /// How it ended; 128 and the signal's number where one ended it.
  int ended(int signal = 0) {
    if (signal != 0) kill(child_, signal);
    while (!line().empty()) continue;
    int status = 0;
    waitpid(std::exchange(child_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t child_ = -1;
  int output_ = -1;
  std::string said_;
};

class Examples : public ::testing::Test {
 protected:
  Examples() {
    std::ofstream(kubeconfig_) << "current-context: it\n"
                                  "contexts: [{name: it, context: {cluster: c, user: u}}]\n"
                                  "clusters: [{name: c, cluster: {server: '"
                               << server_.url() << "'}}]\nusers: [{name: u, user: {}}]\n";
    make("/api/v1/namespaces/shop/pods", {{"metadata", {{"name", "till"}}},
                                          {"spec", {{"nodeName", "n1"}}},
                                          {"status", {{"phase", "Running"}}}});
  }
  void make(const std::string& collection, const Json& object) {
    ASSERT_EQ(server_.store().create(ResourcePath::parse(collection), object).status, 201);
  }

  ApiServer server_;
  const std::string kubeconfig_ = ::testing::TempDir() + "/examples-" + std::to_string(getpid());
};

TEST_F(Examples, ListPods) {
  make("/api/v1/namespaces/office/pods", {{"metadata", {{"name", "desk"}}}});
  Program all("list_pods", {}, kubeconfig_);
  EXPECT_EQ(all.line(), "office desk ");
  EXPECT_EQ(all.line(), "shop till n1");
  EXPECT_EQ(all.ended(), 0);
  Program some("list_pods", {"shop"}, kubeconfig_);
  EXPECT_EQ(some.line(), "shop till n1");
  EXPECT_EQ(some.ended(), 0);
}

TEST_F(Examples, SayWhyTheyCant) {
  server_.set(ApiServer::Presence::Away);
  Program program("list_pods", {}, kubeconfig_);
  EXPECT_THAT(program.line(), HasSubstr("list pods"));
  EXPECT_EQ(program.ended(), 1);
}

TEST_F(Examples, WatchPods) {
  Program program("watch_pods", {}, kubeconfig_);
  EXPECT_EQ(program.line(), "added shop/till Running");
  EXPECT_EQ(program.line(), "synced");
  const auto till = ResourcePath::parse("/api/v1/namespaces/shop/pods/till");
  server_.store().patch(till, {{"status", {{"phase", "Succeeded"}}}}, ObjectStore::IfAbsent::Fail);
  EXPECT_EQ(program.line(), "updated shop/till Succeeded");
  server_.store().remove(till, {});
  EXPECT_EQ(program.line(), "deleted shop/till Succeeded");
  EXPECT_EQ(program.ended(SIGTERM), 0);
}

TEST_F(Examples, TeamLabels) {
  make("/api/v1/namespaces", {{"metadata", {{"name", "shop"}, {"labels", {{"team", "red"}}}}}});
  Program program("team_labels", {}, kubeconfig_);
  // A look at a cache that is behind its own write labels once more, which changes nothing.
  const auto labelled = [&](const std::string& team) {
    Json label;
    do {
      if (program.line() != "labelled shop/till") break;
      label = server_.store()
                  .get(ResourcePath::parse("/api/v1/namespaces/shop/pods/till"))
                  .body["metadata"]["labels"]["team"];
    } while (label != team);
    return label;
  };
  EXPECT_EQ(labelled("red"), "red");
  server_.store().patch(ResourcePath::parse("/api/v1/namespaces/shop"),
                        {{"metadata", {{"labels", {{"team", "blue"}}}}}},
                        ObjectStore::IfAbsent::Fail);
  EXPECT_EQ(labelled("blue"), "blue");
  EXPECT_EQ(program.ended(SIGTERM), 0);
}

}  // namespace
}  // namespace multinet::testing
