// The service over a real socket, beside the relay.
#include "nodeagent/cri/pod_networks.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "nodeagent/cri/listener.h"
#include "nodeagent/cri/messages.h"
#include "nodeagent/cri/server.h"
#include "nodeagent/sandbox/sandboxes.h"
#include "proto/cri-multinet/v1alpha1/pod_networks.grpc.pb.h"
#include "test/support/cri/channel.h"

namespace multinet::agent::cri {
namespace {

using namespace std::chrono_literals;

class PodNetworksTest : public testing::Test {
 protected:
  PodNetworksTest() {
    service = std::make_unique<PodNetworksService>(sandboxes);
    server = std::make_unique<Server>(ServerOptions{.runtime = "unix:" + directory + "/nobody",
                                                    .interceptorOf = {},
                                                    .podNetworks = service.get()});
    auto socket = listenAt(directory + "/agent");
    EXPECT_TRUE(socket.has_value());
    listener = std::make_unique<Listener>(std::move(*socket),
                                          [this](Fd fd) { server->add(std::move(fd)); });
    stub = wire::PodNetworks::NewStub(support::criChannel("unix:" + directory + "/agent"));
  }
  ~PodNetworksTest() override {
    listener->stop();
    server->stop(1s);
    server.reset();
    std::filesystem::remove_all(directory);
  }

  static void add(sandbox::Snapshot& snapshot, const std::string& id, const std::string& uid,
                  const std::string& message) {
    auto& view = snapshot.sandboxes[SandboxId(id)];
    view.attached = true;
    view.pod = {PodUid(uid), "default", "web", 3};
    InterfaceStatus interface;
    interface.state = InterfaceState::Attached;
    interface.message = message;
    view.interfaces = std::make_shared<const std::vector<InterfaceStatus>>(1, interface);
  }
  static sandbox::Snapshot recovered() {
    return {.recovered = true, .bootId = "boot", .sandboxes = {}, .running = {}};
  }
  static void limit(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + 10s);
  }
  grpc::Status get(const std::string& id, wire::GetResponse& response) const {
    grpc::ClientContext context;
    limit(context);
    wire::GetRequest request;
    request.set_pod_sandbox_id(id);
    return stub->Get(&context, request, &response);
  }
  int listed(const std::string& uid) const {
    grpc::ClientContext context;
    limit(context);
    wire::ListRequest request;
    request.set_pod_uid(uid);
    wire::ListResponse response;
    return stub->List(&context, request, &response).ok() ? response.items_size() : -1;
  }

  std::string directory = [] {
    std::string name = "/tmp/multinet-service-XXXXXX";
    return std::string(mkdtemp(name.data()));
  }();
  async::Lane timers{"timers"};
  sandbox::Sandboxes sandboxes{timers};
  std::unique_ptr<PodNetworksService> service;
  std::unique_ptr<Server> server;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<wire::PodNetworks::Stub> stub;
};

TEST_F(PodNetworksTest, SaysWhatItCanAndWaitsForRecoveryWithTheRest) {
  grpc::ClientContext context;
  limit(context);
  wire::GetCapabilitiesResponse capabilities;
  ASSERT_TRUE(stub->GetCapabilities(&context, {}, &capabilities).ok());
  EXPECT_EQ(capabilities.features().drivers_size(), static_cast<int>(knownTypes().size()));
  wire::GetResponse response;
  EXPECT_EQ(get("s1", response).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(listed(""), -1);
}

TEST_F(PodNetworksTest, GetsAndLists) {
  auto snapshot = recovered();
  add(snapshot, "s1", "u1", "");
  add(snapshot, "s2", "u2", "");
  sandboxes.show(snapshot);
  wire::GetResponse response;
  ASSERT_TRUE(get("s1", response).ok());
  const auto& networks = response.pod_networks();
  EXPECT_EQ(networks.pod_uid(), "u1");
  EXPECT_EQ(networks.pod_namespace() + "/" + networks.pod_name(), "default/web");
  EXPECT_EQ(networks.attempt(), 3U);
  EXPECT_EQ(networks.status().boot_id(), "boot");
  EXPECT_EQ(networks.status().state(), wire::POD_NETWORKS_STATE_ATTACHED);
  snapshot.sandboxes[SandboxId("s2")].interfaces =
      std::make_shared<const std::vector<InterfaceStatus>>();
  snapshot.sandboxes[SandboxId("s2")].attached = false;
  sandboxes.show(snapshot);
  ASSERT_TRUE(get("s2", response).ok());
  EXPECT_EQ(response.pod_networks().status().state(), wire::POD_NETWORKS_STATE_PENDING);
  EXPECT_EQ(get("s3", response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(listed(""), 2);
  EXPECT_EQ(listed("u2"), 1);
  EXPECT_EQ(listed("u3"), 0);
}

TEST_F(PodNetworksTest, WatchesFromTheFirstPodToTheLast) {
  grpc::ClientContext context;
  limit(context);
  const auto stream = stub->Watch(&context, {});
  auto snapshot = recovered();
  add(snapshot, "s1", "u1", "");
  sandboxes.show(snapshot);
  const auto expect = [&](wire::WatchResponse::Type type, const std::string& id) {
    wire::WatchResponse response;
    ASSERT_TRUE(stream->Read(&response)) << id;
    EXPECT_EQ(response.type(), type);
    EXPECT_EQ(response.pod_networks().pod_sandbox_id(), id);
  };
  expect(wire::WatchResponse::ADDED, "s1");
  expect(wire::WatchResponse::BOOKMARK, "");
  sandboxes.show(snapshot);  // says the same: nobody is told
  add(snapshot, "s1", "u1", "one more");
  add(snapshot, "s2", "u2", "");
  sandboxes.show(snapshot);
  expect(wire::WatchResponse::MODIFIED, "s1");
  expect(wire::WatchResponse::ADDED, "s2");
  snapshot.sandboxes.erase(SandboxId("s1"));
  sandboxes.show(snapshot);
  expect(wire::WatchResponse::DELETED, "s1");
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(PodNetworksTest, BoundsTheWatchesAndFreesTheirPlaces) {
  sandboxes.show(recovered());
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<wire::WatchResponse>>> streams;
  const auto opens = [&] {
    auto& context = *contexts.emplace_back(std::make_unique<grpc::ClientContext>());
    limit(context);
    wire::WatchResponse response;
    return streams.emplace_back(stub->Watch(&context, {}))->Read(&response);
  };
  for (int i = 0; i < kMostWatches; ++i) ASSERT_TRUE(opens()) << i;
  EXPECT_FALSE(opens());
  EXPECT_EQ(streams.back()->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  contexts.front()->TryCancel();
  bool again = false;
  for (int i = 0; i < 100 && !again; ++i) {
    std::this_thread::sleep_for(20ms);
    again = opens();
  }
  EXPECT_TRUE(again);
  for (const auto& context : contexts) context->TryCancel();
  for (std::size_t i = 0; i < streams.size(); ++i) {
    if (i != kMostWatches) static_cast<void>(streams[i]->Finish());
  }
}

}  // namespace
}  // namespace multinet::agent::cri
