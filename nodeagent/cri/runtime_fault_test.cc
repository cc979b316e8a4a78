// The agent's side of the runtime against one that misbehaves, and the kubelet's rules through it.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "nodeagent/cri/bytes.h"
#include "nodeagent/cri/interceptors.h"
#include "nodeagent/cri/listener.h"
#include "nodeagent/cri/runtime_channel.h"
#include "nodeagent/cri/runtime_client.h"
#include "nodeagent/cri/server.h"
#include "nodeagent/sandbox/owner_fixture.h"
#include "test/support/cri/channel.h"
#include "test/support/cri/kubelet.h"
#include "test/support/cri/netns.h"
#include "test/support/cri/runtime.h"

namespace multinet::agent::cri {
namespace {

namespace subset = multinet::cri::subset;
using namespace std::chrono_literals;
using support::Fault;

class RuntimeFault : public ::testing::Test {
 protected:
  RuntimeFault() {
    runtime.start();
    client = makeRuntimeClient(channel, files, directory);
  }
  ~RuntimeFault() override {
    if (listener) listener->stop();
    if (server) server->stop(2s);
    runtime.stop();
    files.stop();
    timers.stop();
    std::filesystem::remove_all(directory);
  }

  /// Puts the agent between: the kubelet calls it, it calls the runtime.
  support::Kubelet kubelet() {
    server = std::make_unique<Server>(
        ServerOptions{.runtime = runtime.endpoint(),
                      .interceptorOf = interceptors({.sandboxes = &sandboxes,
                                                     .clock = &clock,
                                                     .timers = &timers,
                                                     .drain = &drain,
                                                     .ownerLimit = 100ms}),
                      .podNetworks = nullptr});
    auto socket = listenAt(directory + "/agent.sock");
    EXPECT_TRUE(socket.has_value());
    listener = std::make_unique<Listener>(std::move(*socket),
                                          [this](Fd fd) { server->add(std::move(fd)); });
    return support::Kubelet(support::criChannel("unix:" + directory + "/agent.sock"));
  }

  Result<sandbox::RunReply> run(Duration limit = 10s) {
    subset::RunPodSandboxRequest request;
    request.mutable_config()->mutable_metadata()->set_uid("u1");
    sandbox::RunRequest decoded;
    decoded.bytes = request.SerializeAsString();
    decoded.deadline = clock.now() + limit;
    details = decoded.errorDetails;
    std::promise<Result<sandbox::RunReply>> answer;
    client->runPodSandbox(decoded, {}, [&](Result<sandbox::RunReply> result) {
      answer.set_value(std::move(result));
    });
    return answer.get_future().get();
  }
  Result<Fd> netnsOf(const SandboxId& id) {
    std::promise<Result<Fd>> answer;
    client->sandboxNetns(id, clock.now() + 5s,
                         [&](Result<Fd> result) { answer.set_value(std::move(result)); });
    return answer.get_future().get();
  }
  /// From now on there is an owner, over the runtime.
  void open() {
    owned.emplace(client.get());
    owned->start();
    sandboxes.open(*owned->owner);
  }
  /// It knows that sandbox as one that has its networks.
  void recover(const std::string& id) {
    owned->owner->restore({{sandbox::interrupted(journal::State::Attached, id.c_str()),
                            sandbox::RecoveryAction::Keep}});
  }
  bool isKnown(const std::string& id) {
    owned->onLane([] {});
    return owned->owner->snapshot()->sandboxes.contains(SandboxId(id));
  }
  static ino_t inodeOf(const std::string& path) {
    struct stat status{};
    return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
  }

