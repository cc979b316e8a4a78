#include "nodeagent/drain/drain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "lib/base/fake_clock.h"
#include "nodeagent/drain/test_services.h"
#include "nodeagent/watch/fake_caches.h"
#include "nodeagent/watch/fake_own_objects.h"

namespace multinet::agent::drain {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::goes;
using ::testing::IsEmpty;
using testing::ready;
using testing::serviceNamed;
using testing::sliceOf;

/// Pod shop/web with UID u1 in sandbox s1 on network blue, one of two endpoints of service web.
class DrainTest : public ::testing::Test {
 protected:
  DrainTest() {
    picture_.recovered = true;
    const auto plan = [] {
      InterfaceStatus status;
      status.plan.network = NetworkName("blue");
      return status;
    }();
    auto& view = picture_.sandboxes[SandboxId("s1")];
    view.pod = {PodUid("u1"), "shop", "web", 0};
    view.interfaces = std::make_shared<const std::vector<InterfaceStatus>>(1, plan);
    pod_.metadata.nameSpace = "shop";
    pod_.metadata.name = "web";
    pod_.metadata.uid = "u1";
    has({"main", "second"});
    caches_.servicesFor = {"blue"};
    serve(ready("u1"));
  }
  ~DrainTest() override { lane_.stop(); }

  /// The pod has containers of these names, beside init containers and sidecars.
  void has(const std::vector<std::string>& names) {
    pod_.spec.containers.clear();
    for (const std::string& name : names) pod_.spec.containers.push_back({{}, "", name});
    own_.put(pod_);
  }
  void serve(const k8s::Endpoint& mine, const std::string& address = "10.96.0.1",
             const std::string& hold = "") {
    caches_.serviceLists["blue"] = {
        {serviceNamed("web", address, hold), {sliceOf({mine, ready("u2", "n2")})}}};
  }
  /// An earlier agent has said that the kubelet ends what is in `sandbox`.
  void wasSaidToEnd(const std::string& sandbox = "s1") {
    api::PodInterfaceSet set;
    set.metadata.nameSpace = "shop";
    set.metadata.name = "web";
    set.pod = {"web", "u1"};
    set.sandboxID = sandbox;
    set.interfaces.resize(1);
    set.interfaces[0].conditions.items = {
        {api::kDraining, k8s::ConditionStatus::True, 0, clock_.wall(), "Stops", ""}};
    own_.put(set);
  }
  /// Everybody has heard that the pod goes.
  void goesByTheSlice() {
    serve(goes("u1"));
    drain_.serviceChanged("blue", "shop", "web");
    settle();
  }
  void isDeleted() {
    pod_.metadata.deletionTimestamp = clock_.wall();
    own_.put(pod_);
    drain_.podChanged("u1");
    settle();
  }
  void open() {
    drain_.open({.caches = &caches_,
                 .own = &own_,
                 .node = NodeName("n1"),
                 .containers =
                     [this](async::Answer<std::vector<Container>> done) {
                       ++lists_;
                       if (listFails_) return done(fail(Code::Unavailable, "Away", "away"));
                       done(listed_);
                     },
                 .cutShort =
                     [this](const PodRef& pod, Duration grace) {
                       cutShort_.push_back(pod.name + " " + std::to_string(grace / 1s));
                     },
                 .ending =
                     [this](const PodRef& pod, const SandboxId& sandbox, bool ends) {
                       endings_.push_back(pod.name + " " + sandbox.str() + (ends ? " ends" : ""));
                     }});
    settle();
  }
  void openWithContainer() {
    listed_ = {{"c1", "main", SandboxId("s1")}, {"p1", "main", SandboxId("plain")}};
    open();
  }
  /// Until the lane has nothing to do.
  void settle() {
    for (int i = 0; i < 3; ++i) {
      std::promise<void> done;
      lane_.post([&] { done.set_value(); });
      done.get_future().wait();
    }
  }
  void pass(Duration time) {
    // In steps, since a timer's task may set the next.
    for (Duration step = 10ms; time > 0s; time -= step) {
      clock_.advance(step);
      settle();
    }
  }
  void stop(const std::string& container, Duration grace = 30s) {
    drain_.stop(container, grace, gone_, [this, container](Duration held) {
      went_.push_back(container + " " + std::to_string(held / 100ms));
    });
    settle();
  }

