// The relay between a real client and a real server over two sockets, for its tests.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <string>

#include "nodeagent/cri/bytes.h"
#include "nodeagent/cri/hop.h"
#include "nodeagent/cri/interceptors.h"
#include "nodeagent/cri/listener.h"
#include "nodeagent/sandbox/fake_node.h"
#include "proto/cri-multinet/internal/cri_subset.pb.h"
#include "test/support/cri/channel.h"

namespace multinet::agent::cri {

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
        if (belongsToTheHop(name)) continue;
        context.AddTrailingMetadata(name, std::string(value.data(), value.size()));
      }
      context.AddInitialMetadata("x-first", "yes");
      StartRead(&message_);
    }
    void OnReadDone(bool ok) override {
      if (runtime_.hangs && ok) return;
      if (!ok) return end(runtime_.status);
      if (!runtime_.answer.empty()) message_ = bufferOf(runtime_.answer);
      next();
    }
    void OnWriteDone(bool ok) override { ok ? next() : end(runtime_.status); }
    void OnCancel() override {
      ++runtime_.cancels;
      if (runtime_.hangs) end(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

   private:
    void next() {
      if (left_-- > 0 && runtime_.status.ok()) return StartWrite(&message_);
      end(runtime_.status);
    }
    /// Once: a call that is cancelled ends by what was under way too.
    void end(const grpc::Status& how) {
      if (!ended_.exchange(true)) Finish(how);
    }
    EchoRuntime& runtime_;
    grpc::ByteBuffer message_;
    int left_;
    std::atomic<bool> ended_ = false;
  };
};

class RelayTest : public ::testing::Test {
 protected:
  RelayTest() {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(-1);
    builder.SetMaxSendMessageSize(-1);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 << 20);  // as grpc-go's
    builder.RegisterCallbackGenericService(&runtime);
    builder.AddListeningPort("unix:" + path("runtime"), grpc::InsecureServerCredentials());
    runtimeServer = builder.BuildAndStart();
    server = std::make_unique<Server>(
        ServerOptions{.runtime = "unix:" + path("runtime"),
                      .interceptorOf = interceptors({.sandboxes = &sandboxes,
                                                     .clock = &clock,
                                                     .timers = &timers,
                                                     .drain = &drain,
                                                     .ownerLimit = 50ms}),
                      .podNetworks = nullptr});
    auto socket = listenAt(path("agent"));
    EXPECT_TRUE(socket.has_value());
    listener = std::make_unique<Listener>(std::move(*socket),
                                          [this](Fd fd) { server->add(std::move(fd)); });
    stub = std::make_unique<grpc::GenericStub>(support::criChannel("unix:" + path("agent")));
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
    auto ended = done.get_future();
    while (ended.wait_for(1ms) != std::future_status::ready) {
      if (timePasses) clock.advance(20ms);
    }
    Reply reply{ended.get(), {}, {}};
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
  /// Serves; the owner of the sandboxes then is that of `node`.
  void open() {
    node.start();
    sandboxes.open(*node.owner);
  }
  void openRecovered() {
    open();
    node.owner->restore({});
    node.onLane([] {});
  }

  sandbox::FakeNode node;
  FakeClock& clock = node.clock;
  std::atomic<bool> timePasses = false;  ///< while a call waits
  async::Lane timers{"cri-timers", clock};
  sandbox::Sandboxes sandboxes{timers};
  std::map<std::string, int> stops;  ///< by why they went on when they did; of the lane
  drain::Drain drain{timers, clock, [this] { return sandboxes.snapshot(); },
                     [this](drain::Why why, Duration) { ++stops[std::string(name(why))]; },
                     Duration{}};
  EchoRuntime runtime;
  std::unique_ptr<grpc::Server> runtimeServer;
  std::unique_ptr<Server> server;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<grpc::GenericStub> stub;
};

}  // namespace multinet::agent::cri
