#include "lib/async/answer.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <string>
#include <vector>

namespace multinet::async {
namespace {

TEST(AnswerTest, IsGivenOnceWhateverItsCopiesDo) {
  std::vector<int> given;
  const Answer<int> answer([&](const Result<int>& result) { given.push_back(result.value_or(0)); });
  [](Answer<int> copy) { copy(7); }(answer);
  answer(8);
  EXPECT_EQ(given, std::vector<int>{7});
}

TEST(AnswerTest, WhoForgetsItAnswersWithAnError) {
  std::string reason;
  std::optional<Answer<void>> answer;
  answer.emplace([&](const Status& status) { reason = status.error().reason; });
  EXPECT_EQ(reason, "");
  answer.reset();
  EXPECT_EQ(reason, "Abandoned");
}

TEST(AnswerTest, WhatItHoldsGoesWithTheCall) {
  auto held = std::make_shared<int>(1);
  const Answer<void> answer([held](const Status&) {});
  answer({});
  EXPECT_EQ(held.use_count(), 1);
}

TEST(OnLaneTest, GoesOnAtOnceOnTheLaneAndInItsTurnElsewhere) {
  Lane lane("lane");
  std::vector<std::string> order;
  std::promise<void> hold;
  std::promise<void> done;
  lane.post([&] {
    onLane<void>(lane, [&](const Status&) { order.push_back("at once"); })({});
    order.push_back("after it");
    hold.get_future().wait();
  });
  onLane<int>(lane, [&](const Result<int>& result) {
    order.push_back(lane.onThread() ? "turn " + std::to_string(result.value_or(0)) : "elsewhere");
    done.set_value();
  })(5);
  hold.set_value();
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<std::string>{"at once", "after it", "turn 5"}));
  lane.stop();
  onLane<void>(lane, [&](const Status&) { order.push_back("too late"); })({});
  EXPECT_EQ(order.size(), 3U);
}

TEST(RunOnTest, IsAtOnceOnTheLane) {
  Lane lane("lane");
  std::promise<bool> wasAtOnce;
  runOn(lane, [&] {
    bool done = false;
    runOn(lane, [&] { done = true; });
    wasAtOnce.set_value(done);
  });
  EXPECT_TRUE(wasAtOnce.get_future().get());
  lane.stop();
  EXPECT_FALSE(runOn(lane, [] {}));
}

}  // namespace
}  // namespace multinet::async
