#include "lib/async/work_queue.h"

#include <rapidcheck.h>

#include <array>
#include <atomic>
#include <future>
#include <thread>

#include "lib/async/workers.h"
#include "lib/base/fake_clock.h"

namespace multinet::async {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(WorkQueue, HandsOutAKeyOnceHoweverOftenItWasAdded) {
  const FakeClock clock;
  WorkQueue<std::string> queue(clock);
  queue.add("a");
  queue.add("b");
  queue.add("a");
  EXPECT_EQ(queue.tryGet(), "a");
  EXPECT_EQ(queue.tryGet(), "b");
  EXPECT_EQ(queue.tryGet(), std::nullopt);
}

TEST(WorkQueue, KeepsAKeyThatIsAddedWhileInHandsUntilItIsGivenBack) {
  const FakeClock clock;
  WorkQueue<std::string> queue(clock);
  queue.add("a");
  ASSERT_EQ(queue.tryGet(), "a");
  queue.add("a");
  EXPECT_EQ(queue.tryGet(), std::nullopt);
  queue.done("a");
  EXPECT_EQ(queue.tryGet(), "a");
  queue.done("a");
  EXPECT_EQ(queue.tryGet(), std::nullopt);
}

TEST(WorkQueue, TakesTheEarlierOfTwoTimes) {
  FakeClock clock;
  WorkQueue<std::string> queue(clock);
  queue.addAfter("a", seconds(10));
  queue.addAfter("a", seconds(2));
  queue.addAfter("a", seconds(5));
  clock.advance(seconds(1));
  EXPECT_EQ(queue.tryGet(), std::nullopt);
  clock.advance(seconds(1));
  EXPECT_EQ(queue.tryGet(), "a");
  queue.done("a");
  clock.advance(seconds(20));
  EXPECT_EQ(queue.tryGet(), std::nullopt) << "the later times were of the same wish";
}

TEST(WorkQueue, BacksOffExponentiallyUpToAMostAndForgets) {
  FakeClock clock;
  WorkQueue<std::string> queue(clock, {milliseconds(100), milliseconds(1000)});
  const milliseconds most[] = {milliseconds(100), milliseconds(200),  milliseconds(400),
                               milliseconds(800), milliseconds(1000), milliseconds(1000)};
  for (const auto delay : most) {
    queue.addFailed("a");
    clock.advance(delay / 2 - milliseconds(1));
    EXPECT_EQ(queue.tryGet(), std::nullopt) << delay.count();
    clock.advance(delay / 2 + milliseconds(1));
    EXPECT_EQ(queue.tryGet(), "a") << delay.count();
    queue.done("a");
  }
  EXPECT_EQ(queue.failures("a"), 6);
  EXPECT_EQ(queue.stats().retries, 6U);
  queue.forget("a");
  queue.addFailed("a");
  clock.advance(milliseconds(100));
  EXPECT_EQ(queue.tryGet(), "a");
}

TEST(WorkQueue, TellsDepthAndAge) {
  FakeClock clock;
  WorkQueue<std::string> queue(clock);
  queue.add("a");
  clock.advance(seconds(3));
  queue.add("b");
  queue.addAfter("c", seconds(9));
  const auto stats = queue.stats();
  EXPECT_EQ(stats.depth, 2U);
  EXPECT_EQ(stats.delayed, 1U);
  EXPECT_EQ(stats.oldestAge, Duration(seconds(3)));
}

TEST(WorkQueue, WakesAWaiterForANewKeyForADueOneAndForTheEnd) {
  FakeClock clock;
  WorkQueue<std::string> queue(clock);
  queue.addAfter("late", milliseconds(20));
  std::jthread time([&] { clock.advance(milliseconds(20)); });
  EXPECT_EQ(queue.get(), "late");
  std::jthread adder([&] { queue.add("now"); });
  EXPECT_EQ(queue.get(), "now");
  std::jthread ender([&] { queue.shutDown(); });
  EXPECT_EQ(queue.get(), std::nullopt);
  queue.add("after");
  EXPECT_EQ(queue.tryGet(), std::nullopt);
}

// Under any sequence: no key in two hands, none lost, none from nowhere.
TEST(WorkQueue, LosesNoKeyAndNeverHandsOneOutTwice) {
  EXPECT_TRUE(rc::check([](const std::vector<std::pair<unsigned, unsigned>>& steps) {
    FakeClock clock;
    WorkQueue<unsigned> queue(clock);
    std::set<unsigned> ever;  // no key comes from nowhere
    std::set<unsigned> owed;  // added, and not handed out since
    std::vector<unsigned> hands;
    const auto owe = [&](unsigned key) {
      ever.insert(key);
      owed.insert(key);
    };
    const auto take = [&] {
      const auto key = queue.tryGet();
      if (!key) return false;
      RC_ASSERT(std::find(hands.begin(), hands.end(), *key) == hands.end());
      RC_ASSERT(ever.contains(*key));
      owed.erase(*key);
      hands.push_back(*key);
      return true;
    };
    const auto give = [&] {
      if (hands.empty()) return;
      queue.done(hands.back());
      hands.pop_back();
    };
    for (const auto& [action, number] : steps) {
      const unsigned key = number % 4;
      switch (action % 6) {
        case 0:
          queue.add(key);
          owe(key);
          break;
        case 1:
          queue.addAfter(key, milliseconds(number % 50));
          owe(key);
          break;
        case 2:
          queue.addFailed(key);
          owe(key);
          break;
        case 3:
          take();
          break;
        case 4:
          give();
          break;
        default:
          clock.advance(milliseconds(10));
      }
    }
    clock.advance(std::chrono::hours(1));
    while (!hands.empty()) give();
    while (take()) give();
    RC_ASSERT(owed.empty());
  }));
}

TEST(Workers, RetryAFailureAndForgetASuccess) {
  FakeClock clock;
  int calls = 0;
  Workers<std::string> workers("test", clock, {}, [&](const std::string&) -> Result<Outcome> {
    if (++calls < 3) return fail(Code::Unavailable, "Down", "reach server: it is down");
    return Outcome{};
  });
  workers.add("a");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(workers.workOne()) << i;
    clock.advance(seconds(1));
  }
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(workers.failures("a"), 0);
  EXPECT_FALSE(workers.workOne());
}

