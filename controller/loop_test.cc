#include "controller/loop.h"

#include <future>

namespace multinet::controller {
namespace {

using std::chrono::milliseconds;

/// Counts turns and lets a test wait for the n-th, at most 5 s.
struct Counter {
  std::mutex mutex;
  std::condition_variable changed;
  int turns = 0;

  void count() {
    const std::lock_guard lock(mutex);
    ++turns;
    changed.notify_all();
  }
  bool reached(int wanted) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(5), [&] { return turns >= wanted; });
  }
};

LoopOptions quick() {
  return {"test", milliseconds(1), milliseconds(1), milliseconds(4)};
}

TEST(Loop, TakesItsFirstTurnUnasked) {
  Counter counter;
  Loop loop(quick(), [&]() -> Result<std::optional<Duration>> {
    counter.count();
    return std::nullopt;
  });
  loop.start();
  EXPECT_TRUE(counter.reached(1));
}

TEST(Loop, TakesATurnForEachWakeThatComesAfterItBegan) {
  Counter counter;
  Loop loop(quick(), [&]() -> Result<std::optional<Duration>> {
    counter.count();
    return std::nullopt;
  });
  loop.start();
  ASSERT_TRUE(counter.reached(1));
  loop.wake();
  EXPECT_TRUE(counter.reached(2));
  loop.stop();
  EXPECT_EQ(counter.turns, 2) << "nobody asked for more";
}

TEST(Loop, ComesBackWhenItSaidAndAfterFailures) {
  Counter counter;
  Loop loop(quick(), [&]() -> Result<std::optional<Duration>> {
    counter.count();
    if (counter.turns % 2 == 0) return fail(Code::Unavailable, "Down", "turn: down");
    return Duration(milliseconds(1));
  });
  loop.start();
  EXPECT_TRUE(counter.reached(6));
}

TEST(Loop, StopsWhileItWaits) {
  Loop loop(quick(), []() -> Result<std::optional<Duration>> { return std::nullopt; });
  loop.start();
  auto stopped = std::async(std::launch::async, [&] { loop.stop(); });
  EXPECT_EQ(stopped.wait_for(std::chrono::seconds(5)), std::future_status::ready);
}

}  // namespace
}  // namespace multinet::controller
