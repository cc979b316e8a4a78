// The reports of a node on a real connection: what is lost comes back, what is equal costs nothing,
// and one thing that hangs holds up no other.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "lib/api/names.h"
#include "nodeagent/report/api_reporter.h"
#include "nodeagent/report/node_reporter.h"
#include "nodeagent/watch/cluster.h"
#include "test/support/apiserver.h"

namespace multinet::agent::report {
namespace {

using multinet::testing::ApiServer;
using multinet::testing::Fault;
using multinet::testing::Json;
using multinet::testing::ResourcePath;
using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kOurs = "/apis/multinet.dev/v1alpha1/";
const std::string kNodeSet = kOurs + "nodenetworksets/n1";
const std::string kPeer = kOurs + "networkpeers/blue.n1";
const std::string kSets = kOurs + "namespaces/default/podinterfacesets/";

/// What of the agent reports, wired as it is there.
struct Reporting {
  Reporting(const std::string& kubeconfig, const Clock& clock)
      : cluster({.kubeconfig = kubeconfig, .node = NodeName("n1")}, clock, [] {},
                {.pod = [this](const std::string& uid) { pods.changed(uid); },
                 .node = [this](const std::string& peer) { node.changed(peer); }}),
        node([this] { return cluster.client(); }, cluster, clock, NodeName("n1"),
             {.repairAfter = milliseconds(100)}),
        pods([this] { return cluster.client(); }, cluster, node.news(), clock, NodeName("n1"),
             {.repairAfter = milliseconds(100)}) {
    cluster.start();
  }
  ~Reporting() { cluster.stop(); }

