#include "nodeagent/report/api_reporter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "lib/api/service.h"
#include "lib/base/fake_clock.h"
#include "lib/kube/fake_transport.h"
#include "nodeagent/report/bounds.h"
#include "nodeagent/watch/fake_own_objects.h"

namespace multinet::agent::report {
namespace {

using namespace std::chrono_literals;

const std::string kPods = "/api/v1/namespaces/default/pods/";
const std::string kSets = "/apis/multinet.dev/v1alpha1/namespaces/default/podinterfacesets/";

/// An API server whose watches show at once what it has.
class Server {
 public:
  explicit Server(watch::FakeOwnObjects& own) : own_(own) {
    auto transport = std::make_unique<kube::FakeTransport>(store_);
    transport_ = transport.get();
    transport_->written = [this] { show(); };
    transport_->before = [this](const kube::HttpRequest& request) { return refusal(request); };
    client_ = std::make_unique<kube::Client>(std::move(transport));
  }

  kube::ClientSource source() {
    return [this] { return client_.get(); };
  }
  /// A pod that no watch has shown yet.
  PodRef makePod(const std::string& name) {
    const auto made =
        store_.create(testing::ResourcePath::parse(kPods + name), {{"metadata", {{"name", name}}}});
    return {PodUid(made.body["metadata"]["uid"].get<std::string>()), "default", name, 0};
  }
  /// But those for Events.
  int calls() const {
    const auto requests = transport_->requests();
    return static_cast<int>(std::ranges::count_if(requests, [](const std::string& request) {
      return request.find("/events") == std::string::npos;
    }));
  }
  std::vector<api::PodInterfaceSet> sets() const {
    return all<api::PodInterfaceSet>("/apis/multinet.dev/v1alpha1/podinterfacesets");
  }
  /// Of the pod; not ready where it says nothing.
  k8s::Condition readiness(const std::string& pod = "web-0") const {
    for (const auto& one : all<k8s::Pod>("/api/v1/pods")) {
      const auto* there = one.status.conditions.find(api::kReadyGate);
      if (one.metadata.name == pod && there != nullptr) return *there;
    }
    return {};
  }
  bool isReady(const std::string& pod = "web-0") const {
    return readiness(pod).status == k8s::ConditionStatus::True;
  }
  /// Reasons of all, those on the node behind its word.
  std::set<std::string> events() const {
    std::set<std::string> reasons;
    const auto events = store_.list(testing::ResourcePath::parse("/api/v1/events"), "", "", 0, "");
    for (const auto& event : events.body["items"]) {
      const bool ofNode = event["involvedObject"]["kind"] == "Node";
      reasons.insert((ofNode ? "node " : "") + event["reason"].get<std::string>());
    }
    return reasons;
  }
  /// Somebody deletes it, or writes it as it shall not be.
  void removeSet(const std::string& name) {
    store_.remove(testing::ResourcePath::parse(kSets + name), {});
    show();
  }
  void writeSet(const api::PodInterfaceSet& set) {
    auto object = k8s::KindTraits<api::PodInterfaceSet>::encode(set);
    object["metadata"].erase("resourceVersion");
    store_.update(testing::ResourcePath::parse(kSets + set.metadata.name), std::move(object));
    show();
  }
  /// What a watch says of a pod from now on, until something is written.
  void see(const PodRef& ref, const std::optional<Readiness>& readiness,
           std::optional<WallTime> deleted = std::nullopt) {
    k8s::Pod pod;
    pod.metadata.deletionTimestamp = deleted;
    pod.metadata.name = ref.name;
    pod.metadata.nameSpace = ref.namespaceName;
    pod.metadata.uid = ref.uid.str();
    if (readiness) {
      const auto status =
          readiness->ready ? k8s::ConditionStatus::True : k8s::ConditionStatus::False;
      pod.status.conditions.set(
          {api::kReadyGate, status, 0, {}, readiness->reason, readiness->message}, {});
    }
    own_.put(pod);
  }

