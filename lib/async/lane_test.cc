#include "lib/async/lane.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <vector>

#include "lib/async/watchdog.h"
#include "lib/base/fake_clock.h"

namespace multinet::async {
namespace {

using namespace std::chrono_literals;

TEST(Lane, RunsInOrderOnOneNamedThread) {
  Lane lane("order");
  std::vector<int> seen;  // touched by the lane only, until it has stopped
  std::atomic<int> strangers = 0;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(lane.post([&, i] {
      seen.push_back(i);
      if (!lane.onThread()) ++strangers;
    }));
  }
  EXPECT_FALSE(lane.onThread());
  lane.stop();
  ASSERT_EQ(seen.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(strangers, 0);
}

TEST(Lane, TakesTasksOfManyThreadsWithoutLosingOne) {
  Lane lane("many");
  int count = 0;  // the lane's
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 500; ++j) lane.post([&] { ++count; });
      });
    }
  }
  lane.stop();
  EXPECT_EQ(count, 2000);
}

TEST(Lane, TakesAGuestWhileItHasNothingToDo) {
  Lane lane("host");
  std::vector<std::string> order;
  ASSERT_TRUE(lane.dispatch([&, caller = std::this_thread::get_id()] {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_TRUE(lane.onThread());
    lane.post([&] { order.emplace_back("posted"); });
    lane.postAfter({}, [&] { order.emplace_back("timed"); });
    order.emplace_back("guest");
  }));
  EXPECT_FALSE(lane.onThread());
  std::promise<void> done;
  lane.post([&] { done.set_value(); });
  done.get_future().wait();
  lane.stop();
  EXPECT_EQ(order, (std::vector<std::string>{"guest", "timed", "posted"}));
  EXPECT_EQ(lane.health().done, 4U);
  EXPECT_FALSE(lane.dispatch([] {}));
}

TEST(Lane, AGuestOfALaneThatIsBusyWaitsItsTurn) {
  Lane lane("busy");
  std::promise<void> begun;
  std::promise<void> go;
  lane.post([&] {
    begun.set_value();
    go.get_future().wait();
  });
  begun.get_future().wait();
  std::promise<std::thread::id> ran;
  ASSERT_TRUE(lane.dispatch([&] { ran.set_value(std::this_thread::get_id()); }));
  EXPECT_EQ(lane.health().depth, 1U);
  go.set_value();
  EXPECT_NE(ran.get_future().get(), std::this_thread::get_id());
}

TEST(Lane, SaysHowLongAGuestHasBeenAtIt) {
  FakeClock clock;
  Lane lane("watched", clock);
  Watchdog watchdog;
  watchdog.watch(lane, 5s);
  lane.dispatch([&] {
    clock.advance(6s);
    EXPECT_EQ(watchdog.stalls().size(), 1U);
  });
  EXPECT_TRUE(watchdog.stalls().empty());
  EXPECT_EQ(lane.health().longest, 6s);
}

TEST(Lane, GuestsAndItsOwnThreadTakeTurns) {
  Lane lane("turns");
  int count = 0;  // of whoever has the turn, as is the next
  int posted = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 500; ++j) {
          lane.dispatch([&] {
            ++count;
            if (lane.post([&] { ++count; })) ++posted;
          });
        }
      });
    }
  }
  lane.stop();
  EXPECT_EQ(count, 2000 + posted);
  EXPECT_GT(posted, 0);
}

TEST(Lane, RunsLateTasksByTheirTimeNotByTheirOrder) {
  FakeClock clock;
  Lane lane("timed", clock);
  std::promise<void> done;
  std::vector<int> seen;
  lane.postAfter(60s, [&] {
    seen.push_back(2);
    done.set_value();
  });
  lane.postAfter(20s, [&] { seen.push_back(1); });
  const auto letRun = [&lane] {
    std::promise<void> turn;
    lane.post([&] { turn.set_value(); });
    turn.get_future().wait();
  };
  auto finished = done.get_future();
  lane.post([&] { seen.push_back(0); });
  letRun();
  clock.advance(59s);
  letRun();
  EXPECT_EQ(finished.wait_for(0s), std::future_status::timeout) << "before its time";
  clock.advance(1s);
  ASSERT_EQ(finished.wait_for(5s), std::future_status::ready);
  lane.stop();
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2}));
}

