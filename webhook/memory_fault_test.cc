// That the webhook lives within the memory that deploy/ gives it, at the sizes that we state.
#include <gtest/gtest.h>

#include <iostream>

#include "test/support/large_cluster.h"
#include "webhook/informer_view.h"

namespace multinet::webhook {
namespace {

using std::chrono::seconds;

TEST(Memory, OfTheWebhookFitsItsLimitAtTheSizesThatWeState) {
  auto owned = std::make_unique<multinet::testing::LargeCluster>();
  multinet::testing::LargeCluster& cluster = *owned;
  kube::Client client(std::move(owned));
  InformerView view(client);
  view.start();
  const auto until = [](const auto& condition) {
    return multinet::testing::comesTrue(condition, seconds(100));
  };
  ASSERT_TRUE(until([&] { return view.ready().has_value(); })) << view.ready().error().message;
  ASSERT_TRUE(view.attachment("team-999", "nic-99999").has_value());
  ASSERT_TRUE(until([&] { return cluster.listed(1); }));
  const auto started = multinet::testing::peakOfMemory();
  cluster.expire();
  ASSERT_TRUE(until([&] { return cluster.listed(2); }));
  const auto again = multinet::testing::peakOfMemory();
  view.stop();
  const auto limit = multinet::testing::memoryLimitOf(MULTINET_SOURCE_DIR "/deploy/webhook.yaml");
  std::cout << "MiB at the start " << (started >> 20U) << ", when all is listed again "
            << (again >> 20U) << ", limit " << (limit >> 20U) << "\n";
  EXPECT_LE(started, limit / 5 * 4);
  EXPECT_LE(again, limit / 5 * 4);
}

}  // namespace
}  // namespace multinet::webhook