  std::atomic<int> down_ = 0;           ///< so many writes of sets find nobody
  std::atomic<bool> unserved_ = false;  ///< nobody knows the kind of sets
  std::atomic<bool> refuses_ = false;   ///< sets, for what is in them
  std::string hangsFor_;                ///< a pod; before the first call
  std::promise<void> released_;

 private:
  std::optional<Result<kube::HttpResponse>> refusal(const kube::HttpRequest& request) {
    const auto has = [&](const std::string& text) {
      return request.target.find(text) != std::string::npos;
    };
    if (!hangsFor_.empty() && has("/pods/" + hangsFor_)) release_.wait();
    if (request.method == kube::Method::Get || !has("/podinterfacesets")) return {};
    if (unserved_) return kube::refusing(404, "NotFound", "404 page not found");
    if (refuses_) return kube::refusing(422, "Invalid", "interfaces: Too many: 17");
    if (down_ <= 0) return {};
    --down_;
    return kube::refusing(503, "ServerAway", "the server is away");
  }
  template <class T>
  std::vector<T> all(const std::string& collection) const {
    std::vector<T> objects;
    const auto list = store_.list(testing::ResourcePath::parse(collection), "", "", 0, "");
    for (const auto& item : list.body["items"]) {
      objects.push_back(kube::decodeJson<T>(item.dump()).value());
    }
    return objects;
  }
  void show() {
    const std::lock_guard lock(mutex_);  // what is shown later is newer
    std::set<std::string> there;
    for (const auto& set : sets()) {
      own_.put(set);
      there.insert(set.metadata.name);
    }
    for (const auto& name : shown_) {
      if (!there.contains(name)) own_.removeSet(name);
    }
    shown_ = std::move(there);
    for (const auto& pod : all<k8s::Pod>("/api/v1/pods")) own_.put(pod);
  }

  watch::FakeOwnObjects& own_;
  testing::ObjectStore store_;
  kube::FakeTransport* transport_ = nullptr;
  std::unique_ptr<kube::Client> client_;
  std::mutex mutex_;
  std::set<std::string> shown_;
  std::shared_future<void> release_ = released_.get_future().share();
};

struct FakeNews {
  NodeNews news() {
    return {.setNodeCondition = [this](NodeCondition one) { last_ = std::move(one); },
            .setUsedNetworks = [this](std::set<NetworkUid> uids) { used_ = std::move(uids); }};
  }
  NodeCondition last_;
  std::set<NetworkUid> used_;
};

class ApiReporterTest : public ::testing::Test {
 protected:
  static ReportOptions quick() {
    ReportOptions options;
    options.repairAfter = 1ms;
    options.refusedAgain = 5ms;
    options.watchPatience = 50ms;
    return options;
  }
  /// While time passes.
  template <class Condition>
  void eventually(const char* what, const Condition& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << what;
      clock_.advance(5ms);
      std::this_thread::sleep_for(100us);
    }
  }
  void settle() {
    eventually("all is written", [this] { return reporter_->waiting() == 0; });
  }
  /// What the watches would say, and the time for it to be looked at.
  int callsAfterALook() {
    const int before = server_.calls();
    const auto looks = reporter_->health().done;
    reporter_->changed("");
    eventually("a look", [&] { return reporter_->health().done > looks; });
    return server_.calls() - before;
  }
  void restartAgent() {
    reporter_.reset();
    reporter_ = std::make_unique<ApiReporter>(server_.source(), own_, news_.news(), clock_,
                                              NodeName("n1"), options_);
  }
  static std::vector<InterfaceStatus> oneInterface() {
    InterfaceStatus status;
    status.plan.name = InterfaceName::parse("net1").value();
    status.plan.network = NetworkName("blue");
    status.plan.networkUid = NetworkUid("uid-blue");
    status.plan.addresses = {
        {InterfaceAddress::parse("10.20.0.5/16").value(), IpAddress::parse("10.20.0.1").value()}};
    status.plan.mtu = 1450;
    status.state = InterfaceState::Attached;
    status.attachedAt = WallTime(1234567ms);
    return {status};
  }

