#include "nodeagent/policy/freshness.h"

#include <gtest/gtest.h>

namespace multinet::agent::policing {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class FreshnessTest : public ::testing::Test {
 protected:
  void look(std::optional<Duration> policies, std::optional<Duration> anything = Duration{}) {
    freshness_.look({policies, anything}, true, now_);
  }
  /// Each ten seconds, as it asks to be looked at while it is old; all is as silent as the policies
  /// are, or the server is heard.
  void pass(Duration time, Duration policies, bool isServerThere) {
    const BootTime until = now_ + time;
    const BootTime heard = now_ - policies;
    while (now_ < until) {
      now_ += seconds(10);
      look(now_ - heard, isServerThere ? Duration{} : Duration(now_ - heard));
    }
  }
  bool isOld() const { return freshness_.oldSince().has_value(); }

  BootTime now_{minutes(1000)};
  Freshness freshness_;
};

TEST_F(FreshnessTest, IsOldOnceNothingWasHeardForFiveMinutes) {
  look(seconds(0));
  now_ += seconds(59);
  look(seconds(59));
  EXPECT_FALSE(isOld());
  ASSERT_TRUE(freshness_.next());
  EXPECT_EQ(*freshness_.next(), now_ + minutes(5) - seconds(59));
  now_ = *freshness_.next() - seconds(1);
  look(minutes(5) - seconds(1));
  EXPECT_FALSE(isOld());
  now_ += seconds(1);
  look(minutes(5));
  EXPECT_EQ(freshness_.oldSince(), now_ - minutes(5));
  EXPECT_EQ(freshness_.next(), now_ + seconds(10));
  look(seconds(0));
  EXPECT_FALSE(isOld());
}

TEST_F(FreshnessTest, ANodeWithoutPodsHasNothingThatIsOld) {
  freshness_.look({}, false, now_);
  EXPECT_FALSE(isOld());
  EXPECT_FALSE(freshness_.next());
  pass(minutes(10), Duration{}, false);
  ASSERT_TRUE(isOld());
  freshness_.look({minutes(10), minutes(10)}, false, now_);
  EXPECT_FALSE(isOld());
  // A pod comes hours later: its watch has begun, and has heard nothing yet.
  now_ += minutes(300);
  look(std::nullopt);
  EXPECT_FALSE(isOld());
}

TEST_F(FreshnessTest, AnAgentThatBeginsWhileTheServerIsAwayWaitsAsLong) {
  look(std::nullopt, std::nullopt);
  EXPECT_FALSE(isOld());
  now_ += minutes(5);
  look(std::nullopt, std::nullopt);
  EXPECT_TRUE(isOld());
  EXPECT_FALSE(freshness_.isSilentAlone());
}

TEST_F(FreshnessTest, AnotherWatchThatBeginsMakesNothingOld) {
  pass(minutes(60), seconds(0), true);
  ASSERT_TRUE(isOld());
  look(seconds(1));
  ASSERT_FALSE(isOld());
  now_ += minutes(1);
  look(std::nullopt);
  EXPECT_FALSE(isOld());
  now_ += minutes(4);
  look(std::nullopt);
  EXPECT_TRUE(isOld()) << "it never hears anything";
}

TEST_F(FreshnessTest, AnOutageOfTheServerIsNoSilenceOfOneWatch) {
  pass(minutes(60), Duration{}, false);
  EXPECT_TRUE(isOld());
  EXPECT_FALSE(freshness_.isSilentAlone());
  // It is back, and another watch hears it first.
  pass(seconds(90), minutes(60), true);
  EXPECT_TRUE(isOld());
  EXPECT_FALSE(freshness_.isSilentAlone());
  look(seconds(0));
  EXPECT_FALSE(isOld());
}

TEST_F(FreshnessTest, AWatchThatIsSilentWhileOthersAreHeardIsAlone) {
  pass(minutes(6), Duration{}, true);
  EXPECT_TRUE(isOld());
  EXPECT_FALSE(freshness_.isSilentAlone());
  pass(minutes(2), minutes(6), true);
  EXPECT_TRUE(freshness_.isSilentAlone());
  look(seconds(0));
  EXPECT_FALSE(freshness_.isSilentAlone());
}

}  // namespace
}  // namespace multinet::agent::policing
