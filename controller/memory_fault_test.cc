// That the controller lives within the memory that deploy/ gives it, at the sizes that we state.
#include <gtest/gtest.h>

#include <iostream>

#include "controller/caches.h"
#include "controller/pass.h"
#include "controller/reconcilers.h"
#include "test/support/large_cluster.h"

namespace multinet::controller {
namespace {

using std::chrono::seconds;

TEST(Memory, OfTheControllerFitsItsLimitAtTheSizesThatWeState) {
  auto owned = std::make_unique<multinet::testing::LargeCluster>();
  multinet::testing::LargeCluster& cluster = *owned;
  kube::Client client(std::move(owned));
  const SystemClock clock;
  Writer writer(client, clock, {.leading = [] { return true; }});
  Pass pass(allReconcilers(), writer, clock);
  Caches caches(client, [] {});
  const auto turn = [&] {
    caches.drainInto(pass.world(), clock.now());
    static_cast<void>(pass.lead(clock.now()));
  };
  caches.start();
  const auto until = [](const auto& condition) {
    return multinet::testing::comesTrue(condition, seconds(200));
  };
  ASSERT_TRUE(until([&] { return caches.synced().has_value(); }))
      << caches.synced().error().message;
  turn();
  ASSERT_EQ(pass.world().of<Attachment>().size(), 100000U);
  ASSERT_EQ(pass.world().of<Pod>().size(), 100000U);
  ASSERT_TRUE(until([&] { return cluster.listed(1); }));
  const auto started = multinet::testing::peakOfMemory();
  cluster.expire();
  ASSERT_TRUE(until([&] { return cluster.listed(2); }));
  turn();
  const auto again = multinet::testing::peakOfMemory();
  caches.stop();
  const auto limit =
      multinet::testing::memoryLimitOf(MULTINET_SOURCE_DIR "/deploy/controller.yaml");
  std::cout << "MiB at the start " << (started >> 20U) << ", when all is listed again "
            << (again >> 20U) << ", limit " << (limit >> 20U) << "\n";
  // A fifth is for what lies between two moments of measuring.
  EXPECT_LE(started, limit / 5 * 4);
  EXPECT_LE(again, limit / 5 * 4);
}

}  // namespace
}  // namespace multinet::controller
