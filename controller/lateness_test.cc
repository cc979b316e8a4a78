#include "controller/lateness.h"

#include <gtest/gtest.h>

#include "lib/base/fake_clock.h"

namespace multinet::controller {
namespace {

using std::chrono::seconds;

TEST(Lateness, CountsFromTheFirstThatNobodyHasTaken) {
  FakeClock clock;
  Lateness lateness(clock);
  const BootTime first = clock.now();
  lateness.noticed();
  clock.advance(seconds(2));
  lateness.noticed();
  EXPECT_EQ(lateness.take(), first);
  const BootTime second = clock.now();
  lateness.noticed();
  clock.advance(seconds(1));
  EXPECT_EQ(lateness.take(), second);
}

TEST(Lateness, OfATurnThatNothingCausedBeginsWithIt) {
  FakeClock clock;
  Lateness lateness(clock);
  clock.advance(seconds(9));
  EXPECT_EQ(lateness.take(), clock.now());
}

}  // namespace
}  // namespace multinet::controller