  std::string directory = [] {
    std::string name = "/tmp/multinet-fault-XXXXXX";
    return std::string(mkdtemp(name.data()));
  }();
  SystemClock clock;
  async::Lane files{"files"};
  async::Lane timers{"timers"};
  sandbox::Sandboxes sandboxes{timers};
  drain::Drain drain{timers, clock, [this] { return sandboxes.snapshot(); },
                     [](drain::Why, Duration) {}, Duration{}};
  support::Runtime runtime{directory};
  RuntimeChannel channel{runtime.endpoint(), clock};
  std::unique_ptr<sandbox::Runtime> client;
  std::optional<sandbox::FakeNode> owned;  // of the owner, once there is one
  std::shared_ptr<std::string> details;    // of the last run's error
  std::unique_ptr<Server> server;
  std::unique_ptr<Listener> listener;
};

TEST_F(RuntimeFault, OpensTheNamespaceOfTheBundleAndNoticesThatItVanished) {
  auto netns = support::ForeignNetns::make();
  if (!netns) GTEST_SKIP() << netns.error().message;
  runtime.giveBundles(netns->path());
  const auto made = run();
  ASSERT_TRUE(made.has_value()) << made.error().message;
  const auto fd = netnsOf(made->id);
  ASSERT_TRUE(fd.has_value()) << fd.error().message;
  struct stat opened{};
  ASSERT_EQ(fstat(fd->get(), &opened), 0);
  EXPECT_EQ(opened.st_ino, inodeOf(netns->path()));
  netns->vanish();
  const auto gone = netnsOf(made->id);
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().code, Code::NotFound) << gone.error().message;
}

TEST_F(RuntimeFault, TheDetailsOfItsErrorReachTheKubeletUnchanged) {
  const support::Fault refuses{.code = static_cast<int>(Code::FailedPrecondition)};
  runtime.inject("RunPodSandbox", refuses);
  const std::string sent("its\0details", 11);
  EXPECT_EQ(run().error().code, Code::FailedPrecondition);
  EXPECT_EQ(*details, sent);
  // From the owner on.
  open();
  owned->owner->restore({});
  runtime.inject("RunPodSandbox", refuses);
  const auto result = kubelet().sync({"u1", "web", {{"multinet.dev/networks", "blue"}}});
  EXPECT_EQ(result.failedCall, "RunPodSandbox");
  EXPECT_EQ(result.status.error_details(), sent);
}

TEST_F(RuntimeFault, RefusesANamespaceThatIsAnotherPods) {
  auto own = support::ForeignNetns::make();
  auto others = support::ForeignNetns::make();
  if (!own || !others) GTEST_SKIP() << "no namespaces here";
  runtime.giveBundles(own->path());
  const auto made = run();
  ASSERT_TRUE(made.has_value()) << made.error().message;
  const auto pidFile =
      directory + "/io.containerd.runtime.v2.task/k8s.io/" + made->id.str() + "/init.pid";
  std::ofstream(pidFile) << own->process();
  EXPECT_TRUE(netnsOf(made->id).has_value()) << "its first process is in it";
  std::ofstream(pidFile) << others->process();
  EXPECT_EQ(netnsOf(made->id).error().reason, "ForeignNetns");
  std::ofstream(pidFile) << "no number";
  EXPECT_EQ(netnsOf(made->id).error().reason, "Malformed");
  std::ofstream(pidFile) << others->process();
  others->vanish();
  EXPECT_EQ(netnsOf(made->id).error().reason, "NetnsUnknown");
}

TEST_F(RuntimeFault, RefusesTheHostsNamespaceFilesFifosAndLinksToThem) {
  const auto file = directory + "/file";
  std::ofstream(file) << "no namespace";
  const auto fifo = directory + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const auto link = directory + "/link";
  ASSERT_EQ(symlink("/proc/self/ns/net", link.c_str()), 0);
  const auto other = directory + "/other";
  ASSERT_EQ(symlink("/proc/self/ns/uts", other.c_str()), 0);
  for (const auto& [path, reason] :
       std::vector<std::pair<std::string, std::string>>{{"/proc/self/ns/net", "HostNetns"},
                                                        {link, "HostNetns"},
                                                        {file, "NotANetns"},
                                                        {fifo, "NotANetns"},
                                                        {other, "NotANetns"},
                                                        {directory, "NotANetns"}}) {
    const auto opened = openNetns(path);
    ASSERT_FALSE(opened.has_value()) << path;
    EXPECT_EQ(opened.error().code, Code::FailedPrecondition) << path;
    EXPECT_EQ(opened.error().reason, reason) << path;
  }
}

TEST_F(RuntimeFault, RefusesIdsThatLeaveTheirDirectoryAndBundlesThatSayNothing) {
  for (const auto* id : {"", "..", "../x", "a/b", "a\n", "x.y"}) {
    EXPECT_EQ(netnsOfBundle(directory, SandboxId(id)).error().code, Code::InvalidArgument) << id;
  }
  const auto bundle = directory + "/io.containerd.runtime.v2.task/k8s.io/s1";
  std::filesystem::create_directories(bundle);
  for (const auto* json : {"", "{", "[]", "7", R"({"linux":{}})", R"({"linux":{"namespaces":{}}})",
                           R"({"linux":{"namespaces":[1,{"type":"network"}]}})",
                           R"({"linux":{"namespaces":[{"type":"network","path":7}]}})"}) {
    std::ofstream(bundle + "/config.json") << json;
    EXPECT_EQ(netnsOfBundle(directory, SandboxId("s1")).error().code, Code::FailedPrecondition)
        << json;
  }
}

TEST_F(RuntimeFault, AsksTheRuntimeWhereThereIsNoBundle) {
  auto netns = support::ForeignNetns::make();
  if (!netns) GTEST_SKIP() << netns.error().message;
  const auto made = run();
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(netnsOf(made->id).error().code, Code::NotFound) << "the runtime names none";
  runtime.giveVerboseNetns(netns->path());
  const auto fd = netnsOf(made->id);
  EXPECT_TRUE(fd.has_value()) << fd.error().message;
  auto others = support::ForeignNetns::make();
  ASSERT_TRUE(others.has_value());
  runtime.giveVerboseNetns(netns->path(), others->process());
  EXPECT_EQ(netnsOf(made->id).error().reason, "ForeignNetns");
  runtime.giveVerboseNetns("/proc/self/ns/net");
  EXPECT_EQ(netnsOf(made->id).error().reason, "HostNetns");
  EXPECT_EQ(netnsOf(SandboxId("unknown")).error().code, Code::NotFound);
}

TEST_F(RuntimeFault, KeepsItsDeadlineWhileTheRuntimeHangsAndPassesItsCodes) {
  runtime.inject("RunPodSandbox", {.hangs = true});
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(run(200ms).error().code, Code::DeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  runtime.inject("RunPodSandbox", {.code = 8});
  EXPECT_EQ(run().error(), (Error{Code::ResourceExhausted, "", "scripted"}))
      << "the runtime's own words, and no reason of ours";
  const auto first = run();
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(run().has_value()) << "the name is reserved";
  runtime.inject("RunPodSandbox", {.sameId = true});
  EXPECT_EQ(run()->id, first->id);
}

TEST_F(RuntimeFault, EndsCallsWhenTheRuntimeDiesAndWorksWithTheNextOne) {
  runtime.inject("RunPodSandbox", {.hangs = true});
  auto pending = std::async(std::launch::async, [this] { return run(); });
  for (int i = 0; i < 500 && runtime.calls().empty(); ++i) std::this_thread::sleep_for(10ms);
  runtime.stop();
  const auto cut = pending.get();
  ASSERT_FALSE(cut.has_value());
  EXPECT_NE(cut.error().code, Code::DeadlineExceeded) << "it waited instead of noticing";
  EXPECT_EQ(run().error().code, Code::Unavailable);
  runtime.start();
  Result<sandbox::RunReply> again = run();
  for (int i = 0; i < 100 && !again; ++i) {
    std::this_thread::sleep_for(50ms);
    again = run();
  }
  EXPECT_TRUE(again.has_value());
}

TEST_F(RuntimeFault, LetsTheKubeletAdoptASandboxWhoseReplyWasLost) {
  auto node = kubelet();
  const support::KubeletPod pod{"u1", "plain", {}};
  runtime.inject("RunPodSandbox", {.losesReply = true});
  const auto lost = node.sync(pod);
  EXPECT_EQ(lost.failedCall, "RunPodSandbox");
  EXPECT_EQ(lost.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  const auto next = node.sync(pod);
  EXPECT_TRUE(next.status.ok()) << next.failedCall << ": " << next.status.error_message();
  EXPECT_TRUE(next.adopted);
  EXPECT_TRUE(node.kill(pod).ok());
  EXPECT_TRUE(runtime.sandboxes().empty());
}

TEST_F(RuntimeFault, GivesNoContainerToAnAdoptedSandboxWithoutItsNetworks) {
  auto node = kubelet();
  const support::KubeletPod pod{"u1", "web", {{"multinet.dev/networks", "blue"}}};
  // What is left when the agent died between the runtime's reply and the attach.
  ASSERT_TRUE(node.sync({"u1", "web", {}}).status.ok());
  sandboxes.show({.recovered = true, .bootId = "b", .sandboxes = {}, .running = {}});
  const auto adopted = node.sync(pod);
  EXPECT_TRUE(adopted.adopted);
  EXPECT_EQ(adopted.failedCall, "CreateContainer");
  EXPECT_EQ(adopted.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  // Recovery gave up on it: the kubelet makes another, with the next attempt.
  sandbox::Snapshot snapshot{.recovered = true, .bootId = "b", .sandboxes = {}, .running = {}};
  snapshot.sandboxes[SandboxId(adopted.sandbox)].verdict = sandbox::Verdict::NotReady;
  sandboxes.show(snapshot);
  const auto next = node.sync(pod);
  EXPECT_FALSE(next.adopted);
  EXPECT_EQ(next.attempt, adopted.attempt + 1);
}

TEST_F(RuntimeFault, ShowsNoSandboxWhoseOwnCallIsUnderWay) {
  auto node = kubelet();
  const support::KubeletPod pod{"u1", "web", {}};
  ASSERT_TRUE(node.sync(pod).status.ok());
  EXPECT_EQ(node.list(pod).size(), 1U);
  sandboxes.show(
      {.recovered = true, .bootId = "b", .sandboxes = {}, .running = {{PodUid("u1"), 0}}});
  EXPECT_TRUE(node.list(pod).empty());
}

TEST_F(RuntimeFault, StopsAndRemovesWhileTheOwnerHangs) {
  auto node = kubelet();
  const support::KubeletPod pod{"u1", "web", {}};
  ASSERT_TRUE(node.sync(pod).status.ok());
  open();  // and it hasn't recovered: any sandbox may be one of its own
  std::promise<void> go = owned->hang();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(node.kill(pod).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  EXPECT_TRUE(runtime.sandboxes().empty());
  go.set_value();
  recover("sandbox1");
  EXPECT_FALSE(isKnown("sandbox1")) << "its end was told";
}

TEST_F(RuntimeFault, EndsASandboxOfTheOwnersWhileTheOwnerHangs) {
  auto node = kubelet();
  const support::KubeletPod pod{"u1", "web", {}};
  const auto made = node.sync(pod);
  ASSERT_TRUE(made.status.ok());
  open();
  recover(made.sandbox);
  ASSERT_TRUE(isKnown(made.sandbox));
  std::promise<void> go = owned->hang();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(node.kill(pod).ok()) << "our books are no reason to refuse an end";
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  EXPECT_TRUE(runtime.sandboxes().empty());
}

TEST_F(RuntimeFault, TellsTheOwnerNothingOfAStopThatTheRuntimeRefused) {
  auto node = kubelet();
  const support::KubeletPod pod{"u1", "web", {}};
  ASSERT_TRUE(node.sync(pod).status.ok());
  open();
  recover("sandbox1");
  runtime.inject("StopPodSandbox", {.code = 13});
  EXPECT_EQ(node.kill(pod).error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_TRUE(isKnown("sandbox1"));
  EXPECT_TRUE(node.kill(pod).ok());
  EXPECT_FALSE(isKnown("sandbox1"));
}

TEST_F(RuntimeFault, HoldsBackTheRuntimeForASlowReaderWithoutHurtingOthers) {
  auto node = kubelet();
  constexpr int kEvents = 300;
  runtime.giveEvents(kEvents, 256U << 10U);
  grpc::GenericStub stub(support::criChannel("unix:" + directory + "/agent.sock"));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 60s);
  grpc::CompletionQueue queue;
  auto stream = stub.PrepareCall(&context, "/runtime.v1.RuntimeService/GetContainerEvents", &queue);
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  stream->StartCall(nullptr);
  ASSERT_TRUE(wait());
  stream->WriteLast(bufferOf(""), {}, nullptr);
  ASSERT_TRUE(wait());
  // Nobody reads: what is under way stays far from the 75 MiB that the runtime has to say.
  int before = -1;
  for (int i = 0; i < 100 && before != runtime.eventsSent(); ++i) {
    before = runtime.eventsSent();
    std::this_thread::sleep_for(100ms);
  }
  EXPECT_LT(before, kEvents / 2);
  EXPECT_TRUE(node.sync({"u1", "web", {}}).status.ok()) << "others go on meanwhile";
  int read = 0;
  while (true) {
    grpc::ByteBuffer message;
    stream->Read(&message, nullptr);
    if (!wait()) break;
    EXPECT_EQ(message.Length(), 256U << 10U);
    ++read;
  }
  EXPECT_EQ(read, kEvents);
  grpc::Status status;
  stream->Finish(&status, nullptr);
  EXPECT_TRUE(wait());
  EXPECT_TRUE(status.ok()) << status.error_message();
  queue.Shutdown();
}

}  // namespace
}  // namespace multinet::agent::cri
