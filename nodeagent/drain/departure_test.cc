#include "nodeagent/drain/departure.h"

#include <gtest/gtest.h>

#include <chrono>

#include "nodeagent/drain/test_services.h"

namespace multinet::agent::drain {
namespace {

using namespace std::chrono_literals;
using testing::goes;
using testing::ready;
using testing::serviceNamed;
using testing::sliceOf;

const NodeName kHere("n1");
const PodUid kPod("u1");

Standing standing(const watch::Caches::Service& service) {
  return standingOf(service, kPod, kHere);
}

TEST(Standing, IsWhatTheSlicesSay) {
  const auto web = serviceNamed("web", "10.96.0.1");
  auto now = standing({web, {sliceOf({ready("u1"), ready("u2", "n2")})}});
  EXPECT_TRUE(now.offered && !now.terminating && now.others);
  EXPECT_EQ(now.hold, 3s);
  now = standing({web, {sliceOf({goes("u1")}), sliceOf({ready("u2")})}});
  EXPECT_TRUE(!now.offered && now.terminating && now.others) << "over all of its slices";
  now = standing({web, {sliceOf({ready("u1")}), sliceOf({goes("u1")})}});
  EXPECT_TRUE(now.offered && !now.published) << "while any family has it";
  auto always = goes("u1");
  always.conditions.ready = true;
  EXPECT_TRUE(standing({web, {sliceOf({always})}}).published);
  now = standing({web, {sliceOf({goes("u1"), goes("u2")})}});
  EXPECT_FALSE(now.others) << "who goes too takes nothing over";
  now = standing({web, {}});
  EXPECT_TRUE(!now.offered && !now.terminating && !now.others);
}

TEST(Standing, TakesOthersForTheirOwn) {
  const auto web = serviceNamed("web", "10.96.0.1");
  auto local = std::make_shared<k8s::Service>(*web);
  local->spec.internalTrafficPolicy = "Local";
  const auto slice = sliceOf({goes("u1"), ready("u2", "n2")});
  EXPECT_TRUE(standing({web, {slice}}).others);
  EXPECT_FALSE(standing({local, {slice}}).others) << "none that this node's clients are sent to";
  EXPECT_TRUE(standing({local, {sliceOf({goes("u1"), ready("u2", "n1")})}}).others);
  auto foreign = std::make_shared<k8s::EndpointSlice>(*slice);
  foreign->metadata.labels.clear();
  EXPECT_FALSE(standing({web, {foreign}}).terminating) << "isn't the controller's";
}

TEST(Standing, AHoldIsTheServices) {
  const std::vector<std::shared_ptr<const k8s::EndpointSlice>> slices{sliceOf({ready("u1")})};
  EXPECT_EQ(standing({serviceNamed("web", "None"), slices}).hold, 6s);
  EXPECT_EQ(standing({serviceNamed("web", "10.96.0.1", "9"), slices}).hold, 9s);
  EXPECT_EQ(standing({serviceNamed("web", "10.96.0.1", "0"), slices}).hold, 0s);
  EXPECT_EQ(standing({nullptr, {}}).hold, 0s) << "there is none any more";
}

class DepartureTest : public ::testing::Test {
 protected:
  static constexpr BootTime at(Duration since) { return BootTime(100s + since); }
  void look(const Standing& now, Duration when, const std::string& name = "web") {
    departure_.look("blue", name, now, at(when));
  }
  void expect(Duration when, Why why, Duration grace = 30s, Ending ending = Ending::Deleted) {
    const auto until = departure_.until(grace, ending);
    EXPECT_EQ(until.at - at(0s), when);
    EXPECT_EQ(name(until.why), name(why));
  }

