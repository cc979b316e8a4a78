#include "lib/async/state_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/async/backoff.h"

namespace multinet::async {
namespace {

using namespace std::chrono_literals;

TEST(StateQueue, KeepsTheNewestOfAKeyAndItsPlaceInTheLine) {
  Lane lane("state");
  std::vector<std::pair<std::string, int>> seen;
  StateQueue<std::string, int> queue(
      lane, [&](const std::string& key, int value) { seen.emplace_back(key, value); });
  std::promise<void> go;
  lane.post([&] { go.get_future().wait(); });
  for (int i = 0; i < 1000; ++i) queue.put("a", i);
  queue.put("b", 1);
  queue.put("a", 1000);
  EXPECT_EQ(queue.size(), 2U) << "memory follows the keys, not the puts";
  go.set_value();
  lane.stop();
  EXPECT_EQ(seen, (std::vector<std::pair<std::string, int>>{{"a", 1000}, {"b", 1}}));
}

TEST(StateQueue, DeliversAgainWhatIsPutWhileItIsConsumed) {
  Lane lane("state");
  std::vector<int> seen;
  std::promise<void> twice;
  StateQueue<int, int> queue(lane, [&](int, int value) {
    seen.push_back(value);
    if (value == 1) queue.put(7, 2);
    if (value == 2) twice.set_value();
  });
  queue.put(7, 1);
  ASSERT_EQ(twice.get_future().wait_for(5s), std::future_status::ready);
  lane.stop();
  EXPECT_EQ(seen, (std::vector<int>{1, 2}));
}

TEST(StateQueue, EndsWithTheLastValueOfEachKeyWhateverTheThreads) {
  Lane lane("state");
  std::map<int, int> last;
  StateQueue<int, int> queue(lane, [&](int key, int value) {
    EXPECT_LT(last[key], value) << "an older value after a newer one";
    last[key] = value;
  });
  {
    std::vector<std::jthread> threads;
    for (int key = 0; key < 4; ++key) {
      threads.emplace_back([&queue, key] {
        for (int value = 1; value <= 500; ++value) queue.put(key, value);
      });
    }
  }
  lane.stop();
  EXPECT_EQ(last, (std::map<int, int>{{0, 500}, {1, 500}, {2, 500}, {3, 500}}));
  EXPECT_EQ(queue.size(), 0U);
}

TEST(Backoff, DoublesToItsCapWithinItsUpperHalfAndStartsAgain) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Backoff backoff(100ms, 1s, seed);
    for (const Duration most : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
      const auto wait = backoff.next();
      EXPECT_GE(wait, most / 2);
      EXPECT_LE(wait, most);
    }
    backoff.reset();
    EXPECT_LE(backoff.next(), 100ms);
  }
}

TEST(Backoff, DiffersBetweenClientsAndNeverPassesItsCap) {
  Backoff one(1s, 1s, 1);
  Backoff other(1s, 1s, 2);
  EXPECT_NE(one.next(), other.next());
  Backoff wide(10s, 1s, 3);
  for (int i = 0; i < 5; ++i) EXPECT_LE(wide.next(), 1s);
}

}  // namespace
}  // namespace multinet::async
