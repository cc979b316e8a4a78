// The relay between a real client and a real server over two sockets: what one end sends is what
// the other gets.
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>

#include "nodeagent/cri/bytes.h"
#include "nodeagent/cri/decode.h"
#include "nodeagent/cri/interceptors.h"
#include "nodeagent/cri/listener.h"
#include "nodeagent/cri/sandbox_list.h"
#include "nodeagent/sandbox/fake_sandboxes.h"
#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace multinet::agent::cri {
namespace {

namespace subset = multinet::cri::subset;
using namespace std::chrono_literals;

/// Echoes each message `copies` times, then ends with a status; or hangs until cancelled.
class EchoRuntime final : public grpc::CallbackGenericService {
 public:
  std::atomic<int> copies = 1;
  std::atomic<bool> hangs = false;
  std::atomic<int> cancels = 0;
  std::atomic<int> calls = 0;
  grpc::Status status;
  std::string answer;  ///< instead of an echo, where not empty

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    ++calls;
    return new Reactor(*this, *context);
  }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    Reactor(EchoRuntime& runtime, grpc::GenericCallbackServerContext& context)
        : runtime_(runtime), left_(runtime.copies) {
      for (const auto& [key, value] : context.client_metadata()) {
        const std::string name(key.data(), key.size());
        if (name.starts_with("x-")) {
          context.AddTrailingMetadata(name, std::string(value.data(), value.size()));
        }
      }
      context.AddInitialMetadata("x-first", "yes");
      StartRead(&message_);
    }
    void OnReadDone(bool ok) override {
      if (runtime_.hangs && ok) return;
      if (!ok) return Finish(runtime_.status);
      if (!runtime_.answer.empty()) message_ = bufferOf(runtime_.answer);
      next();
    }
    void OnWriteDone(bool ok) override { ok ? next() : Finish(runtime_.status); }
    void OnCancel() override {
      ++runtime_.cancels;
      if (runtime_.hangs) Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

   private:
    void next() {
      if (left_-- > 0 && runtime_.status.ok()) return StartWrite(&message_);
      Finish(runtime_.status);
    }
    EchoRuntime& runtime_;
    grpc::ByteBuffer message_;
    int left_;
  };
};

class RelayTest : public testing::Test {
 protected:
  RelayTest() {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(-1);
    builder.SetMaxSendMessageSize(-1);
    builder.RegisterCallbackGenericService(&runtime);
    builder.AddListeningPort("unix:" + path("runtime"), grpc::InsecureServerCredentials());
    runtimeServer = builder.BuildAndStart();
    server = makeServer(
        {.runtime = runtimeChannel("unix:" + path("runtime")),
         .interceptorOf = interceptors(
             {.sandboxes = &sandboxes, .clock = &clock, .timers = &timers, .ownerLimit = 50ms}),
         .podNetworks = nullptr});
    auto socket = listenAt(path("agent"));
    EXPECT_TRUE(socket.has_value());
    listener = std::make_unique<Listener>(std::move(*socket),
                                          [this](Fd fd) { server->add(std::move(fd)); });
    stub = std::make_unique<grpc::GenericStub>(runtimeChannel("unix:" + path("agent")));
  }
  ~RelayTest() override {
    stub.reset();
    listener->stop();
    server->stop(2s);
    runtimeServer->Shutdown(std::chrono::system_clock::now() + 2s);
    std::filesystem::remove_all(directory);
  }
  std::string path(const std::string& name) const { return directory + "/" + name; }