  static constexpr Standing kOffered{true, false, true, 3s};
  static constexpr Standing kTold{false, true, true, 3s};
  static constexpr Standing kAlone{false, true, false, 3s};
  Departure departure_{at(0s)};
};

TEST_F(DepartureTest, WaitsFromTheWordOfTheSlicesOn) {
  look(kOffered, 0s);
  departure_.stopping(at(0s));
  expect(5s, Why::Unseen);
  look(kTold, 100ms);
  expect(3100ms, Why::Held);
  look(kTold, 2s);
  expect(3100ms, Why::Held);
  look({false, false, true, 3s}, 3s);
  expect(3100ms, Why::Held);
}

TEST_F(DepartureTest, ASliceThatDoesNotListItAnyMoreSaysSoToo) {
  look(kOffered, 0s);
  departure_.stopping(at(0s));
  look({false, false, true, 3s}, 1s);
  expect(4s, Why::Held);
}

TEST_F(DepartureTest, WaitsForTheSlowestService) {
  look(kOffered, 0s);
  look({true, false, true, 6s}, 0s, "name");
  departure_.stopping(at(0s));
  look(kTold, 100ms);
  expect(8s, Why::Unseen);
  look({false, true, true, 6s}, 200ms, "name");
  expect(6200ms, Why::Held);
  look({}, 300ms, "name");
  expect(3100ms, Why::Held);
}

TEST_F(DepartureTest, NothingIsWaitedForWhereNobodyIsSentThere) {
  departure_.stopping(at(0s));
  expect(0s, Why::NotServed);
  look({false, false, true, 3s}, 0s);
  expect(0s, Why::NotServed);
  look({true, false, true, 0s}, 0s, "off");
  expect(0s, Why::NotServed);
  look({true, true, true, 3s, true}, 0s, "published although it goes");
  expect(0s, Why::NotServed);
}

// As a pod that is out of time: the kubelet says so before it stops it.
TEST_F(DepartureTest, OneThatWasJustReadyHadClients) {
  constexpr Standing kUnready{false, false, true, 3s, false, true};
  look(kUnready, 0s);
  departure_.stopping(at(0s));
  expect(0s, Why::NotServed);
  departure_ = Departure(at(0s), at(-2s));
  look({false, false, true, 3s}, 0s, "of others");
  departure_.stopping(at(0s));
  expect(0s, Why::NotServed);
  look(kUnready, 0s);
  expect(3s, Why::Held);
  departure_ = Departure(at(0s), at(-4s));
  look(kUnready, 0s);
  departure_.stopping(at(0s));
  expect(0s, Why::NotServed);
}

TEST_F(DepartureTest, WaitsForTheWordOfEachFamily) {
  look(kOffered, 0s);
  departure_.stopping(at(0s));
  look({true, true, true, 3s}, 50ms);  // IPv4's slice was written first
  expect(5s, Why::Unseen);
  look(kTold, 100ms);
  expect(3100ms, Why::Held);
}

TEST_F(DepartureTest, NothingIsWaitedForWhereNobodyTakesOver) {
  look(kOffered, 0s);
  departure_.stopping(at(0s));
  look(kAlone, 100ms);
  expect(1100ms, Why::NoOther);
  look(kTold, 600ms);
  expect(3600ms, Why::Held);  // the other's slice came later
}

TEST_F(DepartureTest, ARestartWaitsOnlyUntilItIsSurelyOne) {
  look(kOffered, 0s);
  departure_.stopping(at(0s));
  expect(1s, Why::NotDeleted, 30s, Ending::NotDeleted);
  expect(0s, Why::Static, 30s, Ending::Static);
  expect(5s, Why::Unseen, 30s, Ending::ByKubelet);
  expect(0s, Why::Short, 2s);
}

TEST_F(DepartureTest, LeavesHalfOfTheGraceAndEndsAtThirtySeconds) {
  look({true, false, true, 30s}, 0s);
  departure_.stopping(at(1s));
  look({false, true, true, 30s}, 1s);
  expect(6s, Why::Limit, 10s);
  expect(2500ms, Why::Limit, 3s);
  expect(31s, Why::Held, 60s);
  look({true, false, true, 30s}, 2s);
  expect(31s, Why::Limit, 600s);
}

TEST_F(DepartureTest, AHookBeforeTheStopIsTimeInWhichClientsHear) {
  look(kOffered, 0s);
  look(kTold, 100ms);
  departure_.stopping(at(10s));
  expect(3100ms, Why::Held);
  departure_.stopping(at(20s));
  expect(3100ms, Why::Held, 10s);
}

TEST_F(DepartureTest, WhatIsNotKnownYetIsDoubted) {
  departure_.setKnown("blue", false);
  departure_.stopping(at(0s));
  expect(5s, Why::Unseen);
  departure_.setKnown("blue", true);
  expect(0s, Why::NotServed);
}

}  // namespace
}  // namespace multinet::agent::drain
