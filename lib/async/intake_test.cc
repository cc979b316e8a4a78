#include "lib/async/intake.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>
#include <vector>

#include "lib/base/fake_clock.h"

namespace multinet::async {
namespace {

using namespace std::chrono_literals;
using Ints = Intake<int>;

// Its worker stands in the first item until it is let go.
class IntakeTest : public testing::Test {
 protected:
  void start(Ints::Options options) {
    options.clock = &clock_;
    options.tooOld = [this](int item) { old_.push_back(item); };
    intake_.emplace(std::move(options), [this](std::vector<int> batch) {
      if (batch.front() == 0) {
        entered_.set_value();
        go_.get_future().wait();
      }
      batches_.push_back(std::move(batch));
    });
    EXPECT_EQ(push(0), Ints::Push::Taken);
    entered_.get_future().wait();
  }
  Ints::Push push(int item) { return intake_->push(item); }
  // What waited is worked off before the last item comes.
  void finish() {
    go_.set_value();
    while (intake_->health().depth > 0) std::this_thread::yield();
    static_cast<void>(intake_->stop());
  }

  FakeClock clock_;
  std::promise<void> entered_;
  std::promise<void> go_;
  std::vector<std::vector<int>> batches_;  // of the lane, until it has stopped
  std::vector<int> old_;
  std::optional<Ints> intake_;
};

TEST_F(IntakeTest, GathersInOrderAndRefusesWhatIsTooMuch) {
  start({.name = "intake", .capacity = 3, .batch = 2, .patience = 1h});
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(push(i), Ints::Push::Taken);
  EXPECT_EQ(push(4), Ints::Push::Full);
  intake_->force(5);
  clock_.advance(3s);
  const LaneHealth health = intake_->health();
  EXPECT_EQ(health.depth, 4U);
  EXPECT_EQ(health.busy, 3s);
  EXPECT_EQ(health.refused, 1U);
  finish();
  EXPECT_EQ(batches_, (std::vector<std::vector<int>>{{0}, {1, 2}, {3, 5}}));
  EXPECT_EQ(push(6), Ints::Push::Stopped);
}

TEST_F(IntakeTest, WhatWaitedTooLongIsToldAndNotWorked) {
  start({.name = "intake", .capacity = 9, .batch = 1, .patience = 10s});
  EXPECT_EQ(push(1), Ints::Push::Taken);
  clock_.advance(1ms);
  EXPECT_EQ(push(2), Ints::Push::Taken);
  clock_.advance(10s);
  EXPECT_EQ(intake_->health().age, 10s + 1ms);
  finish();
  EXPECT_EQ(old_, std::vector<int>{1});
  EXPECT_EQ(batches_, (std::vector<std::vector<int>>{{0}, {2}}));
  EXPECT_EQ(intake_->health().refused, 1U);
}

TEST_F(IntakeTest, StopGivesBackWhatWaited) {
  start({.name = "intake", .capacity = 9, .batch = 1, .patience = 1h});
  EXPECT_EQ(push(1), Ints::Push::Taken);
  auto left = std::async(std::launch::async, [this] { return intake_->stop(); });
  while (intake_->health().depth > 0) std::this_thread::yield();
  go_.set_value();
  EXPECT_EQ(left.get(), std::deque<int>{1});
  EXPECT_EQ(batches_, (std::vector<std::vector<int>>{{0}}));
}

}  // namespace
}  // namespace multinet::async