  struct Reply {
    grpc::Status status;
    std::string bytes;
    std::multimap<std::string, std::string> trailers;
  };
  Reply call(const std::string& method, const std::string& request, Duration limit = 10s,
             const std::multimap<std::string, std::string>& metadata = {}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::duration_cast<std::chrono::system_clock::duration>(limit));
    for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
    const auto sent = bufferOf(request);
    grpc::ByteBuffer received;
    std::promise<grpc::Status> done;
    stub->UnaryCall(&context, method, {}, &sent, &received,
                    [&done](grpc::Status status) { done.set_value(std::move(status)); });
    Reply reply{done.get_future().get(), {}, {}};
    reply.bytes = bytesOf(received);
    for (const auto& [key, value] : context.GetServerTrailingMetadata()) {
      reply.trailers.emplace(std::string(key.data(), key.size()),
                             std::string(value.data(), value.size()));
    }
    return reply;
  }
  static std::string cri(const std::string& method) {
    return "/runtime.v1.RuntimeService/" + method;
  }
  static std::string runRequest(bool networks) {
    subset::RunPodSandboxRequest request;
    auto& config = *request.mutable_config();
    config.mutable_metadata()->set_uid("u1");
    config.mutable_metadata()->set_name("web");
    config.mutable_metadata()->set_namespace_("default");
    if (networks) (*config.mutable_annotations())["multinet.dev/networks"] = "blue";
    return request.SerializeAsString();
  }

  std::string directory = [] {
    std::string name = "/tmp/multinet-relay-XXXXXX";
    return std::string(mkdtemp(name.data()));
  }();
  SystemClock clock;
  async::Lane timers{"cri-timers"};
  sandbox::FakeSandboxes sandboxes;
  EchoRuntime runtime;
  std::unique_ptr<grpc::Server> runtimeServer;
  std::unique_ptr<Server> server;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<grpc::GenericStub> stub;
};

TEST_F(RelayTest, PassesUnknownMethodsAndBigMessagesByteForByte) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{16} << 20U}) {
    std::string bytes(size, '\xff');
    if (size > 0) bytes[size / 2] = '\0';
    const auto reply = call("/runtime.v9.Nobody/KnowsThis", bytes);
    EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
    EXPECT_TRUE(reply.bytes == bytes) << size;
  }
}

TEST_F(RelayTest, PassesMetadataThereAndBack) {
  const auto reply =
      call(cri("Version"), "v", 10s,
           {{"x-trace", "a"}, {"x-trace", "b"}, {"x-raw-bin", std::string("\0\1", 2)}});
  EXPECT_EQ(reply.trailers.count("x-trace"), 2U);
  EXPECT_EQ(reply.trailers.find("x-raw-bin")->second, std::string("\0\1", 2));
}

TEST_F(RelayTest, PassesEachCodeWithMessageAndDetails) {
  for (int code = 1; code <= 16; ++code) {
    runtime.status = grpc::Status(static_cast<grpc::StatusCode>(code), "why \xc3\xa9 %", "d\1d");
    const auto reply = call(cri("StartContainer"), "x");
    EXPECT_EQ(reply.status.error_code(), code);
    EXPECT_EQ(reply.status.error_message(), "why \xc3\xa9 %");
    EXPECT_EQ(reply.status.error_details(), "d\1d");
  }
}

