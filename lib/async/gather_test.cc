#include "lib/async/gather.h"

#include <gtest/gtest.h>

#include <future>

#include "lib/base/fake_clock.h"

namespace multinet::async {
namespace {

using std::chrono::milliseconds;

class GatherTest : public testing::Test {
 protected:
  /// Behind what is due by now.
  void pass(Duration time) {
    clock_.advance(time);
    std::promise<void> passed;
    lane_.post([&] { passed.set_value(); });
    passed.get_future().get();
  }
  ~GatherTest() override { lane_.stop(); }

  FakeClock clock_;
  Lane lane_{"gather", clock_};
  int done_ = 0;  // the lane's
  std::function<void()> meanwhile_ = [] {};
  Gather gather_{lane_, milliseconds(50), [this] {
                   ++done_;
                   meanwhile_();
                 }};
};

TEST_F(GatherTest, DoesABurstOnceAndNotBeforeItsTime) {
  for (int i = 0; i < 100; ++i) gather_.ask();
  pass(milliseconds(49));
  EXPECT_EQ(done_, 0);
  pass(milliseconds(1));
  EXPECT_EQ(done_, 1);
  pass(milliseconds(500));
  EXPECT_EQ(done_, 1) << "nobody asked again";
}

TEST_F(GatherTest, WhoAsksWhileItWorksIsServedByTheNext) {
  meanwhile_ = [this] {
    if (done_ == 1) gather_.ask();
  };
  gather_.ask();
  pass(milliseconds(50));
  pass(milliseconds(50));
  EXPECT_EQ(done_, 2);
}

}  // namespace
}  // namespace multinet::async