  void stopSandbox(const std::string& sandbox) {
    drain_.stopSandbox(SandboxId(sandbox), gone_, [this, sandbox](Duration held) {
      went_.push_back(sandbox + " " + std::to_string(held / 100ms));
    });
    settle();
  }

  FakeClock clock_;
  async::Lane lane_{"timers", clock_};
  sandbox::Snapshot picture_;
  watch::FakeCaches caches_;
  watch::FakeOwnObjects own_;
  k8s::Pod pod_;
  std::vector<Container> listed_;
  bool listFails_ = false;
  int lists_ = 0;
  std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);
  std::vector<std::string> went_;  ///< container and tenths of a second that it was held
  std::vector<std::string> told_;
  std::vector<std::string> cutShort_;  ///< pod and grace period
  std::vector<std::string> endings_;   ///< pod, sandbox and whether the kubelet ends it
  Drain drain_{lane_, clock_, [this] { return std::make_shared<sandbox::Snapshot>(picture_); },
               [this](Why why, Duration) { told_.emplace_back(name(why)); }};
};

TEST_F(DrainTest, HoldsUntilTheSliceHasSaidSoForAWhile) {
  openWithContainer();
  isDeleted();
  stop("c1");
  pass(500ms);
  goesByTheSlice();
  pass(2900ms);
  EXPECT_THAT(went_, IsEmpty());
  pass(200ms);
  EXPECT_THAT(went_, ElementsAre("c1 35"));
  EXPECT_THAT(told_, ElementsAre("held"));
  EXPECT_THAT(cutShort_, IsEmpty());
}

TEST_F(DrainTest, TellsOfAHoldThatTheGracePeriodCutsShort) {
  openWithContainer();
  isDeleted();
  stop("c1", 4s);
  pass(500ms);
  goesByTheSlice();
  pass(1600ms);
  EXPECT_THAT(went_, ElementsAre("c1 20"));
  EXPECT_THAT(told_, ElementsAre("limit"));
  EXPECT_THAT(cutShort_, ElementsAre(pod_.metadata.name + " 4"));
}

TEST_F(DrainTest, AHookBeforeTheStopCounts) {
  openWithContainer();
  isDeleted();
  goesByTheSlice();
  pass(2s);
  stop("c1");
  pass(1100ms);
  EXPECT_THAT(went_, ElementsAre("c1 10"));
}

TEST_F(DrainTest, AllContainersOfAPodPassOneBarrier) {
  openWithContainer();
  drain_.created({"c2", "side", SandboxId("s1")});
  isDeleted();
  goesByTheSlice();
  stop("c1");
  pass(1s);
  stop("c2");
  EXPECT_THAT(went_, IsEmpty());
  pass(2100ms);
  EXPECT_THAT(went_, ElementsAre("c1 30", "c2 20"));
  drain_.created({"c3", "late", SandboxId("s1")});
  stop("c3");
  EXPECT_THAT(went_, ElementsAre("c1 30", "c2 20", "c3 0")) << "it is passed";
}

TEST_F(DrainTest, ARepeatedStopNeitherEndsTheHoldNorBeginsAnother) {
  openWithContainer();
  isDeleted();
  goesByTheSlice();
  stop("c1");
  pass(1s);
  *gone_ = true;  // the kubelet restarts, say
  gone_ = std::make_shared<std::atomic<bool>>(false);
  stop("c1");
  pass(1900ms);
  EXPECT_THAT(went_, IsEmpty());
  pass(200ms);
  EXPECT_THAT(went_, ElementsAre("c1 30", "c1 20"));
  EXPECT_THAT(told_, ElementsAre("held")) << "of the first nobody wants to know";
  stop("c1");
  EXPECT_EQ(went_.back(), "c1 0");
}

TEST_F(DrainTest, AShorterGraceEndsTheHold) {
  openWithContainer();
  isDeleted();
  stop("c1");
  pass(1s);
  stop("c1", 1s);
  EXPECT_THAT(went_, ElementsAre("c1 0"));
  EXPECT_THAT(told_, ElementsAre("short"));
}