TEST(Lane, StopRunsWhatWaitsAndFreesWhatIsTimed) {
  Lane lane("stop");
  const auto held = std::make_shared<int>(1);
  bool ran = false;
  bool timed = false;
  lane.postAfter(1h, [held, &timed] { timed = true; });
  lane.post([&ran] { ran = true; });
  lane.stop();
  EXPECT_TRUE(ran);
  EXPECT_FALSE(timed);
  EXPECT_EQ(held.use_count(), 1) << "a timed task outlived the lane";
  EXPECT_FALSE(lane.post([] {}));
  EXPECT_FALSE(lane.postAfter(1ms, [] {}));
  lane.stop();  // twice is once
}

TEST(Lane, LetsWhatATimedTaskHeldPostWhenItIsDropped) {
  // What a dropped task holds may answer somebody, who may post: neither deadlock nor a post into
  // a lane that is half gone.
  Lane lane("dropped");
  std::atomic<int> refused = 0;
  struct Asker {
    std::function<void()> onDrop;
    ~Asker() { onDrop(); }
  };
  lane.postAfter(1h, [asker = std::make_shared<Asker>([&] {
                        if (!lane.post([] {})) ++refused;
                      })] {});
  lane.stop();
  EXPECT_EQ(refused, 1) << "the task wasn't dropped by stop()";
}

TEST(Lane, TellsHowItDoes) {
  FakeClock clock;
  Lane lane("health", clock);
  std::promise<void> entered;
  std::promise<void> go;
  lane.post([&] {
    entered.set_value();
    go.get_future().wait();
  });
  entered.get_future().wait();
  lane.post([] {});
  clock.advance(2s);
  lane.post([] {});
  lane.postAfter(1h, [] {});
  clock.advance(1s);
  const LaneHealth stuck = lane.health();
  EXPECT_EQ(stuck.name, "health");
  EXPECT_EQ(stuck.depth, 2U);
  EXPECT_EQ(stuck.age, Duration(3s));
  EXPECT_EQ(stuck.busy, Duration(3s));
  EXPECT_EQ(stuck.done, 0U);
  go.set_value();
  lane.stop();
  const LaneHealth idle = lane.health();
  EXPECT_EQ(idle.depth, 0U);
  EXPECT_EQ(idle.busy, 0ns);
  EXPECT_EQ(idle.longest, Duration(3s));
  EXPECT_EQ(idle.done, 3U);
}

TEST(Watchdog, NamesTheLaneThatHangsAndNoOther) {
  FakeClock clock;
  Lane idle("idle", clock);
  Lane stuck("stuck", clock);
  Watchdog watchdog;
  watchdog.watch(idle, 1s);
  watchdog.watch(stuck, 1s);
  std::promise<void> entered;
  std::promise<void> go;
  stuck.post([&] {
    entered.set_value();
    go.get_future().wait();
  });
  entered.get_future().wait();
  clock.advance(1s);
  EXPECT_TRUE(watchdog.ready().has_value()) << "it may be so long";
  clock.advance(1s);
  const std::vector<Stall> stalls = watchdog.stalls();
  const Status stuckReady = watchdog.ready();
  go.set_value();
  ASSERT_EQ(stalls.size(), 1U);
  EXPECT_EQ(stalls[0].lane, "stuck");
  EXPECT_EQ(stalls[0].busy, Duration(2s));
  EXPECT_EQ(stuckReady.error().reason, "LaneStuck");
  EXPECT_NE(stuckReady.error().message.find("\"stuck\""), std::string::npos);
  stuck.stop();
  EXPECT_TRUE(watchdog.stalls().empty());
  EXPECT_TRUE(watchdog.ready().has_value());
  EXPECT_EQ(watchdog.healths().size(), 2U);
}

}  // namespace
}  // namespace multinet::async
