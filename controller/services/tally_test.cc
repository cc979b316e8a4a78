#include "controller/services/tally.h"

#include <gtest/gtest.h>

namespace multinet::controller {
namespace {

std::shared_ptr<NetworkService> serviceWith(const std::string& reason, int ready) {
  auto service = std::make_shared<NetworkService>();
  if (!reason.empty()) {
    service->status.conditions.set(
        {"Ready", k8s::ConditionStatus::True, 0, std::nullopt, reason, ""}, WallTime());
  }
  if (ready >= 0) service->status.endpoints = api::EndpointCounts{ready, ready + 1, 1};
  return service;
}

TEST(ServiceTally, CountsByReasonAndState) {
  ServiceTally expected;
  expected.byReason = {2, 0, 1, 0, 0, 0, 0, 0, 2};
  expected.ready = 3;
  expected.serving = 5;
  expected.terminating = 2;
  EXPECT_EQ(
      tallyOf({serviceWith("Accepted", 3), serviceWith("Accepted", 0), serviceWith("NameTaken", -1),
               serviceWith("", -1), serviceWith("OfANewerVersion", -1)}),
      expected);
  EXPECT_EQ(tallyOf({}), ServiceTally());
}

}  // namespace
}  // namespace multinet::controller