TEST_F(DrainTest, SilenceDelaysAndNeverBlocks) {
  openWithContainer();
  isDeleted();
  stop("c1");
  pass(4900ms);
  EXPECT_THAT(went_, IsEmpty());
  pass(200ms);
  EXPECT_THAT(went_, ElementsAre("c1 50"));
  EXPECT_THAT(told_, ElementsAre("unseen"));
}

TEST_F(DrainTest, ServicesThatAreNotKnownAreSilence) {
  caches_.serviceLists.clear();
  openWithContainer();
  isDeleted();
  stop("c1");
  pass(5100ms);
  EXPECT_THAT(told_, ElementsAre("unseen"));
}

TEST_F(DrainTest, TheListThatComesLaterIsHeard) {
  caches_.serviceLists.clear();
  openWithContainer();
  isDeleted();
  stop("c1");
  serve(goes("u1"));
  drain_.serviceChanged("", "", "");
  pass(3100ms);
  EXPECT_THAT(told_, ElementsAre("held"));
}

TEST_F(DrainTest, ARestartGoesOnAfterASecondAndIsForgotten) {
  openWithContainer();
  stop("c1");
  pass(1100ms);
  EXPECT_THAT(told_, ElementsAre("not-deleted"));
  drain_.created({"c2", "main", SandboxId("s1")});
  pass(60s);
  isDeleted();
  stop("c2");
  pass(100ms);
  goesByTheSlice();
  pass(2900ms);
  EXPECT_EQ(told_.size(), 1U) << "its end is one of its own";
  pass(200ms);
  EXPECT_THAT(told_, ElementsAre("not-deleted", "held"));
}

TEST_F(DrainTest, ADeletionThatIsHeardOfAfterTheStopCounts) {
  openWithContainer();
  stop("c1");
  pass(300ms);
  isDeleted();
  goesByTheSlice();
  pass(2900ms);
  EXPECT_THAT(told_, IsEmpty());
  pass(200ms);
  EXPECT_THAT(told_, ElementsAre("held"));
}

TEST_F(DrainTest, APodThatTheKubeletEndsByItselfIsSaidToAndHeld) {
  has({"main"});
  openWithContainer();
  stop("c1");
  EXPECT_THAT(endings_, ElementsAre("web s1 ends"));
  pass(100ms);
  goesByTheSlice();
  pass(2900ms);
  EXPECT_THAT(went_, IsEmpty());
  pass(200ms);
  EXPECT_THAT(told_, ElementsAre("held"));
  stopSandbox("s1");
  EXPECT_EQ(went_.back(), "s1 0") << "the barrier is passed";
  isDeleted();
  EXPECT_THAT(endings_, ElementsAre("web s1 ends")) << "the slice knows without it now";
}

TEST_F(DrainTest, APodThatIsOutOfTimeIsHeldThoughItIsNotReadyAnyMore) {
  has({"main"});
  openWithContainer();
  auto unready = ready("u1");
  unready.conditions = {false, false, false};
  serve(unready);
  pod_.status.conditions.items = {
      {"Ready", k8s::ConditionStatus::False, 0, clock_.wall(), "PodFailed", ""}};
  own_.put(pod_);
  pass(100ms);
  stop("c1");
  pass(100ms);
  goesByTheSlice();
  pass(2700ms);
  EXPECT_THAT(went_, IsEmpty());
  pass(200ms);
  EXPECT_THAT(told_, ElementsAre("held"));
  // A minute later nobody remembers it, nor waits before a sandbox in which nothing runs.
  drain_.created({"c2", "main", SandboxId("s1")});
  serve(unready);
  pass(60s);
  stop("c2");
  EXPECT_EQ(told_.back(), "not-served");
  goesByTheSlice();
  stopSandbox("s1");
  EXPECT_EQ(went_.back(), "s1 0");
}

TEST_F(DrainTest, AShortGraceIsSaidThoughNotHeld) {
  has({"main"});
  openWithContainer();
  stop("c1", 1s);
  EXPECT_THAT(told_, ElementsAre("short"));
  EXPECT_THAT(endings_, ElementsAre("web s1 ends"));
}

