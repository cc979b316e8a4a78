#include "lib/async/loop.h"

#include <gtest/gtest.h>

#include <future>

#include "lib/base/fake_clock.h"

namespace multinet::async {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A loop whose turns a test counts, waits for (at most 5 s) and tells what to answer.
class LoopTest : public ::testing::Test {
 protected:
  using Answer = Result<std::optional<Duration>>;

  ~LoopTest() override { loop_.stop(); }

  /// Also over, so that what it asked for is known.
  bool reached(int wanted) {
    const auto until = std::chrono::steady_clock::now() + seconds(5);
    const auto isOver = [&] { return loop_.health().done >= static_cast<std::uint64_t>(wanted); };
    while (!isOver() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return isOver();
  }
  int turns() {
    const std::lock_guard lock(mutex_);
    return turns_;
  }
  void answer(Answer answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }

  FakeClock clock_;
  std::mutex mutex_;  // of the next two
  int turns_ = 0;
  Answer answer_ = std::optional<Duration>();
  Loop loop_{{"test", milliseconds(200), seconds(1), seconds(4)}, clock_, [this] {
               const std::lock_guard lock(mutex_);
               ++turns_;
               return answer_;
             }};
};

TEST_F(LoopTest, TakesItsFirstTurnUnasked) {
  EXPECT_EQ(loop_.lastTurn(), std::nullopt);
  loop_.start();
  EXPECT_TRUE(reached(1));
  loop_.stop();
  EXPECT_EQ(loop_.lastTurn(), clock_.wall());
}

TEST_F(LoopTest, TakesOneTurnForWakesThatComeTogetherAndKeepsItsSpacing) {
  loop_.start();
  ASSERT_TRUE(reached(1));
  for (int i = 0; i < 3; ++i) loop_.wake();
  clock_.advance(milliseconds(199));
  EXPECT_EQ(turns(), 1);
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(reached(2));
  clock_.advance(seconds(60));
  loop_.stop();
  EXPECT_EQ(turns(), 2) << "nobody asked for more";
}

TEST_F(LoopTest, ComesBackWhenItSaid) {
  answer(std::optional<Duration>(seconds(15)));
  loop_.start();
  for (int turn = 1; turn < 4; ++turn) {
    ASSERT_TRUE(reached(turn));
    clock_.advance(milliseconds(14'999));
    EXPECT_EQ(turns(), turn);
    clock_.advance(milliseconds(1));
  }
  EXPECT_TRUE(reached(4));
}

TEST_F(LoopTest, BacksOffAfterFailuresAlsoWhereItIsWoken) {
  answer(fail(Code::Unavailable, "Down", "turn: down"));
  loop_.start();
  int turn = 1;
  for (const auto wait : {seconds(1), seconds(2), seconds(4), seconds(4)}) {
    ASSERT_TRUE(reached(turn));
    loop_.wake();
    clock_.advance(wait - milliseconds(1));
    EXPECT_EQ(turns(), turn);
    clock_.advance(milliseconds(1));
    ++turn;
  }
  EXPECT_TRUE(reached(turn));
}

TEST_F(LoopTest, TurnsThatComeSoonerLeaveNoTimersBehind) {
  constexpr int kTurns = 100;
  answer(std::optional<Duration>(seconds(60)));
  loop_.start();
  for (int turn = 1; turn < kTurns; ++turn) {
    ASSERT_TRUE(reached(turn));
    loop_.wake();
    clock_.advance(milliseconds(200));
  }
  ASSERT_TRUE(reached(kTurns));
  answer(std::optional<Duration>());
  clock_.advance(seconds(120));
  ASSERT_TRUE(reached(kTurns + 1)) << "it said so";
  loop_.wake();
  clock_.advance(seconds(1));
  const auto until = std::chrono::steady_clock::now() + seconds(5);
  while (turns() < kTurns + 2 && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  EXPECT_EQ(turns(), kTurns + 2);
  EXPECT_LE(loop_.health().done, static_cast<std::uint64_t>(kTurns) + 5);
}

TEST_F(LoopTest, StopsWhileItWaits) {
  loop_.start();
  auto stopped = std::async(std::launch::async, [&] { loop_.stop(); });
  EXPECT_EQ(stopped.wait_for(seconds(5)), std::future_status::ready);
}

}  // namespace
}  // namespace multinet::async