  watch::Cluster cluster;
  NodeReporter node;
  ApiReporter pods;
};

class ReportTest : public ::testing::Test {
 protected:
  ReportTest() {
    directory_ = std::filesystem::path(::testing::TempDir()) /
                 ("report-" + std::to_string(::getpid()) + "-" +
                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
    std::ofstream(directory_ / "kubeconfig")
        << "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        << "clusters: [{name: c, cluster: {server: '" << server_.url() << "'}}]\n"
        << "users: [{name: u, user: {token: t}}]\n"
        << "contexts: [{name: c, context: {cluster: c, user: u}}]\n";
    server_.store().statusSubresources = {"/api/v1/pods", kOurs + "nodenetworksets"};
    put("/api/v1/nodes/n1", Json::object());
    for (const char* name : {"web-0", "web-1"}) {
      put(std::string("/api/v1/namespaces/default/pods/") + name,
          {{"metadata", {{"annotations", {{api::kNetworksAnnotation, "blue"}}}}},
           {"spec", {{"nodeName", "n1"}}}});
    }
    start();
  }
  ~ReportTest() override {
    agent_.reset();
    std::filesystem::remove_all(directory_);
  }
  /// Also: the agent dies, the next one is told of the same pods and networks.
  void start() {
    agent_.reset();
    agent_ = std::make_unique<Reporting>((directory_ / "kubeconfig").string(), clock_);
    networks::NetworkState state;
    state.name = NetworkName("blue");
    state.uid = NetworkUid("u1");
    state.bridgeMac = MacAddress::derive("blue");
    state.underlays = {IpAddress::parse("10.90.0.11").value()};
    state.ready = networks::CheckStatus::True;
    state.reason = "Measured";
    networks::Snapshot snapshot;
    snapshot.settled = true;
    snapshot.networks = {state};
    agent_->node.update(std::make_shared<const networks::Snapshot>(snapshot));
    for (const char* name : {"web-0", "web-1"}) attach(name);
  }
  void attach(const std::string& name) {
    InterfaceStatus status;
    status.plan.name = InterfaceName::parse("net1").value();
    status.plan.network = NetworkName("blue");
    status.plan.networkUid = NetworkUid("u1");
    status.plan.mac = MacAddress::derive(name);
    status.state = InterfaceState::Attached;
    status.attachedAt = WallTime(seconds(1'700'000'000) + milliseconds(123));
    agent_->pods.attached({PodUid(uidOf(name)), "default", name, 0}, SandboxId("s-" + name),
                          {status});
  }
  std::string uidOf(const std::string& name) {
    return get("/api/v1/namespaces/default/pods/" + name)["metadata"]["uid"];
  }
  std::string setOf(const std::string& name) {
    return kSets + api::interfaceSetName(name, PodUid(uidOf(name)));
  }
  void put(const std::string& path, Json object) {
    const auto parsed = ResourcePath::parse(path);
    object["metadata"]["name"] = parsed.name;
    if (!parsed.nameSpace.empty()) object["metadata"]["namespace"] = parsed.nameSpace;
    ASSERT_LT(server_.store().create(parsed, std::move(object)).status, 300);
  }
  Json get(const std::string& path) {
    const auto answer = server_.store().get(ResourcePath::parse(path));
    return answer.status == 200 ? answer.body : Json();
  }
  void remove(const std::string& path) {
    ASSERT_EQ(server_.store().remove(ResourcePath::parse(path), {}).status, 200) << path;
  }
  bool isReady(const std::string& pod) {
    return get("/api/v1/namespaces/default/pods/" + pod).dump().find("\"status\":\"True\"") !=
           std::string::npos;
  }
  bool isAllThere() {
    return !get(kPeer).is_null() && get(kNodeSet)["status"]["networks"].size() == 1 &&
           !get(setOf("web-0")).is_null() && !get(setOf("web-1")).is_null() && isReady("web-0") &&
           isReady("web-1");
  }
  /// And the agent has seen it there: what it never saw nobody tells it is gone.
  bool isAllSeen() {
    const auto isSet = [this](const char* pod) {
      return agent_->cluster.interfaceSet("default", nameOf(setOf(pod))).object != nullptr;
    };
    const auto node = agent_->cluster.nodeSet();
    return isAllThere() && isSet("web-0") && isSet("web-1") && node.object != nullptr &&
           node.object->status.networks.size() == 1;
  }
  static std::string nameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  /// What people and tools see of an object: without what the server counts.
  static Json facts(Json object) {
    for (const char* key : {"resourceVersion", "uid", "creationTimestamp", "generation"}) {
      object["metadata"].erase(key);
    }
    return object;
  }
  template <class Condition>
  static bool eventually(const Condition& condition) {
    const auto until = std::chrono::steady_clock::now() + seconds(30);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
  }
  std::vector<std::string> writes() {
    std::vector<std::string> writes;
    for (const std::string& request : server_.requests()) {
      if (!request.starts_with("GET ")) writes.push_back(request);
    }
    return writes;
  }

  ApiServer server_;
  SystemClock clock_;
  std::filesystem::path directory_;
  std::unique_ptr<Reporting> agent_;
};

TEST_F(ReportTest, WhatIsDeletedIsBackAsItWas) {
  ASSERT_TRUE(eventually([&] { return isAllThere(); }));
  const std::vector<std::string> paths = {kPeer, kNodeSet, setOf("web-0"), setOf("web-1")};
  std::vector<Json> before;
  for (const std::string& path : paths) before.push_back(facts(get(path)));
  for (const std::string& path : paths) remove(path);
  ASSERT_TRUE(eventually([&] { return isAllThere(); }));
  for (std::size_t i = 0; i < paths.size(); ++i) {
    Json now = facts(get(paths[i]));
    // Times of a NodeNetworkSet begin anew with it.
    if (paths[i] == kNodeSet) {
      for (Json* one : {&now, &before[i]}) {
        (*one)["status"]["networks"][0]["conditions"][0].erase("lastTransitionTime");
      }
    }
    EXPECT_EQ(now, before[i]) << paths[i];
  }
}

TEST_F(ReportTest, AStoreThatWasPutBackGetsItAgain) {
  ASSERT_TRUE(eventually([&] { return isAllSeen(); }));
  // What the backup doesn't have is gone without an event; the counter is back.
  server_.set(ApiServer::Presence::Away);
  remove(setOf("web-0"));
  remove(kNodeSet);
  server_.store().compact();
  server_.set(ApiServer::Presence::Here);
  EXPECT_TRUE(eventually([&] { return isAllThere(); }));
}

TEST_F(ReportTest, ARestartWritesNothing) {
  ASSERT_TRUE(eventually([&] { return isAllThere(); }));
  const auto before = writes();
  start();
  ASSERT_TRUE(eventually([&] { return agent_->pods.waiting() == 0; }));
  // Both have looked once more by then.
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_EQ(writes(), before);
}

TEST_F(ReportTest, ANodeThatIsRegisteredAgainHasItsReportsByItself) {
  ASSERT_TRUE(eventually([&] { return isAllThere(); }));
  remove("/api/v1/nodes/n1");
  ASSERT_TRUE(eventually([&] {
    const auto node = agent_->cluster.node();
    return node.known && node.object == nullptr;
  }));
  const auto before = writes();
  remove(kNodeSet);
  remove(kPeer);
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_EQ(writes(), before) << "nothing speaks of a node that isn't there";
  put("/api/v1/nodes/n1", Json::object());
  EXPECT_TRUE(eventually([&] { return isAllThere(); }));
}

TEST_F(ReportTest, AWriteThatHangsHoldsUpNoOtherPod) {
  ASSERT_TRUE(eventually([&] { return isAllThere(); }));
  server_.inject(
      {.fault = Fault::Stall, .method = "POST", .targetContains = "/podinterfacesets", .times = 1});
  const auto begin = std::chrono::steady_clock::now();
  remove(setOf("web-0"));
  remove(setOf("web-1"));
  EXPECT_TRUE(
      eventually([&] { return !get(setOf("web-0")).is_null() || !get(setOf("web-1")).is_null(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5)) << "a call's deadline is 10 s";
  EXPECT_TRUE(eventually([&] { return isAllThere(); }));
}

}  // namespace
}  // namespace multinet::agent::report