TEST_F(DrainTest, OneOfTwoContainersThatStopsIsARestart) {
  openWithContainer();
  drain_.created({"c2", "second", SandboxId("s1")});
  settle();
  endings_.clear();
  stop("c1");
  pass(1100ms);
  EXPECT_THAT(told_, ElementsAre("not-deleted"));
  EXPECT_THAT(endings_, IsEmpty());
  // A hook of the other's took longer.
  stop("c2");
  EXPECT_THAT(endings_, ElementsAre("web s1 ends"));
}

TEST_F(DrainTest, ARestartOfTheOnlyContainerIsOverWithTheNext) {
  has({"main"});
  openWithContainer();
  stop("c1");
  goesByTheSlice();
  pass(3100ms);
  EXPECT_THAT(told_, ElementsAre("held"));
  drain_.created({"c2", "main", SandboxId("s1")});
  settle();
  EXPECT_THAT(endings_, ElementsAre("web s1 ends", "web s1"));
  serve(ready("u1"));
  stop("c2");
  EXPECT_EQ(endings_.size(), 3U);
  pass(2900ms);
  EXPECT_EQ(told_.size(), 1U) << "a hold of its own";
}

TEST_F(DrainTest, AnInitContainerThatEndedAndASidecarAreNotCounted) {
  has({"main"});
  openWithContainer();
  listed_.clear();
  pod_.spec.initContainers = std::vector<k8s::Container>(2);
  own_.put(pod_);
  const SandboxId sandbox("s2");
  picture_.sandboxes[sandbox] = picture_.sandboxes[SandboxId("s1")];
  for (const char* one : {"init", "sidecar", "main"}) drain_.created({one, one, sandbox});
  stop("sidecar");
  pass(1100ms);
  EXPECT_THAT(told_, ElementsAre("not-deleted"));
  drain_.created({"sidecar2", "sidecar", sandbox});
  EXPECT_THAT(endings_, IsEmpty());
  stop("main");
  EXPECT_EQ(endings_.back(), "web s2 ends");
}

TEST_F(DrainTest, UnderANewAgentASidecarIsOneByItsNameWhicheverWasMadeLast) {
  has({"main"});
  // It was restarted, since when it is the younger one.
  listed_ = {{"c1", "main", SandboxId("s1"), 10}, {"c2", "sidecar", SandboxId("s1"), 20}};
  open();
  stop("c2");
  EXPECT_THAT(endings_, IsEmpty());
  pass(1100ms);
  EXPECT_THAT(told_, ElementsAre("not-deleted"));
  stop("c1");
  EXPECT_THAT(endings_, ElementsAre("web s1 ends"));
}

TEST_F(DrainTest, OfTwoContainersOfANameTheYoungerIsMeant) {
  has({"main"});
  listed_ = {{"c2", "main", SandboxId("s1"), 20}, {"c1", "main", SandboxId("s1"), 10}};
  open();
  stop("c2");
  EXPECT_THAT(endings_, ElementsAre("web s1 ends"));
}

TEST_F(DrainTest, ASandboxThatAnEarlierAgentDidNotFinishIsHeldThoughNotDeleted) {
  // It died while it held the only container: the kubelet goes on to the sandbox.
  has({"main"});
  openWithContainer();
  stopSandbox("s1");
  EXPECT_THAT(endings_, ElementsAre("web s1 ends"));
  EXPECT_THAT(went_, IsEmpty());
  pass(100ms);
  goesByTheSlice();
  pass(2900ms);
  EXPECT_THAT(went_, IsEmpty());
  pass(200ms);
  EXPECT_THAT(went_, ElementsAre("s1 31"));
  EXPECT_THAT(endings_, ElementsAre("web s1 ends")) << "it isn't taken back as it ends";
  stopSandbox("s1");
  EXPECT_EQ(went_.back(), "s1 0");
}