TEST_F(RelayTest, CarriesTheDeadlineToTheRuntime) {
  runtime.hangs = true;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(call(cri("ExecSync"), "x", 200ms).status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  for (int i = 0; i < 200 && runtime.cancels == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(runtime.cancels, 1);
}

TEST_F(RelayTest, IsUnavailableWhileTheRuntimeIsAwayAndComesBack) {
  EXPECT_TRUE(call(cri("Version"), "v").status.ok());
  runtimeServer->Shutdown(std::chrono::system_clock::now() + 2s);
  EXPECT_EQ(call(cri("Version"), "v").status.error_code(), grpc::StatusCode::UNAVAILABLE);
  grpc::ServerBuilder builder;
  EchoRuntime next;
  builder.RegisterCallbackGenericService(&next);
  builder.AddListeningPort("unix:" + path("runtime"), grpc::InsecureServerCredentials());
  const auto again = builder.BuildAndStart();
  bool back = false;
  for (int i = 0; i < 100 && !back; ++i) {
    back = call(cri("Version"), "v").status.ok();
    if (!back) std::this_thread::sleep_for(50ms);
  }
  EXPECT_TRUE(back);
  again->Shutdown(std::chrono::system_clock::now() + 2s);
}

TEST_F(RelayTest, LetsPlainPodsPassWhileTheOwnerHangs) {
  sandboxes.hangs = true;
  const auto request = runRequest(false);
  EXPECT_EQ(call(cri("RunPodSandbox"), request).bytes, request);
  subset::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id("s1");
  EXPECT_EQ(call(cri("StopPodSandbox"), stop.SerializeAsString()).bytes, stop.SerializeAsString());
  sandboxes.publish({.recovered = true, .bootId = "b", .sandboxes = {}, .running = {}});
  EXPECT_TRUE(call(cri("StopPodSandbox"), stop.SerializeAsString()).status.ok());
  EXPECT_EQ(sandboxes.calls(), (std::vector<std::string>{"beforeStop s1", "afterStop s1"}));
}

TEST_F(RelayTest, AnswersARequestWithItsNetworksAndNeverForwardsItItself) {
  sandboxes.onRun = [](sandbox::RunRequest request,
                       const sandbox::Callback<sandbox::RunResult>& done) {
    EXPECT_EQ(request.pod.str(), "default/web");
    subset::RunPodSandboxResponse response;
    response.set_pod_sandbox_id("s1");
    done(sandbox::RunResult{{SandboxId("s1"), response.SerializeAsString()}, {}});
  };
  const auto reply = call(cri("RunPodSandbox"), runRequest(true));
  subset::RunPodSandboxResponse response;
  ASSERT_TRUE(response.ParseFromString(reply.bytes));
  EXPECT_EQ(response.pod_sandbox_id(), "s1");
  EXPECT_GT(reply.bytes.size(), 4U);
  EXPECT_EQ(runtime.calls, 0);
}

TEST_F(RelayTest, NeverForwardsARequestOfAPodInTheNodesOwnNetwork) {
  sandboxes.onRun = [](const sandbox::RunRequest& request,
                       const sandbox::Callback<sandbox::RunResult>& done) {
    EXPECT_TRUE(request.hostNetwork);
    done(fail(Code::InvalidArgument, "HostNetwork", "spec.hostNetwork: \"true\""));
  };
  subset::RunPodSandboxRequest run;
  ASSERT_TRUE(run.ParseFromString(runRequest(true)));
  run.mutable_config()
      ->mutable_linux()
      ->mutable_security_context()
      ->mutable_namespace_options()
      ->set_network(subset::NODE);
  EXPECT_EQ(call(cri("RunPodSandbox"), run.SerializeAsString()).status.error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(runtime.calls, 0);
}

TEST_F(RelayTest, AbortsWhenTheCallerGoesAway) {
  EXPECT_EQ(call(cri("RunPodSandbox"), runRequest(true), 100ms).status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  const std::vector<std::string> wanted{"run default/web", "abort default/web"};
  for (int i = 0; i < 200 && sandboxes.calls() != wanted; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(sandboxes.calls(), wanted);
  EXPECT_EQ(runtime.calls, 0);
}

TEST_F(RelayTest, RefusesContainersInASandboxWithoutItsNetworks) {
  subset::RunPodSandboxRequest run;
  ASSERT_TRUE(run.ParseFromString(runRequest(true)));
  subset::CreateContainerRequest request;
  request.set_pod_sandbox_id("s1");
  *request.mutable_sandbox_config() = run.config();
  const auto bytes = request.SerializeAsString();
  EXPECT_EQ(call(cri("CreateContainer"), bytes).status.error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(runtime.calls, 0);
  sandbox::Snapshot snapshot{.recovered = true, .bootId = "b", .sandboxes = {}, .running = {}};
  snapshot.sandboxes[SandboxId("s1")].attached = true;
  sandboxes.publish(snapshot);
  EXPECT_EQ(call(cri("CreateContainer"), bytes).bytes, bytes);
}

TEST_F(RelayTest, RefusesRestoreStreamAndGarbage) {
  subset::RunPodSandboxRequest run;
  ASSERT_TRUE(run.ParseFromString(runRequest(true)));
  subset::RestorePodRequest restore;
  *restore.mutable_config() = run.config();
  EXPECT_EQ(call(cri("RestorePod"), restore.SerializeAsString()).status.error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(call(cri("StreamPodSandboxes"), "").status.error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(call(cri("RunPodSandbox"), "\xff\xff").status.error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(runtime.calls, 0);
}

TEST_F(RelayTest, ShowsVerdictsInStatusAndAddsTheCondition) {
  sandbox::Snapshot snapshot{.recovered = true, .bootId = "b", .sandboxes = {}, .running = {}};
  snapshot.sandboxes[SandboxId("bad")].verdict = sandbox::Verdict::NotReady;
  snapshot.sandboxes[SandboxId("new")].verdict = sandbox::Verdict::Hidden;
  sandboxes.publish(snapshot);
  subset::PodSandboxStatusResponse ready;
  ready.mutable_status()->mutable_network()->set_ip("10.0.0.1");
  runtime.answer = ready.SerializeAsString();
  subset::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id("bad");
  request.set_verbose(true);
  subset::PodSandboxStatusResponse shown;
  ASSERT_TRUE(
      shown.ParseFromString(call(cri("PodSandboxStatus"), request.SerializeAsString()).bytes));
  EXPECT_EQ(shown.status().state(), subset::SANDBOX_NOTREADY);
  EXPECT_EQ(shown.status().network().ip(), "10.0.0.1");
  EXPECT_TRUE(shown.info().contains("multinet"));
  request.set_pod_sandbox_id("new");
  EXPECT_EQ(call(cri("PodSandboxStatus"), request.SerializeAsString()).status.error_code(),
            grpc::StatusCode::NOT_FOUND);
  subset::StatusResponse node;
  node.mutable_status()->add_conditions()->set_type("NetworkReady");
  runtime.answer = node.SerializeAsString();
  ASSERT_TRUE(node.ParseFromString(call(cri("Status"), "").bytes));
  ASSERT_EQ(node.status().conditions_size(), 2);
  EXPECT_EQ(node.status().conditions(1).type(), "MultiNetworkReady");
  EXPECT_TRUE(node.status().conditions(1).status());
}

TEST(SandboxList, AppliesTheFilterAfterTheVerdicts) {
  sandbox::Snapshot snapshot{.recovered = true, .bootId = "b", .sandboxes = {}, .running = {}};
  snapshot.sandboxes[SandboxId("bad")].verdict = sandbox::Verdict::NotReady;
  snapshot.running.insert({PodUid("u2"), 1});
  subset::ListPodSandboxRequest request;
  request.mutable_filter()->mutable_state()->set_state(subset::SANDBOX_NOTREADY);
  const auto query = listQuery(request.SerializeAsString(), snapshot);
  ASSERT_TRUE(query.has_value() && query->rewritten);
  EXPECT_EQ(query->wanted, SandboxState::NotReady);
  subset::ListPodSandboxResponse list;
  list.add_items()->set_id("bad");
  list.add_items()->set_id("good");
  auto& hidden = *list.add_items();
  hidden.set_id("new");
  hidden.mutable_metadata()->set_uid("u2");
  hidden.mutable_metadata()->set_attempt(1);
  const auto judged = judgeList(list.SerializeAsString(), snapshot, query->wanted);
  subset::ListPodSandboxResponse shown;
  ASSERT_TRUE(judged && shown.ParseFromString(*judged));
  ASSERT_EQ(shown.items_size(), 1);
  EXPECT_EQ(shown.items(0).id(), "bad");
  const auto all = judgeList(list.SerializeAsString(), snapshot, {});
  ASSERT_TRUE(all && shown.ParseFromString(*all));
  EXPECT_EQ(shown.items_size(), 2);
}

}  // namespace
}  // namespace multinet::agent::cri
