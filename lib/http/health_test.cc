#include "lib/http/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>

namespace multinet::http {
namespace {

using testing::HasSubstr;

Request request(std::string method, std::string path) {
  return {.method = std::move(method),
          .path = std::move(path),
          .query = {},
          .contentType = {},
          .body = {}};
}

TEST(HealthTest, ReadyNamesEachPartThatIsNot) {
  prometheus::Registry registry;
  bool synced = false;
  const auto router =
      healthRouter({{"certificate", [] { return Status(); }},
                    {"informers",
                     [&]() -> Status {
                       if (synced) return {};
                       return fail(Code::Unavailable, "NotSynced", "networks: not listed yet");
                     }}},
                   registry);
  const auto before = router(request("GET", "/readyz"));
  EXPECT_EQ(before.status, 503U);
  EXPECT_EQ(before.body, "ok certificate\nfailed informers: networks: not listed yet\n");
  EXPECT_EQ(router(request("GET", "/healthz")).status, 200U) << "alive, though not ready";
  synced = true;
  EXPECT_EQ(router(request("GET", "/readyz")).status, 200U);
}

TEST(HealthTest, MetricsAreText) {
  prometheus::Registry registry;
  prometheus::BuildCounter().Name("reviews_total").Register(registry).Add({}).Increment(3);
  const auto answer = healthRouter({}, registry)(request("GET", "/metrics"));
  EXPECT_THAT(answer.contentType, HasSubstr("version=0.0.4"));
  EXPECT_THAT(answer.body, HasSubstr("reviews_total 3"));
}

TEST(HealthTest, ShowsWhatAServerCountsAndCountsNothingTwice) {
  prometheus::Registry registry;
  ServerMetrics metrics(registry, "reviews");
  ServerCounts counts;
  counts.accepted = 3;
  counts.answered = 7;
  counts.open = 2;
  metrics.show(counts);
  counts.accepted = 4;
  counts.timedOut = 1;
  counts.open = 1;
  metrics.show(counts);
  metrics.show(counts);
  const auto text = metricsHandler(registry)(request("GET", "/metrics")).body;
  EXPECT_THAT(text, HasSubstr("reviews_connections_total{outcome=\"accepted\"} 4"));
  EXPECT_THAT(text, HasSubstr("reviews_connections_total{outcome=\"timed-out\"} 1"));
  EXPECT_THAT(text, HasSubstr("reviews_connections_total{outcome=\"malformed\"} 0"));
  EXPECT_THAT(text, HasSubstr("reviews_answers_total 7"));
  EXPECT_THAT(text, HasSubstr("reviews_open_connections 1"));
}

TEST(RouterTest, UnknownPathsAndMethods) {
  Router router;
  router.add("POST", "/explain", [](const Request&) { return Response(); });
  EXPECT_EQ(router(request("POST", "/explain")).status, 200U);
  EXPECT_EQ(router(request("GET", "/explain")).status, 405U);
  EXPECT_EQ(router(request("POST", "/explain/")).status, 404U);
  EXPECT_EQ(router(request("POST", "/../explain")).status, 404U);
}

}  // namespace
}  // namespace multinet::http
