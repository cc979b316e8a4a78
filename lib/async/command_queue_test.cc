#include "lib/async/command_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <vector>

namespace multinet::async {
namespace {

using namespace std::chrono_literals;
using Queue = CommandQueue<std::string>;

/// Waits until everything posted so far has run.
void settle(Lane& lane) {
  std::promise<void> reached;
  if (lane.post([&] { reached.set_value(); })) reached.get_future().wait();
}

TEST(CommandQueue, StartsTheNextOfAKeyOnlyWhenTheOneBeforeHasAnswered) {
  Lane lane("queue");
  Queue queue(lane, 10);
  std::vector<std::string> log;  // the lane's
  std::optional<Answer<int>> first;
  std::atomic<int> sum = 0;
  const auto done = [&](Result<int> result) { sum += result.value_or(1000); };
  queue.submit<int>("a", [&](Answer<int> answer) { log.push_back("a1"), first = answer; }, done);
  queue.submit<int>("a", [&](Answer<int> answer) { log.push_back("a2"), answer(2); }, done);
  queue.submit<int>("b", [&](Answer<int> answer) { log.push_back("b1"), answer(4); }, done);
  settle(lane);
  EXPECT_EQ(log, (std::vector<std::string>{"a1", "b1"}));
  EXPECT_EQ(queue.size(), 2U);
  (*first)(1);  // from a thread that isn't the lane's
  settle(lane);
  EXPECT_EQ(log, (std::vector<std::string>{"a1", "b1", "a2"}));
  EXPECT_EQ(sum, 7);
  EXPECT_EQ(queue.size(), 0U);
  lane.stop();
}

TEST(CommandQueue, CountsOnlyTheFirstAnswerAndAnswersForTheForgetful) {
  Lane lane("queue");
  Queue queue(lane, 10);
  std::vector<Result<int>> results;
  const auto done = [&](Result<int> result) { results.push_back(std::move(result)); };
  queue.submit<int>("a", [](const Answer<int>& answer) { answer(1), answer(2); }, done);
  queue.submit<int>("a", [](const Answer<int>&) {}, done);
  queue.submit<int>("a", [](const Answer<int>& answer) { answer(3); }, done);
  while (queue.size() > 0) settle(lane);
  lane.stop();
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0].value_or(0), 1);
  ASSERT_FALSE(results[1].has_value());
  EXPECT_EQ(results[1].error().reason, "Abandoned");
  EXPECT_EQ(results[2].value_or(0), 3);
}

TEST(CommandQueue, RefusesWhatIsTooMuchAndTakesMoreLater) {
  Lane lane("queue");
  Queue queue(lane, 2);
  std::optional<Answer<int>> first;
  std::vector<Code> refusals;
  std::atomic<int> good = 0;
  const auto done = [&](Result<int> result) {
    if (result) {
      ++good;
    } else {
      refusals.push_back(result.error().code);
    }
  };
  queue.submit<int>("a", [&](Answer<int> answer) { first = std::move(answer); }, done);
  queue.submit<int>("a", [](const Answer<int>& answer) { answer(1); }, done);
  queue.submit<int>("b", [](const Answer<int>& answer) { answer(1); }, done);
  EXPECT_EQ(refusals, (std::vector<Code>{Code::ResourceExhausted}));
  settle(lane);
  (*first)(1);
  settle(lane);
  queue.submit<int>("b", [](const Answer<int>& answer) { answer(1); }, done);
  settle(lane);
  EXPECT_EQ(good, 3);
  lane.stop();
}

TEST(CommandQueue, AnswersFollowersAtOnceWhenTheirPredecessorEndsAfterTheLane) {
  Lane lane("queue");
  Queue queue(lane, 10);
  std::optional<Answer<int>> first;
  std::vector<std::string> reasons;
  const auto done = [&](const Result<int>& result) {
    reasons.push_back(result ? "ok" : result.error().reason);
  };
  bool started = false;
  queue.submit<int>("a", [&](Answer<int> answer) { first = std::move(answer); }, done);
  queue.submit<int>("a", [&](const Answer<int>&) { started = true; }, done);
  queue.submit<int>("a", [&](const Answer<int>&) { started = true; }, done);
  lane.stop();
  EXPECT_TRUE(reasons.empty());
  (*first)(1);
  EXPECT_EQ(reasons, (std::vector<std::string>{"ok", "Stopping", "Stopping"}));
  EXPECT_FALSE(started);
  queue.submit<int>("b", [&](const Answer<int>&) { started = true; }, done);
  EXPECT_EQ(reasons.size(), 4U);
  EXPECT_EQ(queue.size(), 0U);
}

TEST(CommandQueue, CloseAnswersWhatWaitsAndLeavesWhatRuns) {
  Lane lane("queue");
  Queue queue(lane, 10);
  std::optional<Answer<int>> first;
  std::vector<std::string> reasons;
  const auto done = [&](const Result<int>& result) {
    reasons.push_back(result ? "ok" : result.error().reason);
  };
  queue.submit<int>("a", [&](Answer<int> answer) { first = std::move(answer); }, done);
  settle(lane);
  queue.submit<int>("a", [](const Answer<int>& answer) { answer(1); }, done);
  queue.close();
  EXPECT_EQ(reasons, (std::vector<std::string>{"Stopping"}));
  EXPECT_EQ(queue.size(), 1U);
  (*first)(1);
  lane.stop();
  EXPECT_EQ(reasons, (std::vector<std::string>{"Stopping", "ok"}));
}

TEST(CommandQueue, AnswersEachExactlyOnceWhileThreadsSubmitAndTheLaneStops) {
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  std::vector<std::atomic<int>> answers(std::size_t{kThreads} * kEach);
  std::atomic<int> wrongOrder = 0;
  {
    Lane lane("race");
    Lane world("world");  // answers from a thread of its own
    Queue queue(lane, 64);
    std::map<std::string, int> last;  // the lane's: FIFO within a key
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        const auto key = std::to_string(thread);
        for (int i = 1; i <= kEach; ++i) {
          auto& mine = answers[static_cast<std::size_t>(thread * kEach + i - 1)];
          queue.submit<int>(
              key,
              [&, key, i](const Answer<int>& answer) {
                if (last[key] >= i) ++wrongOrder;
                last[key] = i;
                world.post([answer] { answer(1); });
              },
              [&mine](const Result<int>&) { ++mine; });
        }
      });
    }
    std::this_thread::sleep_for(1ms);
    lane.stop();
    threads.clear();
    world.stop();
  }
  for (const auto& count : answers) EXPECT_EQ(count, 1);
  EXPECT_EQ(wrongOrder, 0);
}

}  // namespace
}  // namespace multinet::async
