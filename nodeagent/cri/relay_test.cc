// The relay between a real client and a real server over two sockets: what one end sends is what
// the other gets.
#include "nodeagent/cri/relay_fixture.h"

#include <future>
#include <limits>
#include <thread>

#include "lib/async/watchdog.h"
#include "lib/base/fake_clock.h"
#include "nodeagent/cri/decode.h"
#include "nodeagent/cri/sandbox_list.h"
#include "nodeagent/watch/fake_own_objects.h"
#include "test/support/cri/channel.h"

namespace multinet::agent::cri {
namespace {

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

TEST_F(RelayTest, AThreadOfTheRelaysThatHangsIsSeen) {
  FakeClock time;
  std::promise<void> entered;
  std::promise<void> go;
  Server stuck({.runtime = "unix:" + path("runtime"),
                .interceptorOf = [&](auto&&...) -> std::unique_ptr<Interceptor> {
                  entered.set_value();
                  go.get_future().wait();
                  return nullptr;
                },
                .clock = &time});
  async::Watchdog watchdog;
  watchdog.watch([&] { return stuck.health(); }, 5s);
  Listener accepts(*listenAt(path("stuck")), [&](Fd fd) { stuck.add(std::move(fd)); });
  stub = std::make_unique<grpc::GenericStub>(support::criChannel("unix:" + path("stuck")));
  auto version = std::async(std::launch::async, [&] { return call(cri("Version"), "v"); });
  entered.get_future().wait();
  time.advance(5s);
  EXPECT_TRUE(watchdog.ready().has_value()) << "it may be so long";
  time.advance(1s);
  ASSERT_EQ(watchdog.stalls().size(), 1U);
  EXPECT_EQ(watchdog.stalls()[0].lane, "cri-relay");
  EXPECT_EQ(watchdog.healths()[0].busy, 6s);
  go.set_value();
  EXPECT_TRUE(version.get().status.ok());
  for (int i = 0; i < 500 && stuck.health().busy != 0s; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(watchdog.ready().has_value());
  EXPECT_EQ(stuck.health().longest, 6s);
  EXPECT_GT(stuck.health().done, 0U);
  accepts.stop();
  stuck.stop(0ms);
}

TEST_F(RelayTest, LetsPlainPodsPassWhileTheOwnerHangs) {
  open();
  std::promise<void> go = node.hang();
  const auto request = runRequest(false);
  EXPECT_EQ(call(cri("RunPodSandbox"), request).bytes, request);
  subset::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id("s1");
  timePasses = true;
  EXPECT_EQ(call(cri("StopPodSandbox"), stop.SerializeAsString()).bytes, stop.SerializeAsString());
  timePasses = false;
  go.set_value();
  node.owner->restore({});
  node.onLane([] {});
  go = node.hang();
  EXPECT_TRUE(call(cri("StopPodSandbox"), stop.SerializeAsString()).status.ok())
      << "it is none of the owner's, who isn't asked";
}

TEST_F(RelayTest, AnswersARequestWithItsNetworksAndNeverForwardsItItself) {
  openRecovered();
  node.runtime.replyBytes = [](const SandboxId& id) {
    subset::RunPodSandboxResponse response;
    response.set_pod_sandbox_id(id.str());
    return response.SerializeAsString();
  };
  const auto reply = call(cri("RunPodSandbox"), runRequest(true));
  subset::RunPodSandboxResponse response;
  ASSERT_TRUE(response.ParseFromString(reply.bytes));
  EXPECT_EQ(response.pod_sandbox_id(), "s1");
  EXPECT_GT(reply.bytes.size(), 4U);
  EXPECT_EQ(node.runtime.sandboxes().at(SandboxId("s1")).pod.str(), "default/web");
  EXPECT_EQ(node.engine.attached().size(), 1U);
  EXPECT_EQ(runtime.calls, 0);
}

TEST_F(RelayTest, NeverForwardsARequestOfAPodInTheNodesOwnNetwork) {
  openRecovered();
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
  EXPECT_EQ(node.runtime.runs(), 0);
}

TEST_F(RelayTest, AbortsWhenTheCallerGoesAway) {
  openRecovered();
  node.runtime.hold();
  EXPECT_EQ(call(cri("RunPodSandbox"), runRequest(true), 100ms).status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  server->awaitQuiet(10s);
  node.runtime.release();
  node.onLane([] {});
  EXPECT_EQ(node.runtime.runs(), 1);
  EXPECT_TRUE(node.runtime.sandboxes().empty()) << "taken back";
  EXPECT_EQ(runtime.calls, 0);
}

TEST_F(RelayTest, RefusesContainersInASandboxWithoutItsNetworks) {
  subset::RunPodSandboxRequest run;
  ASSERT_TRUE(run.ParseFromString(runRequest(true)));
  subset::CreateContainerRequest request;
  request.set_pod_sandbox_id("s1");
  *request.mutable_sandbox_config() = run.config();
  const auto bytes = request.SerializeAsString();
  sandbox::Snapshot snapshot{.recovered = true, .bootId = "b", .sandboxes = {}, .running = {}};
  sandboxes.show(snapshot);
  EXPECT_EQ(call(cri("CreateContainer"), bytes).status.error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(runtime.calls, 0);
  snapshot.sandboxes[SandboxId("s1")].attached = true;
  sandboxes.show(snapshot);
  EXPECT_EQ(call(cri("CreateContainer"), bytes).bytes, bytes);
}

/// A pod with networks that is deleted, and is one of two endpoints; its container is c1.
class StopTest : public RelayTest {
 protected:
  StopTest() {
    sandbox::Snapshot snapshot{.recovered = true, .bootId = "b", .sandboxes = {}, .running = {}};
    auto& view = snapshot.sandboxes[SandboxId("s1")];
    view.pod = {PodUid("u1"), "default", "web", 0};
    view.attached = true;
    InterfaceStatus status;
    status.plan.network = NetworkName("blue");
    view.interfaces = std::make_shared<const std::vector<InterfaceStatus>>(1, status);
    sandboxes.show(snapshot);
    k8s::Pod pod;
    pod.metadata.nameSpace = "default";
    pod.metadata.name = "web";
    pod.metadata.uid = "u1";
    pod.metadata.deletionTimestamp = clock.wall();
    own.put(pod);
    auto service = std::make_shared<k8s::Service>();
    service->metadata.nameSpace = "default";
    service->metadata.name = "web";
    auto slice = std::make_shared<k8s::EndpointSlice>();
    slice->metadata.labels = {{"endpointslice.kubernetes.io/managed-by", "multinet.dev"}};
    for (const char* uid : {"u1", "u2"}) {
      k8s::Endpoint endpoint;
      endpoint.targetRef = k8s::ObjectReference{"Pod", "default", "web", uid};
      endpoint.conditions = {uid == std::string("u2"), true, uid == std::string("u1")};
      slice->endpoints.push_back(endpoint);
    }
    node.caches.serviceLists["blue"] = {{service, {slice}}};
  }
  ~StopTest() override { timers.stop(); }

  void openDrain() {
    drain.open(
        {.caches = &node.caches, .own = &own, .node = NodeName("n1"), .containers = [](auto done) {
           done(std::vector<drain::Container>{});
         }});
    std::promise<void> opened;
    timers.post([&] { opened.set_value(); });
    opened.get_future().wait();
  }
  void create() {
    subset::RunPodSandboxRequest run;
    ASSERT_TRUE(run.ParseFromString(runRequest(true)));
    subset::CreateContainerRequest request;
    request.set_pod_sandbox_id("s1");
    request.mutable_config()->mutable_metadata()->set_name("main");
    *request.mutable_sandbox_config() = run.config();
    subset::CreateContainerResponse created;
    created.set_container_id("c1");
    runtime.answer = created.SerializeAsString();
    ASSERT_TRUE(call(cri("CreateContainer"), request.SerializeAsString()).status.ok());
    runtime.answer.clear();
  }
  static std::string stopOf(const std::string& container, std::int64_t timeout) {
    subset::StopContainerRequest request;
    request.set_container_id(container);
    request.set_timeout(timeout);
    return request.SerializeAsString() + "\x7a\x01x";  // and a field that isn't known here
  }
  static std::int64_t timeoutOf(const std::string& bytes) {
    subset::StopContainerRequest request;
    EXPECT_TRUE(request.ParseFromString(bytes));
    return request.timeout();
  }

  watch::FakeOwnObjects own;
};

TEST_F(StopTest, AContainerOfAPodThatGoesIsHeldAndKeepsTheRestOfItsTime) {
  openDrain();
  create();
  timePasses = true;
  const auto begin = clock.now();
  const auto reply = call(cri("StopContainer"), stopOf("c1", 30));
  const Duration held = clock.now() - begin;
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_GE(held, 3s);
  EXPECT_EQ(timeoutOf(reply.bytes), 27);
  EXPECT_TRUE(reply.bytes.ends_with("\x7a\x01x"));
}

TEST_F(StopTest, OthersPassByteForByteWhileTimeStands) {
  openDrain();
  const auto plain = stopOf("p1", 30);
  EXPECT_EQ(call(cri("StopContainer"), plain).bytes, plain);
  create();
  EXPECT_EQ(call(cri("StopContainer"), plain).bytes, plain);
  const auto shortly = stopOf("c1", 2);
  EXPECT_EQ(call(cri("StopContainer"), shortly).bytes, shortly);
  EXPECT_EQ(call(cri("StopContainer"), "\xff\xff").bytes, "\xff\xff") << "the runtime's to judge";
}

TEST_F(StopTest, WhoGivesUpIsNotToldToTheRuntime) {
  openDrain();
  create();
  const int before = runtime.calls;
  EXPECT_EQ(call(cri("StopContainer"), stopOf("c1", 30), 100ms).status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  server->awaitQuiet(10s);
  timePasses = true;
  EXPECT_TRUE(call(cri("StopContainer"), stopOf("c1", 30)).status.ok());
  EXPECT_EQ(runtime.calls, before + 1);
}

TEST_F(StopTest, AnAgentThatEndsWhileItHoldsFailsTheCall) {
  openDrain();
  create();
  const int before = runtime.calls;
  auto held =
      std::async(std::launch::async, [&] { return call(cri("StopContainer"), stopOf("c1", 30)); });
  std::this_thread::sleep_for(50ms);
  server->stop(10ms);
  EXPECT_EQ(held.get().status.error_code(), grpc::StatusCode::UNAVAILABLE) << "it is asked again";
  EXPECT_EQ(runtime.calls, before);
}

TEST(StopRequests, AreReadAndWritten) {
  EXPECT_FALSE(decodeStop("\xff\xff").has_value());
  subset::StopContainerRequest request;
  request.set_container_id("c");
  for (const auto& [timeout, grace] : std::map<std::int64_t, std::int64_t>{
           {-5, 0}, {0, 0}, {30, 30}, {std::numeric_limits<std::int64_t>::max(), 86400}}) {
    request.set_timeout(timeout);
    const auto read = decodeStop(request.SerializeAsString());
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->container, "c");
    EXPECT_EQ(read->grace.count(), grace);
  }
  const auto later = [&](std::int64_t timeout, Duration held) {
    request.set_timeout(timeout);
    subset::StopContainerRequest written;
    EXPECT_TRUE(written.ParseFromString(stopLater(request.SerializeAsString(), held)));
    EXPECT_EQ(written.container_id(), "c");
    return written.timeout();
  };
  EXPECT_EQ(later(30, 3900ms), 27);
  EXPECT_EQ(later(30, 900ms), 30);
  EXPECT_EQ(later(4, 3s), 2) << "never less than the kubelet itself leaves";
  EXPECT_EQ(later(1, 5s), 1) << "nor more than it gave";
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
  sandboxes.show(snapshot);
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
  openRecovered();
  subset::StatusResponse status;
  status.mutable_status()->add_conditions()->set_type("NetworkReady");
  runtime.answer = status.SerializeAsString();
  ASSERT_TRUE(status.ParseFromString(call(cri("Status"), "").bytes));
  ASSERT_EQ(status.status().conditions_size(), 2);
  EXPECT_EQ(status.status().conditions(1).type(), "MultiNetworkReady");
  EXPECT_TRUE(status.status().conditions(1).status());
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
