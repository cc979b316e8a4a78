#include "controller/lateness.h"

#include <gtest/gtest.h>

#include "lib/base/fake_clock.h"

namespace multinet::controller {
namespace {

using std::chrono::seconds;
using LeftOver = Lateness::LeftOver;

TEST(Lateness, IsCountedFromTheFirstChangeOfATurn) {
  FakeClock clock;
  Lateness lateness(clock);
  lateness.noticed();
  clock.advance(seconds(2));
  lateness.noticed();
  lateness.begin(LeftOver::No);
  clock.advance(seconds(1));
  EXPECT_EQ(lateness.now(), seconds(3));
  lateness.noticed();  // for the next turn
  EXPECT_EQ(lateness.now(), seconds(3));
  clock.advance(seconds(1));
  lateness.begin(LeftOver::No);
  EXPECT_EQ(lateness.now(), seconds(1));
}

TEST(Lateness, OfATurnThatNothingCausedBeginsWithIt) {
  FakeClock clock;
  Lateness lateness(clock);
  clock.advance(seconds(9));
  lateness.begin(LeftOver::No);
  clock.advance(seconds(1));
  EXPECT_EQ(lateness.now(), seconds(1));
}

TEST(Lateness, OfWhatWasLeftOverGoesOn) {
  FakeClock clock;
  Lateness lateness(clock);
  lateness.noticed();
  clock.advance(seconds(1));
  lateness.begin(LeftOver::No);
  lateness.noticed();
  clock.advance(seconds(1));
  lateness.begin(LeftOver::Yes);
  EXPECT_EQ(lateness.now(), seconds(2));
  lateness.begin(LeftOver::No);
  EXPECT_EQ(lateness.now(), seconds(0));
}

}  // namespace
}  // namespace multinet::controller
