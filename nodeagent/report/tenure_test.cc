#include "nodeagent/report/tenure.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <vector>

namespace multinet::agent::report {
namespace {

using Step = Tenure::Step;
using std::chrono::seconds;

const api::NodeAgent kA{"journal-a", "boot-a"};
const api::NodeAgent kB{"journal-b", "boot-b"};

/// The object at the server, and the time of the boot that all share in a test.
struct Set {
  api::NodeNetworkSetStatus status;
  BootTime now{seconds(1000)};

  /// One look of that agent's, written at once.
  Step look(Tenure& agent, const api::NodeAgent& self) {
    const Tenure::Move move = agent.next(status, self, now);
    status.agent = move.agent;
    status.claimant = move.claimant;
    agent.done(move, now);
    return move.step;
  }
};

TEST(Tenure, TheFirstHoldsAndARestartFindsItsOwnWord) {
  Set set;
  Tenure first;
  EXPECT_EQ(set.look(first, kA), Step::Hold);
  EXPECT_EQ(set.status.agent, kA);
  Tenure successor;
  EXPECT_EQ(set.look(successor, kA), Step::Hold);
}

TEST(Tenure, WhoeverLivesAnswersAndKeepsTheName) {
  Set set;
  Tenure a;
  Tenure b;
  static_cast<void>(set.look(a, kA));
  EXPECT_EQ(set.look(b, kB), Step::Ask);
  EXPECT_EQ(set.look(a, kA), Step::Hold);
  EXPECT_EQ(a.rival(set.now), kB);
  EXPECT_FALSE(set.status.claimant);
  set.now += seconds(1);
  EXPECT_EQ(set.look(b, kB), Step::Wait);
  EXPECT_EQ(b.holder(), kA);
  set.now += seconds(10);
  EXPECT_EQ(set.look(b, kB), Step::Wait) << "it doesn't ask all the time";
  set.now += seconds(30);
  EXPECT_EQ(set.look(b, kB), Step::Ask);
  set.now += seconds(60);
  EXPECT_FALSE(a.rival(set.now)) << "nobody asked since";
}

TEST(Tenure, ANameThatNobodyAnswersForIsTaken) {
  Set set;
  set.status.agent = kA;  // before the reboot
  Tenure b;
  EXPECT_EQ(set.look(b, kB), Step::Ask);
  set.now += seconds(4);
  EXPECT_EQ(set.look(b, kB), Step::Wait);
  set.now += seconds(1);
  EXPECT_EQ(set.look(b, kB), Step::Take);
  EXPECT_EQ(set.status.agent, kB);
  EXPECT_FALSE(b.rival(set.now)) << "nor is it told of one";
}

TEST(Tenure, WhoWasCutOffAsksLikeAnybody) {
  Set set;
  Tenure a;
  Tenure b;
  static_cast<void>(set.look(a, kA));
  static_cast<void>(set.look(b, kB));
  set.now += seconds(5);
  EXPECT_EQ(set.look(b, kB), Step::Take);
  EXPECT_EQ(set.look(a, kA), Step::Ask) << "it is told that it holds no more";
  EXPECT_EQ(set.look(b, kB), Step::Hold);
  EXPECT_EQ(set.look(a, kA), Step::Wait);
  EXPECT_EQ(a.holder(), kB);
}

TEST(Tenure, AServerThatKeepsNoSuchWordStopsNobody) {
  Tenure a;
  for (int i = 0; i < 3; ++i) {
    const auto move = a.next({}, kA, BootTime(seconds(i)));
    EXPECT_EQ(move.step, Step::Hold);
    a.done(move, BootTime(seconds(i)));
  }
}

// Of agents that look at least every second at most one believes that it holds the name, and in the
// end one does, whoever of them lives.
TEST(TenureProperty, NeverTwoAndInTheEndOne) {
  const bool passed = rc::check("tenure", [] {
    constexpr int kAgents = 3;
    Set set;
    std::vector<Tenure> agents(kAgents);
    std::vector<bool> lives(kAgents, false);
    std::vector<bool> holds(kAgents, false);
    const auto selfOf = [](int i) {
      return api::NodeAgent{"journal", "boot-" + std::to_string(i)};
    };
    const auto round = [&] {
      for (int i = 0; i < kAgents; ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (!lives[at]) continue;
        const Step step = set.look(agents[at], selfOf(i));
        holds[at] = step == Step::Hold || step == Step::Take;
      }
      set.now += seconds(1);
      RC_ASSERT(std::count(holds.begin(), holds.end(), true) <= 1);
    };
    for (int turn = 0; turn < 60; ++turn) {
      const auto at = *rc::gen::inRange<std::size_t>(0, kAgents);
      if (*rc::gen::inRange(0, 4) == 0) {
        lives[at] = !lives[at];
        holds[at] = false;
        if (lives[at]) {
          std::destroy_at(&agents[at]);
          std::construct_at(&agents[at]);
        }
      }
      round();
    }
    if (std::count(lives.begin(), lives.end(), true) == 0) return;
    for (int turn = 0; turn < 120; ++turn) round();
    RC_ASSERT(std::count(holds.begin(), holds.end(), true) == 1);
  });
  EXPECT_TRUE(passed);
}

}  // namespace
}  // namespace multinet::agent::report