TEST(Workers, NeverWorkOneKeyOnTwoThreads) {
  std::array<std::atomic<int>, 3> inHands{};
  std::atomic<int> worked = 0;
  std::atomic<bool> overlapped = false;
  Workers<int> workers("test", kSystemClock, {}, [&](int key) -> Result<Outcome> {
    auto& hands = inHands.at(static_cast<std::size_t>(key));
    if (++hands > 1) overlapped = true;
    std::this_thread::yield();
    --hands;
    ++worked;
    return Outcome{};
  });
  workers.start(4);
  for (int i = 0; i < 300; ++i) workers.add(i % 3);
  const auto until = std::chrono::steady_clock::now() + seconds(10);
  const auto idle = [&] {
    const auto stats = workers.stats();  // one look: a key goes from one count to the other
    return stats.depth + stats.processing == 0;
  };
  while (!idle() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_TRUE(idle());
  EXPECT_FALSE(overlapped);
  EXPECT_GE(worked, 3);
}

// A worker that hangs leaves the others all that is there, also what only time makes ready.
TEST(Workers, LeaveNoDueKeyToAWorkerThatHangs) {
  FakeClock clock;
  std::promise<void> hung;
  std::promise<void> go;
  std::promise<void> late;
  Workers<std::string> workers("test", clock, {}, [&](const std::string& key) -> Result<Outcome> {
    if (key == "hangs") {
      hung.set_value();
      go.get_future().wait();
    } else {
      late.set_value();
    }
    return Outcome{};
  });
  workers.start(2);
  workers.addAfter("late", seconds(5));  // one of the two waits for its time
  workers.add("hangs");                  // and may be the one that is woken
  hung.get_future().wait();
  clock.advance(seconds(5));
  EXPECT_EQ(late.get_future().wait_for(seconds(10)), std::future_status::ready);
  EXPECT_EQ(workers.health().depth, 0U);
  clock.advance(seconds(3));
  EXPECT_EQ(workers.health().busy, Duration(seconds(3)) + Duration(seconds(5)));
  go.set_value();
  workers.stop();
}

}  // namespace
}  // namespace multinet::async
