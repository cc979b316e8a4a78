#include "nodeagent/report/api_reporter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "lib/base/fake_clock.h"
#include "nodeagent/watch/fake_own_objects.h"

namespace multinet::agent::report {
namespace {

using namespace std::chrono_literals;

/// An API server whose watches show at once what it has.
class FakeApi final : public ReportApi {
 public:
  explicit FakeApi(watch::FakeOwnObjects& own) : own_(own) {}

  Status putSet(const api::PodInterfaceSet& set) override {
    const std::lock_guard lock(mutex_);
    ++calls_;
    if (setError_) return fail(*setError_);
    if (down_ > 0) {
      --down_;
      return fail(Code::Unavailable, "ServerAway", "the server is away");
    }
    sets_[set.metadata.name] = set;
    own_.put(set);
    return {};
  }
  Status deleteSet(const std::string& /*namespaceName*/, const std::string& name) override {
    const std::lock_guard lock(mutex_);
    ++calls_;
    own_.removeSet(name);
    if (sets_.erase(name) == 0) return fail(Code::NotFound, "NotFound", "no set");
    return {};
  }
  Status putReadiness(const PodRef& pod, const Readiness& readiness, WallTime since) override {
    if (pod.name == hangsFor_) release_.wait();
    const std::lock_guard lock(mutex_);
    ++calls_;
    readiness_[pod.name] = readiness;
    since_ = since;
    put(pod, readiness, since);
    return {};
  }
  void recordEvent(const PodRef& /*pod*/, const Notice& notice) override {
    const std::lock_guard lock(mutex_);
    events_.push_back(notice.reason);
  }
  void recordNodeEvent(const Notice& notice) override {
    const std::lock_guard lock(mutex_);
    events_.push_back("node " + notice.reason);
  }
  /// The pod as the kubelet and we have it.
  void put(const PodRef& ref, const std::optional<Readiness>& readiness, WallTime since = {},
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
          {api::kReadyGate, status, 0, {}, readiness->reason, readiness->message}, since);
    }
    own_.put(pod);
  }
  int calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

  watch::FakeOwnObjects& own_;
  std::mutex mutex_;
  int calls_ = 0;
  int down_ = 0;
  std::optional<Error> setError_;
  std::map<std::string, api::PodInterfaceSet> sets_;
  std::map<std::string, Readiness> readiness_;
  WallTime since_;
  std::vector<std::string> events_;
  std::string hangsFor_;
  std::promise<void> released_;
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
    const int before = api_.calls();
    const auto looks = reporter_->health().done;
    reporter_->changed("");
    eventually("a look", [&] { return reporter_->health().done > looks; });
    return api_.calls() - before;
  }
  void restartAgent() {
    reporter_.reset();
    reporter_ =
        std::make_unique<ApiReporter>(api_, own_, news_.news(), clock_, NodeName("n1"), options_);
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

  const PodRef pod_{PodUid("12345678-aaaa"), "default", "web-0", 0};
  const std::string setName_ = "web-0-12345678";
  ReportOptions options_ = quick();
  FakeClock clock_;
  watch::FakeOwnObjects own_;
  FakeApi api_{own_};
  FakeNews news_;
  std::unique_ptr<ApiReporter> reporter_ =
      std::make_unique<ApiReporter>(api_, own_, news_.news(), clock_, NodeName("n1"), options_);
};

TEST_F(ApiReporterTest, WritesTheSetAndTheConditionOnceTheServerIsBack) {
  api_.down_ = 2;
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  ASSERT_EQ(api_.sets_.size(), 1U);
  const api::PodInterfaceSet& set = api_.sets_.begin()->second;
  EXPECT_EQ(set.metadata.name, setName_);
  EXPECT_EQ(set.metadata.ownerReferences.at(0).uid, "12345678-aaaa");
  EXPECT_EQ(set.interfaces.at(0).ips.at(0).gateway, "10.20.0.1");
  EXPECT_TRUE(set.interfaces.at(0).conditions.isTrue("Ready"));
  EXPECT_TRUE(api_.readiness_["web-0"].ready);
  EXPECT_EQ(news_.used_, std::set<NetworkUid>{NetworkUid("uid-blue")});
}