TEST_F(DrainTest, WhatAnEarlierAgentSaidHoldsTheContainersThatAreLeft) {
  wasSaidToEnd();
  openWithContainer();  // the second isn't there any more: it was let go
  stop("c1");
  EXPECT_THAT(endings_, ElementsAre("web s1 ends"));
  pass(100ms);
  goesByTheSlice();
  pass(2900ms);
  EXPECT_THAT(went_, IsEmpty());
  pass(200ms);
  EXPECT_THAT(told_, ElementsAre("held"));
}

TEST_F(DrainTest, WhatWasSaidOfAnotherSandboxSaysNothing) {
  wasSaidToEnd("s0");
  openWithContainer();
  stop("c1");
  pass(1100ms);
  EXPECT_THAT(told_, ElementsAre("not-deleted"));
  EXPECT_THAT(endings_, IsEmpty());
}

TEST_F(DrainTest, ASandboxInWhichNothingRunsIsNotHeld) {
  has({"main"});
  wasSaidToEnd();
  listed_.clear();
  open();
  stopSandbox("s1");
  EXPECT_THAT(went_, ElementsAre("s1 0"));
  EXPECT_THAT(endings_, IsEmpty());
}

TEST_F(DrainTest, AnEndThatTheKubeletThoughtBetterOfUnderANewAgentIsOver) {
  has({"main"});
  wasSaidToEnd();
  openWithContainer();
  stopSandbox("s1");
  goesByTheSlice();
  drain_.created({"c2", "main", SandboxId("s1")});
  settle();
  EXPECT_THAT(endings_, ElementsAre("web s1 ends", "web s1"));
}

TEST_F(DrainTest, AWholeSandboxWaitsForTheListOfWhatRunsInIt) {
  has({"main"});
  listFails_ = true;
  listed_ = {{"c1", "main", SandboxId("s1")}};
  open();
  stopSandbox("s1");
  pass(100ms);
  EXPECT_THAT(went_, IsEmpty());
  listFails_ = false;
  pass(500ms);
  EXPECT_THAT(endings_, ElementsAre("web s1 ends"));
  EXPECT_THAT(went_, IsEmpty());
}

TEST_F(DrainTest, AStopThatTheKubeletGaveUpIsNone) {
  has({"main"});
  openWithContainer();
  stop("c1");
  *gone_ = true;
  goesByTheSlice();
  pass(3100ms);
  EXPECT_THAT(endings_, ElementsAre("web s1 ends", "web s1"));
}

TEST_F(DrainTest, WhoDoesNotEndInTheEndLives) {
  has({"main"});
  openWithContainer();
  stop("c1", 4s);
  pass(2s);
  EXPECT_THAT(told_, ElementsAre("limit"));
  pass(33s);
  EXPECT_EQ(endings_.size(), 1U);
  pass(2s);
  EXPECT_THAT(endings_, ElementsAre("web s1 ends", "web s1"));
}

TEST_F(DrainTest, WhatAnEarlierAgentSaidIsTakenBackWithTheNextContainer) {
  openWithContainer();
  drain_.created({"c2", "main", SandboxId("s1")});
  settle();
  EXPECT_THAT(endings_, ElementsAre("web s1"));
}

TEST_F(DrainTest, WhatAnEarlierAgentSaidIsTakenBackInTheEnd) {
  openWithContainer();
  pass(59s);
  EXPECT_THAT(endings_, IsEmpty());
  pass(2s);
  EXPECT_THAT(endings_, ElementsAre("web s1"));
}

TEST_F(DrainTest, APodThatTheApiHasNoMoreIsDeleted) {
  openWithContainer();
  own_.removePod("web");
  stop("c1");
  goesByTheSlice();
  pass(3100ms);
  EXPECT_THAT(told_, ElementsAre("held"));
}

TEST_F(DrainTest, WhoHasNothingToWaitForGoesAtOnce) {
  openWithContainer();
  isDeleted();
  stop("p1");
  stop("never seen");
  EXPECT_THAT(went_, ElementsAre("p1 0", "never seen 0"));
  EXPECT_THAT(told_, IsEmpty()) << "other pods aren't counted";
  pod_.metadata.annotations = {{"kubernetes.io/config.mirror", "hash"}};
  own_.put(pod_);
  stop("c1");
  EXPECT_THAT(told_, ElementsAre("static"));
}

