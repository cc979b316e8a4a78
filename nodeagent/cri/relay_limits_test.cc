// What the relay lets through is at least what a kubelet and a runtime let through between them.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <string>

#include "nodeagent/cri/decode.h"
#include "nodeagent/cri/relay_fixture.h"

namespace multinet::agent::cri {
namespace {

TEST_F(RelayTest, PassesTraceContextBothWays) {
  const std::multimap<std::string, std::string> sent = {
      {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
      {"tracestate", "vendor=value"},
      {"baggage", "a=b,c=d"}};
  const auto reply = call(cri("Version"), "v", 10s, sent);
  for (const auto& [key, value] : sent) {
    ASSERT_EQ(reply.trailers.count(key), 1U) << key;
    EXPECT_EQ(reply.trailers.find(key)->second, value);
  }
}

TEST(Hop, IsWhatGrpcWritesItselfAndNothingElse) {
  for (const auto* key : {":path", ":authority", "te", "content-type", "user-agent", "host",
                          "grpc-timeout", "grpc-status", "grpc-status-details-bin", "grpc-encoding",
                          "grpc-accept-encoding", "connection"}) {
    EXPECT_TRUE(belongsToTheHop(key)) << key;
  }
  for (const auto* key :
       {"traceparent", "tracestate", "baggage", "authorization", "x-request-id", "retry-after"}) {
    EXPECT_FALSE(belongsToTheHop(key)) << key;
  }
}

TEST_F(RelayTest, KeepsCodeWordsAndDetailsOfLongErrors) {
  for (const unsigned size : {9'000U, 60'000U, 400'000U}) {
    const std::string words = std::string(size, 'w') + "\xc3\xa9%\n";
    runtime.status = grpc::Status(grpc::StatusCode::NOT_FOUND, words, std::string(size, '\1'));
    const auto reply = call(cri("StartContainer"), "x");
    EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::NOT_FOUND) << size;
    EXPECT_TRUE(reply.status.error_message() == words) << reply.status.error_message().size();
    EXPECT_TRUE(reply.status.error_details() == std::string(size, '\1')) << size;
  }
}

TEST_F(RelayTest, PassesLongMetadataBothWays) {
  const std::string value(100'000, 'b');
  const auto reply = call(cri("Version"), "v", 10s, {{"baggage", value}});
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  ASSERT_EQ(reply.trailers.count("baggage"), 1U);
  EXPECT_TRUE(reply.trailers.find("baggage")->second == value);
}

TEST(Deadline, IsTheKubeletsHoweverLong) {
  using std::chrono::system_clock;
  SystemClock clock;
  const auto left = [&](system_clock::time_point deadline) {
    const auto before = clock.now();
    return bootDeadline(clock, deadline) - before;
  };
  EXPECT_GT(left(system_clock::now() + 30min), 29min) << "a longer runtimeRequestTimeout holds";
  EXPECT_LT(left(system_clock::now() + 3s), 4s);
  EXPECT_LT(left(system_clock::now() - 3s), 1s) << "passed already";
  const auto unlimited = left(system_clock::time_point::max());
  EXPECT_TRUE(unlimited > 3min && unlimited < 5min);
}

}  // namespace
}  // namespace multinet::agent::cri