TEST_F(ApiReporterTest, AnOldSandboxesEndLeavesTheNewOnesSet) {
  reporter_->attached(pod_, SandboxId("s2"), oneInterface());
  reporter_->detached(pod_, SandboxId("s1"));
  settle();
  EXPECT_EQ(api_.sets_.size(), 1U);
  EXPECT_TRUE(api_.readiness_["web-0"].ready);
  reporter_->detached(pod_, SandboxId("s2"));
  settle();
  EXPECT_TRUE(api_.sets_.empty());
  EXPECT_FALSE(api_.readiness_["web-0"].ready);
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
    const api::PodInterface& told = api_.sets_.begin()->second.interfaces.at(0);
    EXPECT_EQ(told.linkState, one.shown);
    EXPECT_EQ(told.conditions.isTrue("Attached"), std::string(one.attached) == "True");
    EXPECT_EQ(told.conditions.isTrue("Ready"), ready);
    EXPECT_EQ(api_.readiness_["web-0"].ready, ready);
    EXPECT_EQ(api_.readiness_["web-0"].reason, ready ? "Attached" : "NoCarrier");
    if (!ready) {
      EXPECT_EQ(api_.readiness_["web-0"].message, "interface net1: its parent has no carrier");
    }
  }
}

TEST_F(ApiReporterTest, ARefusalIsAnEventAndTheConditionsReason) {
  reporter_->refused(pod_, {Code::NotFound, "NetworkNotFound", "network \"blu\" does not exist"});
  settle();
  EXPECT_EQ(api_.events_, std::vector<std::string>{"NetworkNotFound"});
  EXPECT_EQ(api_.readiness_["web-0"].reason, "NetworkNotFound");
}

TEST_F(ApiReporterTest, OtherRoomsPutEventsOnPodsAndTheNodeAndSetItsConditions) {
  reporter_->event(pod_, {kube::Severity::Warning, "Contested", "two pods have 10.20.0.5"});
  reporter_->nodeEvent({kube::Severity::Warning, "AgentBypassed", "the kubelet goes past it"});
  EXPECT_EQ(api_.events_, (std::vector<std::string>{"Contested", "node AgentBypassed"}));
  const NodeCondition condition{"AgentBypassed", k8s::ConditionStatus::True, "Seen", "it does"};
  reporter_->tell(condition);
  EXPECT_EQ(news_.last_, condition);
}

TEST_F(ApiReporterTest, ASetThatIsDeletedOrAlteredComesBackAsItWas) {
  api_.put(pod_, std::nullopt);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  const api::PodInterfaceSet was = api_.sets_.at(setName_);
  const auto isBack = [&] {
    const std::lock_guard lock(api_.mutex_);
    return api_.sets_.contains(setName_) && api_.sets_.at(setName_) == was;
  };
  {
    const std::lock_guard lock(api_.mutex_);
    api_.sets_.clear();
    own_.removeSet(setName_);
  }
  reporter_->changed(pod_.uid.str());
  eventually("a deleted set is back", isBack);

  api::PodInterfaceSet altered = was;
  altered.interfaces[0].ips[0].address = "10.20.0.6/16";
  {
    const std::lock_guard lock(api_.mutex_);
    api_.sets_[setName_] = altered;
    own_.put(altered);
  }
  reporter_->changed(pod_.uid.str());
  eventually("an altered set is as it was", isBack);

  altered = was;
  altered.metadata.ownerReferences.clear();  // the collector would never take it
  own_.put(altered);
  const int before = api_.calls();
  reporter_->changed(pod_.uid.str());
  eventually("the owner is written again", [&] { return api_.calls() > before; });
}

TEST_F(ApiReporterTest, AConditionThatAnotherWriterRemovedComesBack) {
  api_.put(pod_, std::nullopt);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  const WallTime since = api_.since_;
  const auto isBack = [&] {
    const auto seen = own_.pod("default", "web-0");
    const k8s::Condition* there = seen.object->status.conditions.find(api::kReadyGate);
    return there != nullptr && there->reason == "Attached" && there->lastTransitionTime == since;
  };
  api_.put(pod_, std::nullopt);
  reporter_->changed(pod_.uid.str());
  eventually("a removed condition is back, with its time", isBack);
  api_.put(pod_, Readiness{false, "Forged", ""});
  reporter_->changed(pod_.uid.str());
  eventually("a forged one is put right", isBack);
}

TEST_F(ApiReporterTest, NothingIsWrittenWhereAllIsEqual) {
  api_.put(pod_, std::nullopt);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  EXPECT_EQ(callsAfterALook(), 0);
  // A restart tells the same of a running pod, with other times.
  const int before = api_.calls();
  restartAgent();
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  EXPECT_EQ(api_.calls(), before);
  EXPECT_EQ(callsAfterALook(), 0);
}