TEST_F(DrainTest, AServiceThatWantsNoHoldHasNone) {
  serve(ready("u1"), "10.96.0.1", "0");
  openWithContainer();
  isDeleted();
  stop("c1");
  EXPECT_THAT(told_, ElementsAre("not-served"));
}

TEST_F(DrainTest, FindsTheContainersOfAnEarlierAgent) {
  picture_.recovered = false;
  listFails_ = true;
  listed_ = {{"c1", "main", SandboxId("s1")}, {"p1", "main", SandboxId("plain")}};
  EXPECT_TRUE(drain_.mayHold());
  serve(goes("u1"));
  pod_.metadata.deletionTimestamp = clock_.wall();
  own_.put(pod_);
  stop("c1");
  stop("p1");
  open();
  pass(100ms);
  EXPECT_EQ(lists_, 0) << "it isn't known yet which sandboxes have networks";
  picture_.recovered = true;
  pass(100ms);
  EXPECT_GT(lists_, 0);
  EXPECT_THAT(went_, IsEmpty());
  listFails_ = false;
  pass(500ms);
  EXPECT_THAT(went_, ElementsAre(::testing::StartsWith("p1")));
  pass(3500ms);
  EXPECT_THAT(told_, ElementsAre("held"));
}

TEST_F(DrainTest, AnAgentThatCannotTellHoldsUpNobodyForLong) {
  stop("c1");
  EXPECT_THAT(went_, IsEmpty());
  pass(1100ms);
  EXPECT_THAT(went_, ElementsAre("c1 10"));
  stop("c1");
  EXPECT_EQ(went_.size(), 2U);
  EXPECT_FALSE(drain_.mayHold()) << "bytes pass";
}

TEST_F(DrainTest, OnceClosedItHoldsNobody) {
  openWithContainer();
  isDeleted();
  stop("c1");
  drain_.close();
  settle();
  EXPECT_THAT(told_, ElementsAre("unknown"));
  stop("c1");
  EXPECT_EQ(went_.size(), 2U);
  EXPECT_FALSE(drain_.mayHold());
}

TEST_F(DrainTest, ASandboxWhoseContainersWereLetGoFollowsThem) {
  openWithContainer();
  isDeleted();
  goesByTheSlice();
  stop("c1");
  pass(3100ms);
  stopSandbox("s1");
  EXPECT_THAT(went_, ElementsAre("c1 30", "s1 0"));
}

TEST_F(DrainTest, ASandboxWhoseContainersWereNotLetGoIsHeld) {
  // As after an agent that died while it held them: the kubelet goes on to the sandbox.
  openWithContainer();
  pod_.metadata.deletionGracePeriodSeconds = 20;
  isDeleted();
  goesByTheSlice();
  stopSandbox("s1");
  pass(2900ms);
  EXPECT_THAT(went_, IsEmpty());
  pass(200ms);
  EXPECT_THAT(went_, ElementsAre("s1 30"));
  EXPECT_THAT(told_, IsEmpty()) << "no container's stop";
}

TEST_F(DrainTest, ASandboxThatIsReplacedOrIsNobodysIsNotHeld) {
  openWithContainer();
  stop("c1");  // the other ended by itself
  pass(1100ms);
  went_.clear();
  stopSandbox("s1");
  stopSandbox("plain");
  EXPECT_THAT(went_, ElementsAre("s1 0", "plain 0"));
  pod_.metadata.deletionGracePeriodSeconds = 1;
  isDeleted();
  stopSandbox("s1");
  EXPECT_EQ(went_.back(), "s1 0") << "a grace of a second";
}

TEST_F(DrainTest, WhereNoPodHasNetworksBytesPass) {
  picture_.sandboxes.clear();
  open();
  EXPECT_EQ(lists_, 0);
  EXPECT_FALSE(drain_.mayHold());
  picture_.sandboxes[SandboxId("s1")];
  drain_.created({"c1", "main", SandboxId("s1")});
  EXPECT_TRUE(drain_.mayHold());
  drain_.created({"c2", "main", SandboxId("s1")});
  drain_.removed(SandboxId("s1"));
  EXPECT_FALSE(drain_.mayHold());
}

}  // namespace
}  // namespace multinet::agent::drain
