// A runtime that is slow isn't a runtime that is away: calls wait for it, as those of a kubelet
// that calls it itself would.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>

#include "nodeagent/cri/bytes.h"
#include "nodeagent/cri/listener.h"
#include "nodeagent/cri/server.h"
#include "test/support/cri/channel.h"
#include "test/support/cri/link.h"
#include "test/support/cri/runtime.h"

namespace multinet::agent::cri {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// A relay of its own to a runtime behind a link.
class Node {
 public:
  Node(const std::string& directory, const std::string& runtime, milliseconds delay)
      : link_(directory + "/link", runtime, delay),
        server_(std::make_unique<Server>(
            ServerOptions{.runtime = "unix:" + directory + "/link", .interceptorOf = {}})),
        listener_(*listenAt(directory + "/agent"), [this](Fd fd) { server_->add(std::move(fd)); }),
        kubelet_(support::criChannel("unix:" + directory + "/agent")) {}
  ~Node() {
    listener_.stop();
    server_->stop(2s);
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  std::future<grpc::Status> version(milliseconds limit) {
    struct Exchange {
      grpc::ClientContext context;
      grpc::ByteBuffer request = bufferOf("");
      grpc::ByteBuffer reply;
      std::promise<grpc::Status> done;
    };
    auto exchange = std::make_shared<Exchange>();
    exchange->context.set_deadline(std::chrono::system_clock::now() + limit);
    kubelet_.UnaryCall(
        &exchange->context, "/runtime.v1.RuntimeService/Version", {}, &exchange->request,
        &exchange->reply,
        [exchange](const grpc::Status& status) { exchange->done.set_value(status); });
    return exchange->done.get_future();
  }
  support::Link& link() { return link_; }

 private:
  support::Link link_;
  std::unique_ptr<Server> server_;
  Listener listener_;
  grpc::GenericStub kubelet_;
};

class SlowRuntime : public testing::Test {
 protected:
  SlowRuntime() { runtime.start(); }
  ~SlowRuntime() override {
    nodes.clear();
    runtime.stop();
    std::filesystem::remove_all(directory);
  }
  Node& node(milliseconds delay = 0ms) {
    const auto own = directory + "/" + std::to_string(nodes.size());
    std::filesystem::create_directory(own);
    nodes.push_back(std::make_unique<Node>(own, directory + "/runtime.sock", delay));
    return *nodes.back();
  }

  std::string directory = [] {
    std::string name = "/tmp/multinet-slow-XXXXXX";
    return std::string(mkdtemp(name.data()));
  }();
  support::Runtime runtime{directory};
  std::vector<std::unique_ptr<Node>> nodes;
};

TEST_F(SlowRuntime, IsWaitedForHoweverLateItsFirstWordsCome) {
  std::vector<std::future<grpc::Status>> calls;
  for (const auto delay : {300ms, 1500ms, 3000ms, 8000ms}) {
    auto& slow = node(delay);
    calls.push_back(slow.version(60s));
    calls.push_back(slow.version(60s));
  }
  for (auto& call : calls) {
    const auto status = call.get();
    EXPECT_TRUE(status.ok()) << status.error_code() << " " << status.error_message();
  }
}

TEST_F(SlowRuntime, ThatIsStoppedAndContinuedCostsTimeAndNoCall) {
  auto& stopped = node();
  ASSERT_TRUE(stopped.version(60s).get().ok());
  stopped.link().freeze();
  EXPECT_EQ(stopped.version(300ms).get().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  auto waits = stopped.version(60s);
  EXPECT_EQ(waits.wait_for(1500ms), std::future_status::timeout) << "it waits for its own deadline";
  stopped.link().thaw();
  EXPECT_TRUE(waits.get().ok());
}

TEST_F(SlowRuntime, ThatIsStoppedBeforeTheFirstCallIsWaitedForToo) {
  auto& stopped = node();
  stopped.link().freeze();
  EXPECT_EQ(stopped.version(300ms).get().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  auto waits = stopped.version(60s);
  EXPECT_EQ(waits.wait_for(1500ms), std::future_status::timeout);
  stopped.link().thaw();
  const auto status = waits.get();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(SlowRuntime, ThatIsAwayIsToldAtOnce) {
  auto& away = node();
  ASSERT_TRUE(away.version(60s).get().ok());
  runtime.stop();
  EXPECT_EQ(away.version(60s).get().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace multinet::agent::cri