TEST_F(ApiReporterTest, AnnouncesOnlyAnAttachThatTakesLong) {
  api_.put(pod_, std::nullopt);
  reporter_->starting(pod_);
  eventually("a look", [this] { return reporter_->health().done > 0; });
  EXPECT_EQ(api_.calls(), 0);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  EXPECT_EQ(api_.calls(), 2) << "the set, and that the pod is ready";
}

TEST_F(ApiReporterTest, AnnouncesAnAttachThatTakesLongAndOneOfAPodThatCountsAsReady) {
  api_.put(pod_, std::nullopt);
  options_.announceAfter = 10ms;
  restartAgent();
  reporter_->starting(pod_);
  eventually("told", [this] { return api_.calls() == 1; });
  EXPECT_EQ(api_.readiness_["web-0"].reason, "Attaching");
  api_.put(pod_, Readiness{true, "Attached", "all networks are attached"});
  options_.announceAfter = 1h;
  restartAgent();
  reporter_->starting(pod_);
  eventually("told at once", [this] { return api_.calls() == 2; });
  EXPECT_FALSE(api_.readiness_["web-0"].ready);
}

TEST_F(ApiReporterTest, TheEndOfAPodThatIsBeingDeletedCostsOneWrite) {
  api_.put(pod_, std::nullopt);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  api_.put(pod_, api_.readiness_["web-0"], {}, WallTime(1h));
  const int before = api_.calls();
  reporter_->detached(pod_, SandboxId("s1"));
  settle();
  EXPECT_EQ(api_.calls(), before + 1);
  EXPECT_TRUE(api_.sets_.empty());
}

TEST_F(ApiReporterTest, RetriesOfARefusedPodWriteNothing) {
  api_.put(pod_, std::nullopt);
  const Error error{Code::ResourceExhausted, "PoolExhausted", "all 254 are taken"};
  reporter_->starting(pod_);
  reporter_->refused(pod_, error);
  settle();
  const int before = api_.calls();
  for (int retry = 0; retry < 3; ++retry) {
    reporter_->starting(pod_);
    reporter_->refused(pod_, error);
  }
  settle();
  restartAgent();
  reporter_->starting(pod_);
  settle();
  EXPECT_EQ(api_.calls(), before);
  EXPECT_EQ(api_.readiness_["web-0"].reason, "PoolExhausted");
}

TEST_F(ApiReporterTest, ASetThatTheServerRefusesLeavesThePodReadyAndIsToldOnce) {
  api_.put(pod_, std::nullopt);
  api_.setError_ = Error{Code::InvalidArgument, "Invalid", "interfaces: Too many: 17"};
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  eventually("it is tried again", [this] { return api_.calls() > 4; });
  {
    const std::lock_guard lock(api_.mutex_);
    EXPECT_TRUE(api_.readiness_["web-0"].ready);
    EXPECT_EQ(api_.events_, std::vector<std::string>{"InterfaceSetRefused"});
    api_.setError_.reset();
  }
  settle();
  EXPECT_EQ(api_.sets_.size(), 1U);
}

TEST_F(ApiReporterTest, OnePodsWriteThatHangsHoldsUpNoOther) {
  api_.hangsFor_ = "web-0";
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  const PodRef other{PodUid("87654321-bbbb"), "default", "web-1", 0};
  reporter_->attached(other, SandboxId("s2"), oneInterface());
  eventually("the other is ready", [this] {
    const std::lock_guard lock(api_.mutex_);
    return api_.readiness_["web-1"].ready;
  });
  EXPECT_EQ(reporter_->waiting(), 1U);
  api_.released_.set_value();
  settle();
}

TEST_F(ApiReporterTest, AGonePodsSetIsLeftToTheCollectorAndForgotten) {
  api_.put(pod_, std::nullopt);
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  own_.removePod("web-0");
  own_.removeSet(setName_);
  EXPECT_EQ(callsAfterALook(), 0);
  reporter_->detached(pod_, SandboxId("s1"));
  settle();
  const int before = api_.calls();
  reporter_->changed("");
  clock_.advance(1s);
  restartAgent();  // its threads have ended
  EXPECT_EQ(api_.calls(), before);
}

TEST_F(ApiReporterTest, WithoutWatchesItWritesBlindlyAfterAWhile) {
  own_.forgetAll();
  reporter_->attached(pod_, SandboxId("s1"), oneInterface());
  EXPECT_EQ(api_.calls(), 0);
  settle();
  EXPECT_EQ(api_.sets_.size(), 1U);
  EXPECT_TRUE(api_.readiness_["web-0"].ready);
}

}  // namespace
}  // namespace multinet::agent::report