  ReportOptions options_ = quick();
  FakeClock clock_;
  watch::FakeOwnObjects own_;
  Server server_{own_};
  const PodRef pod_ = server_.makePod("web-0");
  const std::string setName_ = api::interfaceSetName("web-0", pod_.uid);
  FakeNews news_;
  std::unique_ptr<ApiReporter> reporter_ = std::make_unique<ApiReporter>(
      server_.source(), own_, news_.news(), clock_, NodeName("n1"), options_);
};

TEST_F(ApiReporterTest, WritesTheSetAndTheConditionOnceTheServerIsBack) {
  server_.down_ = 3;
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  ASSERT_EQ(server_.sets().size(), 1U);
  const api::PodInterfaceSet set = server_.sets().front();
  EXPECT_EQ(set.metadata.name, setName_);
  EXPECT_EQ(set.metadata.ownerReferences.at(0).uid, pod_.uid.str());
  EXPECT_EQ(set.interfaces.at(0).ips.at(0).gateway, "10.20.0.1");
  EXPECT_TRUE(set.interfaces.at(0).conditions.isTrue("Ready"));
  EXPECT_TRUE(server_.isReady());
  EXPECT_EQ(news_.used_, std::set<NetworkUid>{NetworkUid("uid-blue")});
}

TEST_F(ApiReporterTest, AnOldSandboxesEndLeavesTheNewOnesSet) {
  reporter_->attached(pod_, SandboxId("s2"), oneInterface());
  reporter_->detached(pod_, SandboxId("s1"));
  settle();
  EXPECT_EQ(server_.sets().size(), 1U);
  EXPECT_TRUE(server_.isReady());
  reporter_->detached(pod_, SandboxId("s2"));
  settle();
  EXPECT_TRUE(server_.sets().empty());
  EXPECT_FALSE(server_.isReady());
  EXPECT_TRUE(news_.used_.empty());
}

TEST_F(ApiReporterTest, AnInterfaceThatIsNotAsPlannedTakesReadinessAway) {
  struct Case {
    InterfaceState state;
    LinkState link;
    const char* attached;
    const char* ready;
    api::LinkState shown;
  };
  for (const Case& one :
       {Case{InterfaceState::Attached, LinkState::Unknown, "True", "True", api::LinkState::Up},
        Case{InterfaceState::Attached, LinkState::Down, "True", "False", api::LinkState::Down},
        Case{InterfaceState::Failed, LinkState::Unknown, "False", "False", api::LinkState::Down},
        Case{InterfaceState::Attached, LinkState::Up, "True", "True", api::LinkState::Up}}) {
    auto interfaces = oneInterface();
    interfaces[0].state = one.state;
    interfaces[0].link = one.link;
    const bool ready = std::string(one.ready) == "True";
    if (!ready) interfaces[0].reason = "NoCarrier";
    if (!ready) interfaces[0].message = "its parent has no carrier";
    reporter_->attached(pod_, SandboxId("s1"), interfaces);
    settle();
    const api::PodInterface told = server_.sets().front().interfaces.at(0);
    EXPECT_EQ(told.linkState, one.shown);
    EXPECT_EQ(told.conditions.isTrue("Attached"), std::string(one.attached) == "True");
    EXPECT_EQ(told.conditions.isTrue("Ready"), ready);
    EXPECT_EQ(server_.isReady(), ready);
    EXPECT_EQ(server_.readiness().reason, ready ? "Attached" : "NoCarrier");
    if (!ready) {
      EXPECT_EQ(server_.readiness().message, "interface net1: its parent has no carrier");
    }
  }
}

TEST_F(ApiReporterTest, TellsWhetherFramesAreHeldAgainstAnInterface) {
  auto interfaces = oneInterface();
  const auto told = [&] {
    reporter_->attached(pod_, SandboxId("s1"), interfaces);
    settle();
    const auto conditions = server_.sets().front().interfaces.at(0).conditions;
    const auto* secured = conditions.find("PortSecured");
    if (secured == nullptr) return std::string();
    return (conditions.isTrue("PortSecured") ? "True " : "False ") + secured->reason;
  };
  EXPECT_EQ(told(), "") << "not known";
  interfaces[0].secured = {true, "Enforced", "they are"};
  EXPECT_EQ(told(), "True Enforced");
  interfaces[0].secured = {false, "CommitFailed", "they aren't"};
  EXPECT_EQ(told(), "False CommitFailed");
  EXPECT_TRUE(server_.isReady()) << "the pod's traffic goes on";
}

TEST_F(ApiReporterTest, ARefusalIsAnEventAndTheConditionsReason) {
  reporter_->refused(pod_, {Code::NotFound, "NetworkNotFound", "network \"blu\" does not exist"});
  settle();
  eventually("the Event is there",
             [this] { return server_.events() == std::set<std::string>{"NetworkNotFound"}; });
  EXPECT_EQ(server_.readiness().reason, "NetworkNotFound");
}

TEST_F(ApiReporterTest, OtherRoomsPutEventsOnPodsAndTheNodeAndSetItsConditions) {
  reporter_->event(pod_, {kube::Severity::Warning, "Contested", "two pods have 10.20.0.5"});
  reporter_->nodeEvent({kube::Severity::Warning, "AgentBypassed", "the kubelet goes past it"});
  eventually("the Events are there", [this] {
    return server_.events() == std::set<std::string>{"Contested", "node AgentBypassed"};
  });
  const NodeCondition condition{"AgentBypassed", k8s::ConditionStatus::True, "Seen", "it does"};
  reporter_->tell(condition);
  EXPECT_EQ(news_.last_, condition);
}

TEST_F(ApiReporterTest, APodThatTheKubeletEndsSaysSoUntilItDoesNot) {
  const auto drains = [&] {
    const auto sets = server_.sets();
    return sets.size() == 1 && sets.front().interfaces.front().conditions.isTrue(api::kDraining);
  };
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  EXPECT_FALSE(drains());
  reporter_->ending(pod_, SandboxId("s1"), true);
  eventually("a word", drains);
  settle();
  EXPECT_EQ(callsAfterALook(), 0);
  // The next agent doesn't know yet.
  restartAgent();
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  EXPECT_TRUE(drains());
  reporter_->ending(pod_, SandboxId("s1"), false);
  eventually("a word back", [&] { return !drains(); });
  reporter_->ending(pod_, SandboxId("s1"), true);
  eventually("a word", drains);
  reporter_->attached(pod_, SandboxId("s2"), oneInterface());
  eventually("another sandbox's set", [&] { return !drains(); });
}

TEST_F(ApiReporterTest, HealthIsInTheSetAndAnEarlierAgentsWordStaysUntilThereIsAnother) {
  const auto health = [&](const std::string& service) -> std::string {
    for (const auto& set : server_.sets()) {
      for (const auto& one : *set.interfaces.front().health) {
        if (one.service == service) return one.healthy ? "healthy" : one.reason;
      }
    }
    return "";
  };
  const NetworkUid network = oneInterface().front().plan.networkUid;
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  reporter_->healthFound(pod_.uid, network,
                         {{"u1", "u2"}, {{"web", "u1", true, "Answered", "200"}}});
  eventually("a verdict", [&] { return health("web") == "healthy"; });
  reporter_->healthFound(pod_.uid, network,
                         {{"u1", "u2"},
                          {{"db", "u2", false, "Refused", std::string(2000, 'x')},
                           {"web", "u1", true, "Answered", "200"}}});
  eventually("the other's", [&] { return health("db") == "Refused"; });
  settle();
  EXPECT_EQ(callsAfterALook(), 0);
  // The next agent knows nothing yet, then of one service, then the other isn't checked any more.
  restartAgent();
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  EXPECT_EQ(health("web"), "healthy");
  reporter_->healthFound(pod_.uid, network,
                         {{"u1", "u2"}, {{"web", "u1", false, "TimedOut", "1 s"}}});
  eventually("another word", [&] { return health("web") == "TimedOut"; });
  EXPECT_EQ(health("db"), "Refused");
  reporter_->healthFound(pod_.uid, network, {{"u1"}, {{"web", "u1", true, "Answered", "200"}}});
  eventually("one left", [&] { return health("db").empty(); });
  EXPECT_EQ(health("web"), "healthy");
}

TEST_F(ApiReporterTest, ASetThatIsDeletedOrAlteredComesBackAsItWas) {
  server_.see(pod_, std::nullopt);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  const api::PodInterfaceSet was = server_.sets().front();
  ASSERT_EQ(was.metadata.name, setName_);
  const auto isBack = [&] {
    const auto sets = server_.sets();
    return sets.size() == 1 && saysTheSame(was, sets.front());
  };
  server_.removeSet(setName_);
  reporter_->changed(pod_.uid.str());
  eventually("a deleted set is back", isBack);

  api::PodInterfaceSet altered = server_.sets().front();
  altered.interfaces[0].ips[0].address = "10.20.0.6/16";
  server_.writeSet(altered);
  reporter_->changed(pod_.uid.str());
  eventually("an altered set is as it was", isBack);

  altered = server_.sets().front();
  altered.metadata.ownerReferences.clear();  // the collector would never take it
  server_.writeSet(altered);
  ASSERT_FALSE(isBack());
  reporter_->changed(pod_.uid.str());
  eventually("the owner is written again", isBack);
}

TEST_F(ApiReporterTest, SetsComeBackWithTheirDefinition) {
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  server_.unserved_ = true;
  server_.removeSet(setName_);
  server_.see(pod_, Readiness{true, "Attached", ""});
  const int before = server_.calls();
  reporter_->changed("");
  eventually("it is tried", [&] { return server_.calls() > before; });
  server_.unserved_ = false;
  eventually("nobody said a word, and it is back", [&] { return server_.sets().size() == 1; });
}

TEST_F(ApiReporterTest, AConditionThatAnotherWriterRemovedComesBack) {
  server_.see(pod_, std::nullopt);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  const auto since = server_.readiness().lastTransitionTime;
  ASSERT_TRUE(since);
  const auto isBack = [&] {
    const auto seen = own_.pod("default", "web-0");
    const k8s::Condition* there = seen.object->status.conditions.find(api::kReadyGate);
    return there != nullptr && there->reason == "Attached" && there->lastTransitionTime == since;
  };
  server_.see(pod_, std::nullopt);
  reporter_->changed(pod_.uid.str());
  eventually("a removed condition is back, with its time", isBack);
  server_.see(pod_, Readiness{false, "Forged", ""});
  reporter_->changed(pod_.uid.str());
  eventually("a forged one is put right", isBack);
}

TEST_F(ApiReporterTest, NothingIsWrittenWhereAllIsEqual) {
  server_.see(pod_, std::nullopt);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  EXPECT_EQ(callsAfterALook(), 0);
  // A restart tells the same of a running pod, with other times.
  const int before = server_.calls();
  restartAgent();
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  EXPECT_EQ(server_.calls(), before);
  EXPECT_EQ(callsAfterALook(), 0);
}

TEST_F(ApiReporterTest, AnnouncesOnlyAnAttachThatTakesLong) {
  server_.see(pod_, std::nullopt);
  reporter_->starting(pod_);
  eventually("a look", [this] { return reporter_->health().done > 0; });
  EXPECT_EQ(server_.calls(), 0);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  EXPECT_EQ(server_.calls(), 2) << "the set, and that the pod is ready";
}

TEST_F(ApiReporterTest, AnnouncesAnAttachThatTakesLongAndOneOfAPodThatCountsAsReady) {
  server_.see(pod_, std::nullopt);
  options_.announceAfter = 10ms;
  restartAgent();
  reporter_->starting(pod_);
  eventually("told", [this] { return server_.readiness().reason == "Attaching"; });
  EXPECT_EQ(server_.calls(), 1);
  options_.announceAfter = 1h;
  restartAgent();  // its threads have ended, and what they wrote is seen
  server_.see(pod_, Readiness{true, "Attached", "all networks are attached"});
  reporter_->starting(pod_);
  eventually("told at once", [this] {
    return !own_.pod("default", "web-0").object->status.conditions.isTrue(api::kReadyGate);
  });
  EXPECT_EQ(server_.calls(), 2);
}

TEST_F(ApiReporterTest, TheEndOfAPodThatIsBeingDeletedCostsOneWrite) {
  server_.see(pod_, std::nullopt);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  server_.see(pod_, Readiness{true, "Attached", ""}, WallTime(1h));
  const int before = server_.calls();
  reporter_->detached(pod_, SandboxId("s1"));
  settle();
  EXPECT_EQ(server_.calls(), before + 1);
  EXPECT_TRUE(server_.sets().empty());
}

TEST_F(ApiReporterTest, RetriesOfARefusedPodWriteNothing) {
  server_.see(pod_, std::nullopt);
  const Error error{Code::ResourceExhausted, "PoolExhausted", "all 254 are taken"};
  reporter_->starting(pod_);
  reporter_->refused(pod_, error);
  settle();
  const int before = server_.calls();
  for (int retry = 0; retry < 3; ++retry) {
    reporter_->starting(pod_);
    reporter_->refused(pod_, error);
  }
  settle();
  restartAgent();
  reporter_->starting(pod_);
  settle();
  EXPECT_EQ(server_.calls(), before);
  EXPECT_EQ(server_.readiness().reason, "PoolExhausted");
}

TEST_F(ApiReporterTest, ASetThatTheServerRefusesLeavesThePodReadyAndIsToldOnce) {
  server_.see(pod_, std::nullopt);
  server_.refuses_ = true;
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  eventually("it is tried again", [this] { return server_.calls() > 4; });
  EXPECT_TRUE(server_.isReady());
  eventually("it is told",
             [this] { return server_.events() == std::set<std::string>{"InterfaceSetRefused"}; });
  server_.refuses_ = false;
  settle();
  EXPECT_EQ(server_.sets().size(), 1U);
}

TEST_F(ApiReporterTest, ASetThatMayNotBeRemovedIsNoNewsForThePod) {
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  server_.refuses_ = true;
  const int before = server_.calls();
  reporter_->detached(pod_, SandboxId("s1"));
  eventually("its removal is tried", [&] { return server_.calls() > before; });
  reporter_->nodeEvent({kube::Severity::Normal, "Later", "one that comes behind all others"});
  eventually("events are there", [&] { return server_.events().contains("node Later"); });
  EXPECT_FALSE(server_.events().contains("InterfaceSetRefused"));
}

TEST_F(ApiReporterTest, OnePodsWriteThatHangsHoldsUpNoOther) {
  server_.hangsFor_ = "web-0";
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  const PodRef other = server_.makePod("web-1");
  reporter_->attached(other, SandboxId("s2"), oneInterface());
  eventually("the other is ready", [this] { return server_.isReady("web-1"); });
  eventually("only one waits", [this] { return reporter_->waiting() == 1; });
  server_.released_.set_value();
  settle();
}

TEST_F(ApiReporterTest, AGonePodsSetIsLeftToTheCollectorAndForgotten) {
  server_.see(pod_, std::nullopt);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  own_.removePod("web-0");
  own_.removeSet(setName_);
  EXPECT_EQ(callsAfterALook(), 0);
  reporter_->detached(pod_, SandboxId("s1"));
  settle();
  const int before = server_.calls();
  reporter_->changed("");
  clock_.advance(1s);
  restartAgent();  // its threads have ended
  EXPECT_EQ(server_.calls(), before);
}

TEST_F(ApiReporterTest, WithoutWatchesItWritesBlindlyAfterAWhile) {
  own_.forgetAll();
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  EXPECT_EQ(server_.calls(), 0);
  settle();
  EXPECT_EQ(server_.sets().size(), 1U);
  EXPECT_TRUE(server_.isReady());
}

}  // namespace
}  // namespace multinet::agent::report
